import functools
import operator
from collections.abc import Iterable

import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import advect, d, inner, integrate
from ..fields import AbstractField, GridField, stack
from ._base import entry


def add(terms: Iterable[AbstractField]) -> AbstractField:
    """Sum of at least one field."""
    return functools.reduce(operator.add, terms)


def transport(velocity: Array, u: AbstractField) -> AbstractField:
    """`velocity . grad u` for a constant velocity: one number for all axes, or one per axis."""
    _check_axes("velocity", velocity, u)
    return add(entry(velocity, i) * d(u, name) for i, name in enumerate(u.space_names))


def spread(diffusivity: Array, u: AbstractField) -> AbstractField:
    """`div(D grad u)` for a constant D: one number for all axes, one per axis, or a matrix."""
    _check_axes("diffusivity", diffusivity, u)
    names = u.space_names
    if jnp.ndim(diffusivity) < 2:
        return add(entry(diffusivity, i) * d(u, name, 2) for i, name in enumerate(names))
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names))]
    return add(diffusivity[i][j] * (d(u, names[i], 2) if i == j else d(d(u, names[i]), names[j])) for i, j in pairs)


def self_advection(u: AbstractField, conservative: bool = False) -> AbstractField:
    """`(u . grad) u`, or `div(u u) / 2` if `conservative`; one form in one dimension, `(u^2 / 2)_x`."""
    names = u.space_names
    if u.channels == len(names) == 1:
        return d(u**2, names[0]) * 0.5
    if u.channels != len(names):
        raise ValueError(f"a velocity has one channel per space axis, got {u.channels} channels on axes {names}.")
    if not conservative:
        return advect(u, u)
    return stack([0.5 * add(d(u[i] * u[j], name) for j, name in enumerate(names)) for i in range(u.channels)])


def _check_axes(name: str, value: Array, u: AbstractField) -> None:
    """**Raises** `ValueError` unless a parameter is one number or has one entry per space axis (and direction)."""
    if any(size != len(u.space_names) for size in jnp.shape(value)):
        raise ValueError(
            f"the {name} has shape {jnp.shape(value)} and the field the space axes {u.space_names}; give one number, "
            "or one per axis."
        )


def mass(u: GridField) -> Array:
    """`int u dx`, all channels together."""
    return jnp.sum(integrate(u))


def square(u: GridField) -> Array:
    """`int |u|^2 dx`, all channels together."""
    return jnp.sum(inner(u, u)).real


def slope(u: GridField) -> Array:
    """`int |grad u|^2 dx`, all channels together."""
    return sum(square(d(u, name)) for name in u.space_names)


def factor(coefficient: Array | AbstractField, u: AbstractField) -> Array | AbstractField:
    """A coefficient as a factor of `u`: one on a grid takes its parity, dealiasing and complex storage from `u`."""
    if not (isinstance(coefficient, GridField) and isinstance(u, GridField)):
        return coefficient
    on_nodes = coefficient.on(u.grid.as_coefficient())
    return on_nodes if u.is_real else on_nodes.as_complex()


def check_complex(equation: str, u: AbstractField) -> None:
    """**Raises** `ValueError` if `u` is a real field on a grid."""
    if isinstance(u, GridField) and u.is_real:
        raise ValueError(f"{equation} needs a complex field, got a real one; write u.as_complex().")
