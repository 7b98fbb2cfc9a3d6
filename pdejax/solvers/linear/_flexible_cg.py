from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._cg import check_definite
from ._check import preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class FlexibleCG(AbstractKrylov):
    """Conjugate gradients whose preconditioner may be nonlinear or change from step to step.

    Notay 2000, algorithm FCG(m): each preconditioned residual is made `A`-orthogonal to the last `memory` directions,
    which restores, up to truncation, what a variable preconditioner breaks. With a fixed definite one it is PCG at one
    more inner product per remembered direction. Stops at `||r|| <= rtol ||b|| + atol` in the 2-norm (a nonlinear
    preconditioner gives no norm).

    The operator must be tagged positive semidefinite. `options["preconditioner"]` is any callable `r -> z` that is a
    pytree (a lineax operator, an equinox module such as a network, `jax.tree_util.Partial`). A direction without
    positive curvature ends the solve with `lineax.RESULTS.breakdown` and `stats["indefinite"]`.

    **Arguments:** `rtol`, `atol`, `max_steps`, `history` as for `PCG`; `memory`: directions remembered.

    **Raises** `ValueError` for an operator without the tag, `TypeError` for a nonlinear one.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    memory: int = eqx.field(static=True, default=2)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_definite(operator, "FlexibleCG")
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator, precondition, limit = state, preconditioner(options), self.limit(vector)
        x, r, applied = start(operator, vector, options)
        size, first = v.norm(vector), v.norm(r)
        goal, history = self.goal(size), History(self.history, size)
        # The loop counts its turns beside each lane's steps: one slot for a whole batch, no scatter under `vmap`.
        past = jax.tree.map(lambda a: jnp.zeros((self.memory, *a.shape), a.dtype), vector)
        curvatures = jnp.ones(self.memory, size.dtype)

        def going(error, step, flat):
            return (error > goal) & (step < limit) & ~flat

        def unfinished(carry):
            return unvmap_any(going(*carry[3:6]))

        def body(carry):
            x, r, (directions, products, curvatures), error, step, flat, turn, norms = carry
            live = going(error, step, flat)
            z = precondition(r)
            d = v.combine(-v.project(products, z) / curvatures.astype(z_dtype), directions, z)
            q = operator.mv(d)
            curvature = v.energy(d, q)
            flat = flat | (live & ~(curvature > 0))
            live = live & ~flat
            alpha = v.ratio(v.dot(d, r), curvature.astype(z_dtype), live)
            x, r = v.axpy(alpha, d, x), v.axpy(-alpha, q, r)
            error = jnp.where(live, v.norm(r), error)
            step = step + live.astype(step.dtype)
            slot = turn % self.memory
            past = (
                v.put(directions, slot, v.where(live, d)),
                v.put(products, slot, v.where(live, q)),
                curvatures.at[slot].set(jnp.where(live, curvature, 1)),
            )
            return x, r, past, error, step, flat, turn + 1, history.record(norms, step, error)

        z_dtype = jnp.result_type(*jax.tree.leaves(vector))
        zero = jnp.zeros((), int)
        carry = (x, r, (past, past, curvatures), first, zero, jnp.zeros((), bool), zero, history.start(first))
        x, _, _, error, steps, flat, _, norms = jax.lax.while_loop(unfinished, body, carry)
        met = v.norm(v.subtract(vector, operator.mv(x))) <= 2 * goal
        stats = {
            "num_steps": steps,
            "num_matvecs": steps + flat.astype(steps.dtype) + (applied + 1),
            "indefinite": flat & ~met,
        }
        return x, verdict(met, error <= goal, flat), stats | history.stats(norms)
