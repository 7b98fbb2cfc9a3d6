from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from . import _vectors as v


class AbstractKrylov(lx.AbstractLinearSolver):
    """What the Krylov methods share: the settings, and how the adjoint system follows from the system.

    **Arguments:** `rtol`, `atol`: stop at a residual norm of `rtol ||b|| + atol`; `max_steps` (default: ten times the
    number of unknowns); `history`: how many residual norms `stats["residual_history"]` holds.
    """

    rtol: eqx.AbstractVar[Any]
    atol: eqx.AbstractVar[Any]
    max_steps: eqx.AbstractVar[int | None]
    history: eqx.AbstractVar[int]

    def limit(self, vector: PyTree[Array]) -> int:
        """Steps allowed."""
        return 10 * v.size(vector) if self.max_steps is None else self.max_steps

    def goal(self, size: Array) -> Array:
        """The residual norm asked for, for a right-hand side of this norm."""
        return jnp.asarray(self.rtol, size.dtype) * size + jnp.asarray(self.atol, size.dtype)

    def transpose(self, state, options: dict[str, Any]):
        return jax.tree.map(_transpose, state, is_leaf=_is_operator), _adjoint(options, _transpose)

    def conj(self, state, options: dict[str, Any]):
        return jax.tree.map(_conjugate, state, is_leaf=_is_operator), _adjoint(options, _conjugate)

    def assume_full_rank(self):
        return True


def start(operator: lx.AbstractLinearOperator, vector: PyTree[Array], options: dict[str, Any]):
    """First guess, its residual, and how many applications of the operator that took."""
    guess = options.get("y0")
    if guess is None:
        return v.zeros(vector), vector, 0
    return guess, v.subtract(vector, operator.mv(guess)), 1


def verdict(met: Array, claimed: Array, broken: Array) -> lx.RESULTS:
    """The code: only a residual that was computed anew makes a success.

    A recursive residual that claimed more than is true has hit the rounding errors: stagnation.
    """
    failed = lx.RESULTS.where(claimed, lx.RESULTS.stagnation, lx.RESULTS.max_steps_reached)
    failed = lx.RESULTS.where(broken, lx.RESULTS.breakdown, failed)
    return lx.RESULTS.where(met & claimed, lx.RESULTS.successful, failed)


def _is_operator(x: Any) -> bool:
    return isinstance(x, lx.AbstractLinearOperator)


def _transpose(x: Any) -> Any:
    # Vectors kept in a state (a deflation basis) belong to Hermitian systems, whose transpose is the conjugate. A
    # callable that is no linear operator stays as it is: to a flexible method it is a guess in any case.
    if _is_operator(x):
        return x.transpose()
    return jnp.conj(x) if eqx.is_array(x) else x


def _conjugate(x: Any) -> Any:
    if _is_operator(x):
        return lx.conj(x)
    if eqx.is_array(x):
        return jnp.conj(x)
    return x


def _adjoint(options: dict[str, Any], change) -> dict[str, Any]:
    given = options.get("preconditioner")
    return {} if given is None else {"preconditioner": change(given) if _is_operator(given) else given}
