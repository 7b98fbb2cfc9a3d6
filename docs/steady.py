"""Draw the pictures of the page on steady problems: `python docs/steady.py` writes docs/steady/*.png."""

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pdejax as pj
from pdejax.experiment._render import Palette, render
from pdejax.fields import GridField
from pdejax.solvers import (
    GMRES,
    ConjugateGradient,
    MinimalResidual,
    Multigrid,
    MultigridCG,
    Unpreconditioned,
)

PICTURES = Path(__file__).with_suffix("")
NODES = 65


def square(n: int = NODES) -> pj.Grid:
    """The unit square, zero on the edges."""
    return pj.Grid(**{name: pj.Uniform(n, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0)) for name in "xy"})


def rock() -> pj.SteadyProblem:
    """Darcy flow, the permeability jumps by a thousand."""
    wave = lambda x, y: jnp.sin(9 * x + 4 * y) + jnp.sin(5 * x - 11 * y + 1) + jnp.sin(14 * x * y)
    permeability = GridField.from_function(lambda x, y: jnp.where(wave(x, y) > 0, 1e3, 1.0), square())
    return pj.SteadyProblem(pj.equations.Darcy(permeability), square())


def waves() -> pj.SteadyProblem:
    """Helmholtz, a wave number that varies: a few negative eigenvalues."""
    number = GridField.from_function(lambda x, y: 12 + 3 * jnp.sin(3 * x + 2 * y), square())
    source = GridField.from_function(lambda x, y: jnp.exp(-((x - 0.35) ** 2 + (y - 0.6) ** 2) / 0.01), square())
    return pj.SteadyProblem(pj.equations.Helmholtz(number, source), square())


def wind() -> pj.SteadyProblem:
    """Advection and diffusion in a vortex, differenced upwind."""
    velocity = GridField.from_function(lambda x, y: (0.5 - y, x - 0.5), square())
    return pj.SteadyProblem(pj.equations.SteadyAdvectionDiffusion(velocity, 5e-3, 1.0, upwind=True), square())


def saturated() -> pj.SteadyProblem:
    """A cubic term that flattens the top."""
    return pj.SteadyProblem(pj.equations.SemilinearPoisson(1e3, 1e2), square(33))


PANELS = {
    "self-adjoint, positive: jumps of 1000": (
        rock,
        {
            "CG, no preconditioner": ConjugateGradient(preconditioner=Unpreconditioned()),
            "CG, inverse Laplacian": ConjugateGradient(),
            "CG, multigrid": MultigridCG(),
        },
    ),
    "self-adjoint, indefinite: waves": (
        waves,
        {
            "MINRES, inverse Laplacian": MinimalResidual(),
            "GMRES(40), inverse Laplacian": GMRES(),
            "GMRES(10), inverse Laplacian": GMRES(restart=10),
        },
    ),
    "not self-adjoint: wind": (
        wind,
        {
            "GMRES, no preconditioner": GMRES(preconditioner=Unpreconditioned()),
            "GMRES, inverse Laplacian": GMRES(),
            "GMRES, multigrid": GMRES(preconditioner=Multigrid()),
        },
    ),
    "nonlinear, with an energy: a cubic term": (
        saturated,
        {
            "Newton": pj.solvers.Newton(),
            "Sobolev descent": pj.solvers.SobolevDescent(),
            "nonlinear multigrid (FAS)": pj.solvers.FullApproximation(),
        },
    ),
}


def histories() -> dict[str, dict[str, np.ndarray]]:
    """Residual norms of every method in every panel."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for title, (make, methods) in PANELS.items():
        for label, method in methods.items():
            start = time.perf_counter()
            solution = pj.solve(make(), method, max_steps=400, throw=False)
            history = np.asarray(solution.stats["residual_history"])
            found.setdefault(title, {})[label] = history[np.isfinite(history)]
            steps, taken = solution.stats["num_steps"], time.perf_counter() - start
            print(f"{title:40s} {label:30s} {bool(solution.ok)} {steps:4d} steps {taken:5.1f} s", flush=True)
    return found


def draw(found: dict[str, dict[str, np.ndarray]]) -> Any:
    """Four panels of residual against step."""

    def drawn(figure: Any, palette: Palette) -> None:
        for axes, (title, lines) in zip(figure.subplots(2, 2, sharey=True).flat, found.items(), strict=True):
            for i, (label, history) in enumerate(lines.items()):
                axes.semilogy(history, color=palette.series[i], label=label, marker="o", markersize=2, linewidth=1.2)
            axes.set(title=title, xlabel="step", ylim=(1e-9, 1e5))
            axes.set_xlim(0, 105 if max(map(len, lines.values())) > 60 else None)
            axes.grid(True, axis="y")
            axes.legend(loc="upper right", fontsize=7.5)
        for axes in figure.axes[::2]:
            axes.set_ylabel("relative residual")

    return drawn


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    path = PICTURES / "convergence.png"
    render(draw(histories()), (7.6, 5.6), path)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
