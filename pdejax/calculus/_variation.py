from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import AbstractField, FunctionField, GridField
from ..fields._cell_energy import cell_energy, has_cells
from ._integral import functional_derivative, symbolic


def discrete_energy(energy: Callable[[AbstractField], Array], u: GridField) -> Array:
    """`E(u)` by the quadrature whose gradient `functional_derivative` is, a number.

    The sum over cells on `Uniform` axes of order 2, `energy(u)` itself elsewhere.
    """
    integrand = symbolic(energy, u)
    return cell_energy(integrand, u) if has_cells(integrand, u) else jnp.sum(energy(u))


def first_variation(energy: Callable[[AbstractField], Array], u: GridField, v: GridField) -> Array:
    """`d/ds E(u + s v)` at `s = 0`, a number: the derivative of `discrete_energy` along `v`.

    It contains the boundary terms that the Euler-Lagrange expression leaves out, so that it equals
    `sum(inner(functional_derivative(energy, u), v))` for `v` that vanish at the ends.

    **Raises** `TypeError` for function fields, which have no domain.
    """
    if not (isinstance(u, GridField) and isinstance(v, GridField)):
        raise TypeError(
            "a function has no domain to integrate over; write first_variation(energy, sample(u, grid), v)."
        )
    return jax.jvp(lambda w: discrete_energy(energy, u.with_values(w)), (u.values,), (v.values,))[1]


def second_variation(energy: Callable[[AbstractField], Array], u: AbstractField, v: AbstractField) -> AbstractField:
    """`d/ds dE/du(u + s v)` at `s = 0` as a field: the Hessian of the energy at `u`, applied to `v`.

    One forward derivative of `functional_derivative`; nothing is assembled.
    """
    if isinstance(u, GridField):

        def gradient(w: Array):
            out = functional_derivative(energy, u.with_values(w))
            return out.values, out.grid

        _, tangent, grid = jax.jvp(gradient, (u.values,), (v.values,), has_aux=True)  # type: ignore[union-attr]
        return GridField(tangent, grid)

    def at_point(point: Array) -> Array:
        moved = lambda s: functional_derivative(energy, u + s * v).at_point(point)  # type: ignore[union-attr]
        zero = jnp.zeros((), point.dtype)
        return jax.jvp(moved, (zero,), (jnp.ones_like(zero),))[1]

    return FunctionField(at_point, u.names)
