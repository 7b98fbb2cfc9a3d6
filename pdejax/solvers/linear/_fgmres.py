from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._check import check_linear, preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class _Cycle(NamedTuple):
    """An Arnoldi process under way: `A Z = V H`, with `H = Q^H R` made triangular by the unitary `Q`."""

    basis: PyTree[Array]
    directions: PyTree[Array] | None
    unitary: Array
    triangle: Array
    columns: Array
    error: Array
    broken: Array


class FGMRES(AbstractKrylov):
    """Flexible generalised minimal residuals, restarted, for any square system.

    Saad 1993. The preconditioner stands on the right, so the true residual is what is minimised; it may be nonlinear or
    change from step to step. With a linear one, or none, this is GMRES (Saad & Schultz 1986). Classical Gram-Schmidt,
    twice as soon as the cycle has reduced the residual by `eps^(1/4)` (orthogonality is lost as fast as the residual
    falls: Greenbaum, Rozloznik & Strakos 1997); Givens rotations; a stop inside the cycle at
    `||r|| <= rtol ||b|| + atol`. After every cycle the residual is computed anew; that one decides. If a cycle did not
    reduce it, rounding errors are reached: `lineax.RESULTS.stagnation`.

    `options["preconditioner"]` is any callable `r -> z` that is a pytree (a lineax operator, an equinox module such as
    a network, `jax.tree_util.Partial`), `options["y0"]` a first guess. Storage: `restart + 1` vectors, twice that with
    a preconditioner.

    **Arguments:** `rtol`, `atol`, `max_steps`, `history` as for `PCG`, steps counted across cycles; `restart`: vectors
    kept.

    **Raises** `ValueError` for an operator that is not square, `TypeError` for a nonlinear one.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    restart: int = eqx.field(static=True, default=40)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        if operator.in_size() != operator.out_size():
            raise ValueError(f"FGMRES takes a square operator, got {operator.out_size()} x {operator.in_size()}.")
        check_linear(operator)
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator, limit = state, self.limit(vector)
        x, r, applied = start(operator, vector, options)
        size, first = v.norm(vector), v.norm(r)
        goal, history = self.goal(size), History(self.history, size)

        def going(error, step, failed):
            return (error > goal) & (step < limit) & ~failed

        def unfinished(carry):
            _, _, error, step, _, stuck, broken, _ = carry
            return unvmap_any(going(error, step, stuck | broken))

        def body(carry):
            x, r, error, step, cycles, stuck, broken, norms = carry
            live = going(error, step, stuck | broken)
            target = jnp.where(live, goal, jnp.inf)
            cycle, norms = self._cycle(operator, options, r, error, target, limit - step, step, history, norms)
            x = self._update(x, cycle, error)
            r = v.subtract(vector, operator.mv(x))
            reached = jnp.where(live, v.norm(r), error)
            stuck = stuck | (live & ~(reached < error) & (reached > goal))
            broken = broken | (live & cycle.broken & (reached > goal))
            step, cycles = step + cycle.columns, cycles + live.astype(cycles.dtype)
            return x, r, reached, step, cycles, stuck, broken, history.record(norms, step, reached)

        zero, no = jnp.zeros((), int), jnp.zeros((), bool)
        carry = (x, r, first, zero, zero, no, ~jnp.isfinite(first), history.start(first))
        x, _, error, steps, cycles, stuck, broken, norms = jax.lax.while_loop(unfinished, body, carry)
        stats = {"num_steps": steps, "num_matvecs": steps + cycles + applied, "num_cycles": cycles}
        return x, verdict(error <= goal, (error <= goal) | stuck, broken), stats | history.stats(norms)

    def _cycle(self, operator, options, r, error, target, allowed, before, history, norms):
        precondition, restart = preconditioner(options), min(self.restart, v.size(r))
        stack = lambda count: jax.tree.map(lambda a: jnp.zeros((count, *a.shape), a.dtype), r)
        dtype = jnp.result_type(*jax.tree.leaves(r))
        scale = lambda x, s, live: jax.tree.map(lambda a: a * v.ratio(jnp.ones_like(s), s, live).astype(a.dtype), x)

        loss = float(jnp.finfo(dtype).eps) ** 0.25

        def orthogonalise(carry):
            basis, w, h = carry
            components = v.project(basis, w)
            return v.combine(-components, basis, w), h + components

        def going(turn, cycle):
            return (turn < restart) & (cycle.error > target) & (cycle.columns < allowed) & ~cycle.broken

        def body(carry):
            turn, cycle, norms = carry
            live = going(turn, cycle)
            q = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, turn, 0, keepdims=False), cycle.basis)
            z = precondition(q)
            w = operator.mv(z)
            whole = v.norm(w)
            w, h = orthogonalise((cycle.basis, w, jnp.zeros_like(cycle.unitary[0])))
            again = unvmap_any(live & (cycle.error < loss * error))
            w, h = jax.lax.cond(again, orthogonalise, lambda a: a[1:], (cycle.basis, w, h))
            beta = v.norm(w)
            beta = jnp.where(beta > 10 * jnp.finfo(beta.dtype).eps * whole, beta, 0)
            column = cycle.unitary @ h.at[turn + 1].set(beta.astype(dtype))
            # The rotation that annihilates the last entry, applied to the rows of the unitary factor.
            a, b = column[turn], column[turn + 1]
            pivot = jnp.hypot(jnp.abs(a), jnp.abs(b))
            sound = pivot > 10 * jnp.finfo(pivot.dtype).eps * whole
            broken = live & ~(sound & jnp.isfinite(whole))
            live = live & ~broken
            c, s = (v.ratio(e, pivot.astype(dtype), live) for e in (a, b))
            upper, lower = cycle.unitary[turn], cycle.unitary[turn + 1]
            unitary = cycle.unitary.at[turn].set(jnp.conj(c) * upper + jnp.conj(s) * lower)
            unitary = unitary.at[turn + 1].set(c * lower - s * upper)
            column = jnp.where(jnp.arange(restart) < turn, column[:-1], 0).at[turn].set(pivot.astype(dtype))
            unit = jnp.zeros(restart, dtype).at[turn].set(1)
            columns = cycle.columns + live.astype(cycle.columns.dtype)
            reached = jnp.where(live, error * jnp.abs(unitary[turn + 1, 0]), cycle.error)
            cycle = _Cycle(
                v.put(cycle.basis, turn + 1, scale(w, beta, live & (beta > 0))),
                None if cycle.directions is None else v.put(cycle.directions, turn, v.where(live, z)),
                jnp.where(live, unitary, cycle.unitary),
                cycle.triangle.at[:, turn].set(jnp.where(live, column, unit)),
                columns,
                reached,
                cycle.broken | broken,
            )
            return turn + 1, cycle, history.record(norms, before + columns, reached)

        cycle = _Cycle(
            v.put(stack(restart + 1), 0, scale(r, error, error > target)),
            stack(restart) if "preconditioner" in options else None,
            jnp.eye(restart + 1, dtype=dtype),
            jnp.eye(restart, dtype=dtype),
            jnp.zeros((), int),
            error,
            jnp.zeros((), bool),
        )
        unfinished = lambda carry: unvmap_any(going(carry[0], carry[1]))
        _, cycle, norms = jax.lax.while_loop(unfinished, body, (jnp.zeros((), int), cycle, norms))
        return cycle, norms

    def _update(self, x, cycle, error):
        restart = cycle.triangle.shape[0]
        kept = jnp.arange(restart) < cycle.columns
        right = jnp.where(kept, cycle.unitary[:restart, 0] * error.astype(cycle.unitary.dtype), 0)
        weights = jax.scipy.linalg.solve_triangular(cycle.triangle, right)
        directions = cycle.directions
        if directions is None:
            directions = jax.tree.map(lambda a: a[:restart], cycle.basis)
        return v.combine(weights, directions, x)
