"""Diffusivity and rate of A + 2 B -> C from measured concentrations, by gradients through the solver.

`python experiments/reaction_ab/recover.py [reaction_AB.npz]` prints the figures of README.md and draws fit.png.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optimistix as optx

import pdejax as pj

HERE = Path(__file__).parent
TRUTH = np.array([2e-3, 0.1])  # diffusivity of both reactants, rate


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times (201,) and concentrations (201, 2, 201) at nodes 0, 0.005, ..., 1."""
    data = np.load(path)
    return data["t"].ravel(), np.stack([data["Ca"], data["Cb"]], axis=1)


def field(values) -> pj.GridField:
    """Concentrations (2, 201) as a field: both are 1 at x = 0, and nothing flows through the other end."""
    grid = pj.Grid(x=pj.Uniform(201, lower=pj.Dirichlet(1.0), upper=pj.Neumann(0.0)))
    return pj.GridField(jnp.asarray(values), grid)


def simulate(parameters, u0: pj.GridField, times):
    """Concentrations (n, 2, 201) at `times`, from the field `u0` at the first of them."""
    diffusivity, rate = parameters
    equation = pj.equations.SecondOrderReaction(diffusivity, diffusivity, rate)
    problem = pj.EvolutionProblem(equation, u0, times[0], times[-1])
    return pj.solve(problem, pj.solvers.ETDRK4(dt=0.05), save_at=times).value.values


def fit(times, u0: pj.GridField, data, guess=(1e-3, 0.3)) -> np.ndarray:
    """Diffusivity and rate that minimise the mean square misfit to `data`, from `u0` at the first time."""

    def loss(logarithms, data):
        return 100 * jnp.mean((simulate(jnp.exp(logarithms), u0, times) - data) ** 2)

    out = optx.minimise(loss, optx.BFGS(1e-8, 1e-8), jnp.log(jnp.asarray(guess)), jnp.asarray(data), max_steps=60)
    return np.exp(out.value)


def draw(path: Path, times, data, solved) -> None:
    """Profiles of data and solution, and their distance in time."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    x = np.linspace(0, 1, 201)
    for i in (10, 50, 200):
        axes[0].plot(x, solved[i, 0], "C0", x, solved[i, 1], "C1", x[::8], data[i, :, ::8].T, "k.", ms=3, lw=1)
    axes[0].set(xlabel="x", title="A (blue), B, data (dots) at t = 0.5, 2.5, 10")
    axes[1].semilogy(times[1:], np.abs(solved - data).max(axis=(1, 2))[1:])
    axes[1].set(xlabel="t", title="largest distance of data and solution")
    figure.savefig(path, dpi=120)


def main(path: Path) -> None:
    """Print the errors of every fit in per cent."""
    times, data = read(path)
    exact = field(np.exp(-20 * np.linspace(0, 1, 201)) * np.ones((2, 1)))
    runs = {"clean, from t = 0": (0, exact, data), "clean, from the frame t = 0.5": (10, field(data[10]), data[10:])}
    for seed in range(3):
        noise = 0.01 * np.random.default_rng(seed).standard_normal(data.shape)
        runs[f"1 % noise, seed {seed}, from t = 0"] = (0, exact, data + noise)
    for name, (first, u0, seen) in runs.items():
        errors = 100 * (fit(times[first:], u0, seen) / TRUTH - 1)
        print(f"{name}: diffusivity {errors[0]:+.4f} %, rate {errors[1]:+.4f} %")
    draw(HERE / "fit.png", times, data, np.asarray(simulate(TRUTH, exact, times)))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE.parents[2] / "shared" / "data" / "ref1d" / "reaction_AB.npz")
