from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import AbstractField, GridField, SymbolicField, euler_lagrange
from ..fields._cell_energy import cell_gradient, has_cells
from ..grids import Cosine, Fourier, Sine
from ._spectrum import weighted_energy


class Functional(eqx.Module):
    """The integral of an expression over an unspecified domain: what `integrate` gives for symbolic fields."""

    integrand: SymbolicField

    def __add__(self, other: "Functional") -> "Functional":
        return Functional(self.integrand + other.integrand)

    def __sub__(self, other: "Functional") -> "Functional":
        return Functional(self.integrand - other.integrand)

    def __mul__(self, factor) -> "Functional":
        return Functional(self.integrand * factor)

    def __rmul__(self, factor) -> "Functional":
        return Functional(self.integrand * factor)

    def __neg__(self) -> "Functional":
        return Functional(-self.integrand)


def integrate(u: AbstractField) -> Array:
    """Integral over all axes of the grid, shape `(channels,)`, by the axes' quadratures.

    Spectrally accurate on spectral axes, second order on closed `Uniform` axes.

    **Raises** `TypeError` for a function field: sample it on a grid first.
    """
    if isinstance(u, SymbolicField):
        return Functional(u)  # type: ignore[return-value]
    if not isinstance(u, GridField):
        raise TypeError("a function has no domain to integrate over; write integrate(sample(u, grid)).")
    if u._flips:
        return jnp.concatenate([integrate(u[i]) for i in range(u.channels)])
    values = u.values
    out = values
    for axis in reversed(u.grid.axes):
        out = jnp.matmul(out, jnp.asarray(axis.weights, values.dtype), precision="highest")
    return out


def inner(u: AbstractField, v: AbstractField) -> Array:
    """`int u v dx` channel by channel, shape `(channels,)`; the first factor is conjugated if complex."""
    if not (isinstance(u, GridField) and isinstance(v, GridField)):
        return integrate(u * v)
    if not u.is_real:
        u = u.map(jnp.conj)
    return integrate(u.as_values() * v.as_values())


def norm(u: GridField, s: float = 0.0) -> Array:
    """Sobolev norm `||u||_{H^s} = (sum_k (1 + |k|^2)^s |u_k|^2 |domain|)^(1/2)` over all channels;
    `s = 0` is the L2 norm.

    `s = 0` uses the quadrature of any grid. Other `s` (any real number) need `Fourier`, `Sine` or `Cosine` axes, whose
    basis functions are orthogonal; positive integers also work on any axis, by derivatives
    (`s = 1`: `||u||^2 + ||grad u||^2`).

    **Raises** `ValueError` for a fractional or negative `s` on other axes, `TypeError` for function fields.
    """
    if not isinstance(u, GridField):
        raise TypeError("the norm of a function needs a domain; write norm(sample(u, grid)).")
    if s == 0:
        return jnp.sqrt(jnp.sum(jnp.abs(inner(u, u))))
    if all(isinstance(axis, Fourier | Sine | Cosine) for axis in u.grid.axes):
        return jnp.sqrt(u.grid.volume * weighted_energy(u, lambda k: (1 + (k**2).sum(axis=0)) ** s))
    if s == 1:
        return jnp.sqrt(sum((norm(u.derivative(name)) ** 2 for name in u.names), norm(u) ** 2))
    raise ValueError(
        f"the H^{s} norm needs Fourier, Sine or Cosine axes, this field lives on {u.grid}; "
        "use s=0 or s=1, or resample it."
    )


def functional_derivative(energy: Callable[[AbstractField], Array], u: AbstractField) -> AbstractField:
    """First variation `dE/du` of `E(u) = int L(u, grad u, ...) dx` as a field.

    `energy` is written with the calculus (`integrate`, `inner`, `grad`, ...) and run once on a symbolic unknown. On
    `Uniform` axes of order 2 the result is the gradient of the energy summed over the cells between nodes, divided by
    the quadrature weights: conservative, with a symmetric derivative. Elsewhere, and for energies with second
    derivatives, it is the Euler-Lagrange expression of `L`, differentiated in closed form and evaluated on `u`.
    """
    integrand = symbolic(energy, u)
    if isinstance(u, GridField) and has_cells(integrand, u):
        return cell_gradient(integrand, u)
    return euler_lagrange(integrand, u)


def symbolic(energy: Callable[[AbstractField], Array], u: AbstractField) -> SymbolicField:
    """The integrand of an energy as an expression in the channels of `u` and their derivatives.

    **Raises** `TypeError` if `energy` does not end in an integral.
    """
    functional = energy(SymbolicField(u.space_names, u.channels))  # type: ignore[arg-type]
    if not isinstance(functional, Functional):
        raise TypeError(
            f"an energy ends in integrate(...) or inner(...), got {type(functional).__name__}; write integrate(L(u))."
        )
    return functional.integrand
