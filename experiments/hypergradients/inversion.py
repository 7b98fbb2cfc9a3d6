"""A penalty for each mode of a permeability, by `python experiments/hypergradients/inversion.py`.

The log-permeability of a Darcy flow on the unit square (three wells, 17 x 17 nodes) is `2 tanh(s / 2)`, s a sum of 40
cosines, fitted to 60 noisy pressures by least squares with penalties `exp(l_j) w_j^2 / 2`. The 40 `l_j` are tuned by
Adam on the misfit of 60 other readings, from the best of 7 common penalties; 60 more readings are left for the test.
Seeds 0, 1, 2: permeability, places and noise.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import optimistix as optx

import pdejax as pj
from pdejax.solvers._bilevel import hypergradient

jax.config.update("jax_enable_x64", True)
WALL = pj.Dirichlet(0.0)
GRID = pj.Grid(x=pj.Uniform(17, lower=WALL, upper=WALL), y=pj.Uniform(17, lower=WALL, upper=WALL))
X, Y = map(jnp.asarray, GRID.mesh())
WAVES = [(i, j) for i in range(7) for j in range(7) if 0 < i + j][:40]
MODES = jnp.stack([jnp.cos(np.pi * i * X) * jnp.cos(np.pi * j * Y) for i, j in WAVES])
WELLS = jnp.stack([50 * jnp.exp(-40 * ((X - a) ** 2 + (Y - b) ** 2)) for a, b in ((0.3, 0.3), (0.7, 0.4), (0.5, 0.8))])
NOISE, STEPS, COMMON = 0.01, 20, np.linspace(-2, 7, 7)
FITTER = optx.LevenbergMarquardt(rtol=1e-7, atol=1e-7)


def pressures(w):
    # No trial of the fit leaves contrasts of exp(4).
    permeability = pj.GridField(jnp.exp(2 * jnp.tanh(jnp.tensordot(w, MODES, 1) / 2))[None], GRID)
    flow = lambda f: pj.solve(pj.SteadyProblem(pj.equations.Darcy(permeability, pj.GridField(f[None], GRID)), GRID))
    return jax.vmap(lambda f: flow(f).value.values[0].reshape(-1))(WELLS)


def misfit(w, places, readings):
    return ((pressures(w)[:, places] - readings) / NOISE).reshape(-1)


def train(w, logs, data):
    return (jnp.sum(misfit(w, *data["train"]) ** 2) + jnp.sum(jnp.exp(logs) * w**2)) / 2


@jax.jit
def fit(logs, w, data):
    """The fitted modes, the mean squared validation misfit (in units of the noise) with its gradient, and others."""
    residuals = lambda w, _: (misfit(w, *data["train"]), jnp.exp(logs / 2) * w)
    w = optx.least_squares(residuals, FITTER, w, max_steps=200, throw=False).value
    valid = lambda w, _: jnp.mean(misfit(w, *data["valid"]) ** 2)
    found = hypergradient(valid, lambda w, logs: train(w, logs, data), w, logs)
    return (
        w,
        found,
        jnp.mean(misfit(w, *data["test"]) ** 2),
        jnp.linalg.norm(w - data["w"]) / jnp.linalg.norm(data["w"]),
    )


def experiment(seed):
    rng = np.random.default_rng(seed)
    w = jnp.asarray(rng.standard_normal(40) / np.sum(np.square(WAVES), 1) ** 0.75)
    places = rng.permutation(np.arange(289).reshape(17, 17)[1:-1, 1:-1].reshape(-1))[:60].reshape(3, 20)
    exact = jax.jit(pressures)(w)
    noisy = [jnp.asarray(exact[:, p] + NOISE * rng.standard_normal((3, 20))) for p in places]
    return {"w": w} | {
        n: (jnp.asarray(p), r) for n, p, r in zip(("train", "valid", "test"), places, noisy, strict=True)
    }


if __name__ == "__main__":
    optimiser = optax.adam(0.5)
    for seed in (0, 1, 2):
        data, zero = experiment(seed), jnp.zeros(40)
        common = [fit(jnp.full(40, c), zero, data) for c in COMMON]
        best = int(np.argmin([found.value for _, found, _, _ in common]))
        logs, w, history, worst = jnp.full(40, COMMON[best]), common[best][0], [], 0.0
        state = optimiser.init(logs)
        for _ in range(STEPS + 1):
            w, found, test, error = fit(logs, w, data)
            history.append(float(found.value))
            worst = max(worst, float(found.residual))
            updates, state = optimiser.update(found.gradient, state)
            tuned, logs = logs, optax.apply_updates(logs, updates)
        _, first, other, off = common[best]
        print(f"seed {seed}: common penalty exp({COMMON[best]:g}): {first.value:.3f}, {other:.3f}, {off:.3f}", end="; ")
        print(f"40 penalties: {history[-1]:.3f}, {test:.3f}, {error:.3f} (validation, test, error); ratio", end=" ")
        print(
            f"{history[-1] / first.value:.3f}; residual <= {worst:.0e}, CG {found.num_steps}, slope {found.slope:.0e}"
        )
        plt.semilogy(np.sum(np.square(WAVES), 1), np.exp(tuned), ".", label=f"seed {seed}")
    plt.gcf().set_size_inches(5, 3.4), plt.legend(), plt.xlabel("$i^2 + j^2$ of the mode"), plt.ylabel("tuned penalty")
    plt.savefig(Path(__file__).parent / "penalties.png", dpi=100, bbox_inches="tight")
