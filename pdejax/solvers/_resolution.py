"""How many nodes a problem needs: read from the tail of its spectrum, and checked."""

import dataclasses

import jax
import numpy as np

from ..calculus import norm
from ..fields import GridField
from ..grids import Cosine, Fourier, Grid, Sine
from ..grids._axis import fast_size
from ._method import AbstractMethod
from ._problem import EvolutionProblem
from ._solution import RESULTS
from ._solve import solve

_FIRST = 32  # nodes of the first pilot run
_GROWTH = 1.15  # where the check fails


def sufficient_grid(problem: EvolutionProblem, method: AbstractMethod, rtol: float = 1e-6) -> Grid:
    """The coarsest grid on which the solution at `t1` has the relative error `rtol` against that on the given grid.

    Pilot runs on ever finer grids end when what lies in the upper half of the kept modes is below `rtol`; the tail of
    that spectrum says how many modes are needed, and a run with so many is compared with the pilot. Axes that are
    not `Fourier`, `Sine` or `Cosine` stay as they are. Use it as

        coarse = problem.u0.resample(sufficient_grid(problem, method))
        solution = solve(EvolutionProblem(equation, coarse, t0, t1), method).value.resample(problem.u0.grid)

    **Returns** the given grid if no coarser one will do. **Raises** `ValueError` for `rtol <= 0` and under a
    transformation of JAX, where the values are not known.
    """
    if not rtol > 0:
        raise ValueError(f"sufficient_grid needs a positive tolerance, got rtol={rtol:g}; write rtol=1e-6.")
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(problem)):
        raise ValueError("sufficient_grid looks at the solution; call it before jit, vmap or grad, with known values.")
    given, share = problem.u0.grid, min(getattr(method, "dealias", 1.0), 1.0)
    nodes = _FIRST
    while True:
        grid = _at_most(given, dict.fromkeys(given.names, nodes))
        pilot = _final(problem, method, grid)
        needed = None if pilot is None else _needed(pilot, rtol, share)
        if grid.shape == given.shape or (needed is not None and all(n <= 0.75 * nodes for n in needed.values())):
            break
        nodes *= 2
    if needed is None:
        return given
    while (grid := _at_most(given, needed)).shape != given.shape:
        coarse = _final(problem, method, grid)
        if coarse is not None and norm(coarse.resample(pilot.grid) - pilot) <= rtol * norm(pilot):
            return grid
        needed = {name: _GROWTH * n for name, n in needed.items()}
    return given


def _final(problem: EvolutionProblem, method: AbstractMethod, grid: Grid) -> GridField | None:
    if grid.shape != problem.u0.grid.shape:
        problem = dataclasses.replace(problem, u0=problem.u0.resample(grid))
    solution = solve(problem, method, throw=False)
    return solution.value if bool(solution.result == RESULTS.successful) else None


def _needed(u: GridField, rtol: float, share: float) -> dict[str, float]:
    """Nodes per axis so that the modes left out hold less than `rtol` of the size of `u`."""
    energy = np.sum(np.abs(np.asarray(u.coefficients)) ** 2, axis=0)
    nodes = {}
    for i, (name, modes) in enumerate(zip(u.grid.names, u.grid.modes(u.is_real), strict=True)):
        if _can_shrink(u.grid.axis(name)):
            line = np.zeros(np.abs(modes).max() + 2)
            np.add.at(line, np.abs(modes), np.sum(energy, axis=tuple(j for j in range(energy.ndim) if j != i)))
            beyond = np.cumsum(line[::-1])[::-1]  # energy of the modes from k on
            first = int(np.argmax(beyond <= rtol**2 * beyond[0]))
            waves = 2 if isinstance(u.grid.axis(name), Fourier) else 1
            nodes[name] = waves * (first + 1) / share
    return nodes


def _can_shrink(axis) -> bool:
    return isinstance(axis, Fourier | Sine | Cosine)


def _at_most(grid: Grid, nodes: dict[str, float]) -> Grid:
    def fitted(name, axis):
        if name not in nodes or not _can_shrink(axis):
            return axis
        return axis.with_size(min(axis.n, fast_size(nodes[name] / 2) * 2))

    return grid.with_axes(fitted(name, axis) for name, axis in zip(grid.names, grid.axes, strict=True))
