from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from ._cg import check_definite
from ._check import check_preconditioner, hermitian_tag, is_hermitian, preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class BlockCG(AbstractKrylov):
    """Conjugate gradients for many right-hand sides at once, which share one Krylov space.

    O'Leary 1980 in the form of Dubrulle 2001 (BCGrQ): the block of residuals is kept as `R = Q C` with orthonormal
    columns by a QR factorisation a step, so that residuals that become dependent, or were from the start, do no harm.
    With a preconditioner `M` the Gram matrix `Q^H M Q` takes the place of the identity. It stops when every column has
    `||r|| <= rtol ||b|| + atol` in the 2-norm. Fewer steps than `PCG` on each column, more work a step: it pays where
    an application of the operator is expensive, not for a cheap stencil.

    Right-hand sides are stacked along a leading axis of each leaf; the operator (and the preconditioner) act on the
    whole stack: `repeat_operator(operator, count)` makes such a one. The operator must be tagged positive semidefinite.
    `stats["num_matvecs"]` counts applications to single vectors, `stats["residual_history"]` the worst column.

    **Raises** as `PCG`; `ValueError` for more right-hand sides than unknowns.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_definite(operator, "BlockCG")
        check_preconditioner(options, "BlockCG")
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        columns, stack = _matrix(vector)
        if columns.shape[0] < columns.shape[1]:
            raise ValueError(
                f"BlockCG got {columns.shape[1]} right-hand sides for {columns.shape[0]} unknowns; use a direct solver."
            )
        apply = lambda y: _matrix(state.mv(stack(y)))[0]
        precondition = lambda y: _matrix(preconditioner(options)(stack(y)))[0]
        inner = lambda a, b: jnp.matmul(a.conj().T, b, precision=jax.lax.Precision.HIGHEST)
        times = lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
        limit = 10 * columns.shape[0] if self.max_steps is None else self.max_steps
        guess, r, applied = start(state, vector, options)
        size = jnp.linalg.norm(columns, axis=0)
        goal = self.goal(size)
        history = History(self.history, jnp.ones((), size.dtype))
        relative = lambda c: jnp.max(jnp.linalg.norm(c, axis=0) / jnp.where(size > 0, size, 1))

        def going(c, step, curved):
            return jnp.any(jnp.linalg.norm(c, axis=0) > goal) & (step < limit) & ~curved

        def unfinished(carry):
            return unvmap_any(going(*carry[:3]))

        def body(carry):
            c, step, curved, x, q, p, gram, norms = carry
            live = going(c, step, curved)
            image = apply(p)
            factor = jax.scipy.linalg.cho_factor(_hermitian(inner(p, image)))
            alpha = jax.scipy.linalg.cho_solve(factor, gram)
            curved = curved | (live & ~jnp.all(jnp.isfinite(alpha)))
            # What a finished lane goes on computing is thrown away here.
            live = live & ~curved
            x = jnp.where(live, x + times(p, times(alpha, c)), x)
            q, s = jnp.linalg.qr(q - times(image, alpha))
            c = jnp.where(live, times(s, c), c)
            z = precondition(q)
            gram_next = _hermitian(inner(q, z))
            beta = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), inner(s, gram_next))
            step = step + live.astype(step.dtype)
            norms = history.record(norms, step, relative(c))
            return c, step, curved, x, q, z + times(p, beta), gram_next, norms

        q, c = jnp.linalg.qr(_matrix(r)[0])
        z = precondition(q)
        carry = (c, jnp.zeros((), int), jnp.zeros((), bool), _matrix(guess)[0], q, z, _hermitian(inner(q, z)))
        c, steps, curved, x, *_, norms = jax.lax.while_loop(unfinished, body, (*carry, history.start(relative(c))))
        met = jnp.all(jnp.linalg.norm(columns - apply(x), axis=0) <= 2 * goal)
        claimed = jnp.all(jnp.linalg.norm(c, axis=0) <= goal)
        stats = {
            "num_steps": steps,
            "num_matvecs": columns.shape[1] * (steps + curved.astype(steps.dtype) + (applied + 1)),
            "indefinite": curved & ~met,
        }
        return stack(x), verdict(met, claimed, curved), stats | history.stats(norms)


def repeat_operator(operator: lx.AbstractLinearOperator, count: int) -> lx.AbstractLinearOperator:
    """The operator on each of `count` vectors stacked along a leading axis of each leaf, as `BlockCG` wants it."""
    structure = jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), operator.in_structure())
    kept = {
        lx.symmetric_tag: lx.is_symmetric,
        lx.positive_semidefinite_tag: lx.is_positive_semidefinite,
        lx.negative_semidefinite_tag: lx.is_negative_semidefinite,
        hermitian_tag: is_hermitian,
    }
    tags = frozenset(tag for tag, has in kept.items() if has(operator))
    return lx.FunctionLinearOperator(lambda vectors: jax.vmap(operator.mv)(vectors), structure, tags)


def _matrix(vectors: PyTree[Array]):
    """Stacked vectors as the columns of a matrix, and the way back."""
    leaves, structure = jax.tree.flatten(vectors)
    ends = [0]
    for leaf in leaves:
        ends.append(ends[-1] + leaf[0].size)

    def stack(columns: Array) -> PyTree[Array]:
        parts = [columns[a:b].T.reshape(leaf.shape) for a, b, leaf in zip(ends, ends[1:], leaves, strict=False)]
        return jax.tree.unflatten(structure, parts)

    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1).T for leaf in leaves]), stack


def _hermitian(a: Array) -> Array:
    return (a + a.conj().T) / 2
