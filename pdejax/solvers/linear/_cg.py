from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree


class PCG(lx.AbstractLinearSolver):
    """Preconditioned conjugate gradients that stop on the residual they are asked for.

    Hestenes & Stiefel 1952. Differs from `lineax.CG`: it stops when `||r||_M <= rtol ||b||_M + atol` in the norm
    `||r||_M^2 = r . M r` of the preconditioner `M` (the 2-norm without one), which comes with the iteration, estimates
    the energy norm of the error and is within reach of float32 on fine grids; it does not ask for a small step as well
    (which doubles the iterations at tight tolerances); it reports a direction of negative curvature instead of carrying
    on.

    The operator must be tagged positive semidefinite; so must the `preconditioner`. `options["y0"]` is a first guess.
    A direction of negative curvature ends the solve with `lineax.RESULTS.breakdown` and `stats["indefinite"]`.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    preconditioner: lx.AbstractLinearOperator | None = None

    def __check_init__(self):
        if self.preconditioner is not None and not lx.is_positive_semidefinite(self.preconditioner):
            raise ValueError(
                "the preconditioner of PCG must be a linear operator tagged lineax.positive_semidefinite_tag."
            )

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        if not lx.is_positive_semidefinite(operator):
            raise ValueError(
                "PCG takes an operator tagged lineax.positive_semidefinite_tag; tag it, or use lineax.GMRES."
            )
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator = state
        precondition: Callable = (lambda r: r) if self.preconditioner is None else self.preconditioner.mv
        x = options.get("y0")
        r = vector if x is None else jax.tree.map(jnp.subtract, vector, operator.mv(x))
        x = jax.tree.map(jnp.zeros_like, vector) if x is None else x
        size = sum(leaf.size for leaf in jax.tree.leaves(vector))
        limit = 10 * size if self.max_steps is None else self.max_steps
        dtype = jnp.result_type(*jax.tree.leaves(vector))
        size = jnp.sqrt(_dot(vector, precondition(vector)))
        goal = (jnp.asarray(self.rtol, dtype) * size + jnp.asarray(self.atol, dtype)) ** 2
        z = precondition(r)

        def going(rz, step, curved):
            return (rz > goal) & (step < limit) & ~curved

        def unfinished(carry):
            # One answer for a whole batch, so that `vmap` copies no state: finished lanes take steps of length zero.
            return unvmap_any(going(*carry[3:]))

        def body(carry):
            x, r, p, rz, step, curved = carry
            live = going(rz, step, curved)
            q = operator.mv(p)
            curvature = _dot(p, q)
            curved = curved | (live & ~(curvature > 0))
            live = live & ~curved
            alpha = jnp.where(live, rz / jnp.where(live, curvature, 1), 0)
            x, r = _axpy(alpha, p, x), _axpy(-alpha, q, r)
            z = precondition(r)
            rz_next = jnp.where(live, _dot(r, z), rz)
            beta = jnp.where(live, rz_next / jnp.where(live, rz, 1), 0)
            return x, r, _axpy(beta, p, z), rz_next, step + live.astype(step.dtype), curved

        start = (x, r, z, _dot(r, z), jnp.zeros((), int), jnp.zeros((), bool))
        x, _, _, rz, steps, curved = jax.lax.while_loop(unfinished, body, start)
        failed = lx.RESULTS.where(curved, lx.RESULTS.breakdown, lx.RESULTS.max_steps_reached)
        result = lx.RESULTS.where(rz <= goal, lx.RESULTS.successful, failed)
        stats = {"num_steps": steps, "indefinite": curved & ~(rz <= goal)}
        return x, result, stats

    def transpose(self, state, options: dict[str, Any]):
        return state.transpose(), options

    def conj(self, state, options: dict[str, Any]):
        return state, options

    def assume_full_rank(self):
        return True


def _dot(a: PyTree[Array], b: PyTree[Array]) -> Array:
    return sum(jnp.sum(x * y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def _axpy(alpha: Array, x: PyTree[Array], y: PyTree[Array]) -> PyTree[Array]:
    return jax.tree.map(lambda a, b: b + alpha * a, x, y)
