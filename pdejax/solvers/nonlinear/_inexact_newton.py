import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array, PyTree

from ..linear import Preconditioned
from ..linear import _vectors as v
from ..linear._preconditioned import constant
from ._forcing import AbstractForcing, RatioForcing
from ._globalisation import AbstractGlobalisation, Direction, LineSearch, Model, add

Build = Callable[[lx.AbstractLinearOperator], lx.AbstractLinearOperator]


class Progress(eqx.Module):
    """State of `InexactNewton` between steps."""

    size: Array
    unit: Array
    goal: Array
    eta: Array
    memory: Any
    step: Array
    stuck: Array
    indefinite: Array
    counts: dict[str, Array]
    history: Array


class InexactNewton(optx.AbstractRootFinder):
    """Newton's method with an iterative linear solver, for `F(y) = 0` on pytrees of arrays: a root finder of
    optimistix, `optimistix.root_find(fn, InexactNewton(rtol, atol, linear), y0)` (Dembo, Eisenstat & Steihaug 1982).

    It ends when `||F(y)|| <= rtol size + atol`, `size` the norm of the first residual or `options["size"]`, and never
    by the length of a step. `stats`: `linear_steps`, `num_matvecs`, `num_residuals`, `residual_history` (of length
    `history + 1`, NaN-padded), `stuck` (no acceptable step was found) and `indefinite` (the last linear solve met
    negative curvature). Under `vmap` each lane keeps its own counts and stops on its own.

    **Arguments:** `linear`: any lineax solver; the `rtol` of iterative ones is set by `forcing`;
    `precondition`: a function from the Jacobian operator to an approximate inverse; `globalisation`: e.g.
    `LineSearch()`, `TrustRegion()`; `norm`: of residuals. Give `adjoint()` to `root_find` for gradients.
    """

    rtol: float
    atol: float
    linear: lx.AbstractLinearSolver
    precondition: Build | None = None
    forcing: AbstractForcing = RatioForcing()
    globalisation: AbstractGlobalisation = LineSearch()
    norm: Callable[[PyTree], Array] = v.norm
    history: int = eqx.field(static=True, default=0)

    def adjoint(self, rtol: float) -> optx.ImplicitAdjoint:
        """Gradients by the implicit function theorem, with the same linear solver and preconditioner."""
        linear = with_rtol(self.linear, rtol)
        return optx.ImplicitAdjoint(linear if self.precondition is None else Rebuilt(linear, self.precondition))

    def init(self, fn, y, args, options, f_struct, aux_struct, tags) -> Progress:
        size = self.norm(fn(y, args)[0])
        unit = options.get("size", size)
        goal = jnp.asarray(self.rtol, size.dtype) * unit + jnp.asarray(self.atol, size.dtype)
        eta = jnp.asarray(self.forcing.first, size.dtype)
        no, none = jnp.zeros((), bool), jnp.zeros((), int)
        counts = {"linear_steps": none, "num_matvecs": none, "num_residuals": none + 1}
        history = jnp.full(self.history + 1, jnp.nan, size.dtype).at[0].set(size / unit)
        return Progress(size, unit, goal, eta, self.globalisation.start(size), none, no, no, counts, history)

    def step(self, fn, y, args, options, state: Progress, tags):
        live = ~(state.stuck | (state.size <= state.goal))
        f, product, aux = jax.linearize(lambda x: fn(x, args), y, has_aux=True)
        # A lane that has finished asks for nothing.
        f = jax.tree.map(lambda x: jnp.where(live, x, 0), f)
        structure = jax.eval_shape(lambda: y)
        operator = lx.FunctionLinearOperator(product, structure, tags)
        precondition = lx.IdentityLinearOperator(structure) if self.precondition is None else None
        build = self.precondition if precondition is None else (lambda operator: precondition)

        def solve(right, eta, shift=None) -> Direction:
            shifted = operator
            if shift is not None:
                shifted = lx.FunctionLinearOperator(lambda p: v.axpy(shift, p, product(p)), structure, tags)
            return solve_once(self.linear, shifted, right, eta, {"preconditioner": build(shifted)})

        residual = lambda x: fn(x, args)[0]
        model = Model(residual, self.norm, operator, build, solve, y, f, state.size, state.eta, live)
        move = self.globalisation.step(model, state.memory)
        moves = live & move.moved
        y = jax.tree.map(lambda a, b: jnp.where(moves, a, b), add(y, move.p), y)
        predicted = lambda: self.norm(add(f, product(move.p)))
        eta = self.forcing(state.eta, state.size, move.size, predicted)
        # Nor more exactly than the last step needs (Kelley 1995, 6.20).
        eta = jnp.minimum(jnp.maximum(eta, 0.5 * state.goal / move.size), self.forcing.largest)
        counted = (move.num_steps, move.num_matvecs, move.num_residuals + 1)
        counts = {k: old + n.astype(old.dtype) for (k, old), n in zip(state.counts.items(), counted, strict=True)}
        size = jnp.where(moves, move.size, state.size)
        step = state.step + 1
        return (
            y,
            Progress(
                size,
                state.unit,
                state.goal,
                jnp.where(moves, eta, state.eta).astype(state.eta.dtype),
                move.memory,
                step,
                state.stuck | (live & move.stuck),
                live & move.indefinite,
                counts,
                state.history.at[step].set(size / state.unit, mode="drop"),
            ),
            aux,
        )

    def terminate(self, fn, y, args, options, state: Progress, tags):
        met = state.size <= state.goal
        failed = state.stuck & ~met
        return met | failed, optx.RESULTS.where(failed, optx.RESULTS.nonlinear_divergence, optx.RESULTS.successful)

    def postprocess(self, fn, y, aux, args, options, state: Progress, tags, result):
        stats = {"residual_history": state.history, "stuck": state.stuck, "indefinite": state.indefinite}
        return y, aux, state.counts | stats


def solve_once(solver, operator, right, eta, options: dict[str, Any]) -> Direction:
    """One linear solve to a tolerance known only at run time."""
    solver = with_rtol(solver, eta)
    p, _, stats = solver.compute(solver.init(operator, options), right, options)
    steps = jnp.asarray(stats.get("num_steps", 1))
    matvecs = jnp.asarray(stats.get("num_matvecs", steps))
    return Direction(p, steps, matvecs, jnp.asarray(stats.get("indefinite", False)))


def with_rtol(solver: lx.AbstractLinearSolver, rtol) -> lx.AbstractLinearSolver:
    """An iterative solver with this tolerance; a direct one as it is."""
    if all(field.name != "rtol" for field in dataclasses.fields(solver)):
        return solver
    return eqx.tree_at(lambda s: s.rtol, solver, rtol)


class Rebuilt(lx.AbstractLinearSolver):
    """A linear solver whose preconditioner is built from the operator it meets."""

    solver: lx.AbstractLinearSolver
    build: Build = eqx.field(converter=constant)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        operator = lx.linearise(operator)
        return self._with(self.build(operator)).init(operator, options)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        return self._with(None).compute(state, vector, options)

    def transpose(self, state, options: dict[str, Any]):
        return self._with(None).transpose(state, options)

    def conj(self, state, options: dict[str, Any]):
        return self._with(None).conj(state, options)

    def assume_full_rank(self):
        return self.solver.assume_full_rank()

    def _with(self, preconditioner: lx.AbstractLinearOperator | None) -> Preconditioned:
        return Preconditioned(self.solver, preconditioner)
