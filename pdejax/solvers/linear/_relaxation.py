from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array

from . import _vectors as v
from ._history import History
from ._krylov import AbstractKrylov, start
from ._positive import AbstractPositive
from ._sparse import SparseMatrix, check_positive, check_square
from ._triangular import TriangularInverse


class SOR(AbstractKrylov):
    """Successive over-relaxation for a `SparseMatrix`: `x <- x + (D / omega + L)^-1 (b - A x)`.

    Young 1950; Frankel 1950. `D` is the diagonal, `L` the part below; `omega = 1` is Gauss & Seidel's method. Converges
    for Hermitian positive definite matrices if `0 < omega < 2`, with `omega = 2 / (1 + sqrt(1 - rho^2))` best where the
    equations can be two-coloured (`rho`: spectral radius of Jacobi's iteration). Hackbusch 2016, chapter 3.

    Stops at `||b - A x||_2 <= rtol ||b||_2 + atol`; a residual that grows without bound ends in `RESULTS.breakdown`.
    The rows are relaxed in their order; an order by colours makes each sweep two (or a few) parallel steps.
    `omega` may be traced: one compilation serves all.

    **Raises** `TypeError` for an operator that is no `SparseMatrix`, `ValueError` for a matrix that is not square or
    lacks a diagonal entry.
    """

    omega: Any
    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_square(operator, "SOR")
        return operator, _forward(operator, self.omega)

    def compute(self, state, vector: Array, options: dict[str, Any]):
        operator, sweep = state
        x, r, applied = start(operator, vector, options)
        scale = v.norm(vector)
        goal, limit, history = self.goal(scale), self.limit(vector), History(self.history, scale)
        # Beyond this the iteration has diverged, short of overflow.
        bound = jnp.sqrt(jnp.finfo(scale.dtype).max)

        def going(norm, step):
            return (norm > goal) & (norm < bound) & (step < limit)

        def body(carry):
            x, r, norm, step, norms = carry
            live = going(norm, step)
            trial = x + sweep.mv(r)
            x = jnp.where(live, trial, x)
            r = jnp.where(live, vector - operator.mv(trial), r)
            norm, step = jnp.where(live, v.norm(r), norm), step + live.astype(step.dtype)
            return x, r, norm, step, history.record(norms, step, norm)

        norm = v.norm(r)
        carry = x, r, norm, jnp.zeros((), int), history.start(norm)
        # One answer for a whole batch, so that lanes stop one by one and `vmap` copies no state.
        x, _, norm, step, norms = jax.lax.while_loop(lambda c: unvmap_any(going(*c[2:4])), body, carry)
        failed = lx.RESULTS.where(norm < bound, lx.RESULTS.max_steps_reached, lx.RESULTS.breakdown)
        result = lx.RESULTS.where(norm <= goal, lx.RESULTS.successful, failed)
        return x, result, {"num_steps": step, "num_matvecs": applied + step, **history.stats(norms)}

    def transpose(self, state, options: dict[str, Any]):
        return self.init(state[0].transpose(), {}), {}

    def conj(self, state, options: dict[str, Any]):
        return jax.tree.map(lambda x: jnp.conj(x) if eqx.is_inexact_array(x) else x, state), {}


class SSOR(AbstractPositive):
    """Symmetric successive over-relaxation as a preconditioner for PCG: a sweep down and a sweep up.

    `M = (2 - omega) (D / omega + U)^-1 (D / omega) (D / omega + L)^-1` for `A = L + D + U` (Axelsson 1972); positive
    for Hermitian positive definite `A` and `0 < omega < 2`. Gradients flow through `omega`, not through the matrix.

    **Raises** as `IncompleteCholesky`, and `ValueError` for `omega` outside of (0, 2).
    """

    omega: Array
    diagonal: Array
    forward: TriangularInverse
    backward: TriangularInverse

    def __init__(self, matrix: SparseMatrix, omega: Any = 1.0):
        check_positive(matrix, "SSOR")
        if not isinstance(omega, jax.core.Tracer) and not 0 < float(omega) < 2:
            raise ValueError(f"SSOR converges for 0 < omega < 2, got omega={float(omega)}.")
        matrix = matrix.with_values(jax.lax.stop_gradient(matrix.values))
        self.omega = jnp.asarray(omega, jnp.finfo(matrix.values.dtype).dtype)
        self.diagonal = lx.diagonal(matrix)
        self.forward = _forward(matrix, self.omega)
        self.backward = lx.conj(self.forward).transpose()

    def mv(self, vector: Array) -> Array:
        """Symmetric Gauss-Seidel where `omega = 1`."""
        weight = ((2 - self.omega) / self.omega).astype(vector.dtype)
        return weight * self.backward.mv(self.diagonal * self.forward.mv(vector))

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """As for the matrix."""
        return self.forward.in_structure()


def jacobi(matrix: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
    """Jacobi's preconditioner: the inverse of the diagonal of a Hermitian positive operator; empty rows are left as
    they are. No gradient flows through it.
    """
    diagonal = jax.lax.stop_gradient(lx.diagonal(matrix))
    inverse = 1 / jnp.where(diagonal == 0, jnp.ones((), diagonal.dtype), diagonal)
    return lx.TaggedLinearOperator(lx.DiagonalLinearOperator(inverse), lx.positive_semidefinite_tag)


def _forward(matrix: SparseMatrix, omega: Any) -> TriangularInverse:
    """`(D / omega + L)^-1`."""
    rows, columns = matrix.pattern.rows, matrix.pattern.columns
    lower = matrix.where(rows >= columns, lx.lower_triangular_tag)
    on_diagonal = jnp.asarray(lower.pattern.rows == lower.pattern.columns)
    omega = jnp.asarray(omega).astype(matrix.values.dtype)
    return TriangularInverse(lower.with_values(jnp.where(on_diagonal, lower.values / omega, lower.values)))
