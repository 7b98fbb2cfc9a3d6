from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from equinox.internal import unvmap_any
from jaxtyping import Array
from optimistix.internal import implicit_jvp

from ...fields import GridField
from ...grids import Grid, Uniform
from .._fast_transform import check_steady
from .._krylov import default_rtol
from .._method import AbstractMethod, Options
from .._multigrid import Multigrid, wraps
from .._problem import SteadyProblem, unknown_nodes
from .._solution import RESULTS, Solution, Stats
from .._steady import Unknowns, unknowns
from ..linear import FGMRES
from ..multigrid import Stencil, box, probe
from ..multigrid._interpolation import BlackBoxInterpolation, black_box
from ..multigrid._smoothers import inverse_diagonal
from ..multigrid._stencil import Offset
from ._inexact_newton import Rebuilt

# Unknowns up to which the coarsest equations are solved by Newton's method with a dense matrix, and its steps.
_COARSEST, _NEWTON_STEPS = 128, 3


class FullApproximation(AbstractMethod):
    """Nonlinear multigrid: the full approximation scheme (FAS, Brandt 1977), without any global linearisation.

    Each coarse grid solves the same equation, rediscretised, for the whole solution with a right-hand side that carries
    over what the finer grid knows better: `F_H(v) = F_H(I u) + R (f - F_h(u))`. For equations that couple next
    neighbours on `Uniform(order=2)` axes that nest: an odd number of nodes on closed axes, an even one on periodic
    ones. Coefficient fields are taken over at the coarse nodes.

    **Arguments:** `rtol` (default `1e-8` in float64, `1e-5` in float32) of the residual in the dual norm, relative to
    that of zero; `sweeps` of damped nonlinear Jacobi before and after each coarse correction; `damping`; `cycle`: `"V"`
    or `"W"`.

    It starts from `problem.guess` and has no globalisation: where the diagonal of the linearisation varies much along
    the way (the p-Laplace operator from zero) the first cycle may leave the domain, and the result says `nonfinite`;
    `NewtonKrylov` is safer there. `stats`: `num_steps` (cycles), `residual_history`. The result is `stagnation` when a
    cycle no longer reduces the residual. Gradients use the implicit function theorem with GMRES and linear multigrid.

    **Raises** `ValueError` if the axes do not nest or the operator reaches farther than next neighbours, `TypeError`
    for an evolution problem.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    sweeps: int = eqx.field(static=True, default=2)
    damping: float = eqx.field(static=True, default=0.8)
    cycle: str = eqx.field(static=True, default="V")

    def __check_init__(self):
        if self.cycle not in ("V", "W"):
            raise ValueError(f'FullApproximation has cycles "V" and "W", got {self.cycle!r}; write cycle="V".')

    def prepare(self, problem: SteadyProblem, options: Options) -> Multigrid:
        check_steady("FullApproximation", problem)
        for name, axis in zip(problem.grid.names, problem.grid.axes, strict=True):
            nests = isinstance(axis, Uniform) and not axis.centred and axis.n % 2 == int(not axis.is_periodic)
            if not nests:
                raise ValueError(
                    f"FullApproximation needs axes whose every second node makes the coarser one, axis {name!r} is "
                    f"{type(axis).__name__}({axis.n}); write Uniform({axis.n + 1 - axis.n % 2}, ...) (odd if closed, "
                    "even if periodic), or take solvers.NewtonKrylov() with a Multigrid() preconditioner."
                )
        return Multigrid().prepare(problem)

    def run(self, problem: SteadyProblem, prepared: Multigrid, options: Options) -> Solution:
        system = unknowns(problem)
        rtol = default_rtol(self.rtol, system.dtype)
        limit = 100 if options.max_steps is None else options.max_steps
        inner = FGMRES(min(rtol, 1e-8 if system.dtype == jnp.float64 else 1e-4))
        inputs = (self, rtol, limit, system, prepared.offsets)
        w, found = implicit_jvp(_solve, _residual, inputs, frozenset(), Rebuilt(inner, _Build(prepared, system)))
        failed = RESULTS.where(found["stuck"], RESULTS.stagnation, RESULTS.nonlinear_max_steps_reached)
        failed = RESULTS.where(found["finite"], failed, RESULTS.nonfinite)
        result = RESULTS.where(found["met"], RESULTS.successful, failed)
        stats = Stats(
            {name: found[name] for name in ("num_steps", "residual_history")}, (("method", "FullApproximation"),)
        )
        return Solution(system.field(w), None, result, stats, found["error"], None)


class _Build(eqx.Module):
    preconditioner: Multigrid
    system: Unknowns

    def __call__(self, product):
        return self.preconditioner.build(self.system, product)


class _Grid(eqx.Module):
    """One grid of the scheme: its equations and the way to the next coarser one."""

    system: Unknowns
    transfer: BlackBoxInterpolation


def _residual(w: Array, found: Any, inputs: Any) -> Array:
    return inputs[3].residual(w)


def _solve(inputs) -> tuple[Array, dict[str, Array]]:
    method, rtol, limit, system, offsets = inputs
    grids = _coarsened(system)
    dual = system.preconditioner().mv
    norm = lambda r: jnp.sqrt(jnp.maximum(jnp.sum(r * dual(r)), 0))
    begin, none = system.start(), jnp.zeros((), int)
    first, size = norm(system.residual(begin)), norm(system.residual(system.guess()))
    size = jnp.where(jnp.isfinite(size) & (size > 0), size, jnp.where(first > 0, first, jnp.ones_like(first)))
    history = jnp.full(limit + 1, jnp.nan, size.dtype).at[0].set(first / size)

    def going(error, step, since):
        return (error > rtol) & (step < limit) & (since < 5)

    def body(carry):
        w, error, best, step, since, history = carry
        live = going(error, step, since)
        there = _cycle(method, grids, 0, w, jnp.zeros_like(w), offsets)
        left = norm(system.residual(there)) / size
        step = step + live.astype(step.dtype)
        return (
            jnp.where(live, there, w),
            jnp.where(live, left, error),
            jnp.minimum(best, left),
            step,
            jnp.where(left < 0.95 * best, 0, since + live.astype(since.dtype)),
            jnp.where(live, history.at[step].set(left, mode="drop"), history),
        )

    carry = (begin, first / size, first / size, none, none, history)
    # One answer for a whole batch, so that `vmap` copies no state: finished lanes stand still.
    unfinished = lambda carry: unvmap_any(going(carry[1], *carry[3:5]))
    w, error, _, step, since, history = jax.lax.while_loop(unfinished, body, carry)
    return w, {
        "num_steps": step,
        "residual_history": history,
        "error": error,
        "met": error <= rtol,
        "stuck": since >= 5,
        "finite": jnp.isfinite(error),
    }


def _coarsened(system: Unknowns) -> list[_Grid]:
    grids = []
    while True:
        problem = system.problem
        transfer = _linear_interpolation(problem, system.dtype)
        grids.append(_Grid(system, transfer))
        sizes = transfer.coarse_shape
        nests = all(
            n >= 5 and (axis.is_periodic and n % 2 == 0 or n % 2 == 1)
            for n, axis in zip(problem.grid.shape, problem.grid.axes, strict=True)
        )
        if int(np.prod(system.shape)) <= _COARSEST or not nests or min(sizes) < 3:
            return grids
        system = Unknowns(_every_second(problem, problem.grid.with_shape(sizes)), system.dtype)


def _linear_interpolation(problem: SteadyProblem, dtype) -> BlackBoxInterpolation:
    """Black-box interpolation of the Laplacian: multilinear."""
    ndim = len(problem.grid.shape)
    ones = jnp.ones((problem.channels, problem.channels, *problem.grid.shape), dtype)
    offsets = box(ndim)
    weight = lambda o: 3.0**ndim - 1 if not any(o) else -1.0
    return black_box(Stencil(jnp.stack([weight(o) * ones for o in offsets]), offsets, wraps(problem.grid)))


def _every_second(problem: SteadyProblem, grid: Grid) -> SteadyProblem:
    """The problem on the coarser grid, its fields taken over at the nodes that are left."""
    shape = problem.grid.shape

    def thin(x):
        if not (isinstance(x, GridField) and x.grid.shape == shape):
            return x
        at = (slice(None), *(slice(None, None, 2),) * len(shape))
        return GridField(x.values[at], x.grid.with_shape(grid.shape))

    equation = jax.tree.map(thin, problem.equation, is_leaf=lambda x: isinstance(x, GridField))
    return SteadyProblem(equation, grid, problem.channels)


def _cycle(method: FullApproximation, grids: list[_Grid], depth: int, w: Array, f: Array, offsets) -> Array:
    here = grids[depth]
    if depth + 1 == len(grids):
        return _newton(here.system, w, f)
    inverse = _inverse_diagonal(here.system, w, offsets)
    w = _smooth(method, here.system, inverse, w, f)
    coarse = grids[depth + 1].system
    free = unknown_nodes(coarse.problem.grid)
    at = (slice(None), *(slice(None, None, 2),) * (w.ndim - 1))
    for _ in range(2 if method.cycle == "W" else 1):
        injected = w[at]
        # The transpose of interpolation gathers 2^ndim fine nodes for each coarse one.
        defect = here.transfer.restrict(f - here.system.residual(w)) / 2.0 ** (w.ndim - 1)
        defect = defect if free is None else jnp.where(free, defect, jnp.zeros((), w.dtype))
        found = _cycle(method, grids, depth + 1, injected, coarse.residual(injected) + defect, offsets)
        w = w + here.transfer.prolong(found - injected)
    return _smooth(method, here.system, inverse, w, f)


def _inverse_diagonal(system: Unknowns, w: Array, offsets: tuple[Offset, ...]) -> Array:
    product = jax.linearize(system.residual, w)[1]
    return inverse_diagonal(probe(product, w.shape[0], w.shape[1:], wraps(system.problem.grid), offsets, system.dtype))


def _smooth(method: FullApproximation, system: Unknowns, inverse: Array, w: Array, f: Array) -> Array:
    """Damped Jacobi with the diagonal of a linearisation nearby."""

    def step(w, _):
        r = f - system.residual(w)
        return w + method.damping * jnp.einsum("ab...,b...->a...", inverse, r), None

    return jax.lax.scan(step, w, None, length=method.sweeps)[0]


def _newton(system: Unknowns, w: Array, f: Array) -> Array:
    shape = w.shape
    flat = lambda x: (system.residual(x.reshape(shape)) - f).ravel()

    def step(x, _):
        return x - jnp.linalg.solve(jax.jacfwd(flat)(x), flat(x)), None

    return jax.lax.scan(step, w.ravel(), None, length=_NEWTON_STEPS)[0].reshape(shape)
