from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._derivatives import derivatives
from ._expression import AbstractExpression, Leaf, evaluate, leaves
from ._expression_field import AbstractExpressionField


class FunctionField(AbstractExpressionField):
    """A function given by code: a network or a closed form, differentiated by automatic differentiation.

    `FunctionField(fn, coordinates=("t", "x"))` takes a function of one point `(len(coordinates),)` that returns
    `(channels,)` or a scalar. Arithmetic and calculus give new function fields; calling one at points `(m, d)` gives
    `(m, channels)` and evaluates each underlying function once per point for all derivatives the expression needs.
    """

    expression: AbstractExpression
    coordinates: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, fn: Callable, coordinates: tuple[str, ...]):
        coordinates = (coordinates,) if isinstance(coordinates, str) else tuple(coordinates)
        if not callable(fn):
            raise TypeError(
                f"FunctionField needs a function of one point, got {type(fn).__name__}; "
                "write FunctionField(net, ('x',))."
            )
        if len(set(coordinates)) != len(coordinates) or not coordinates:
            raise ValueError(f"coordinates must be distinct names, got {coordinates}; write coordinates=('t', 'x').")
        self.expression = Leaf(fn, (0,) * len(coordinates))
        self.coordinates = coordinates

    @classmethod
    def from_function(cls, fn: Callable, coordinates: tuple[str, ...]) -> Self:
        """Field of a function that takes the coordinates one by one and returns a scalar or a tuple (channels)."""
        return cls(_Separate(fn), coordinates)

    # Values

    def __call__(self, points: Array) -> Array:
        """Values at points `(m, number of coordinates)`, shape `(m, channels)`."""
        points = jnp.asarray(points)
        if points.ndim != 2 or points.shape[1] != len(self.coordinates):
            raise ValueError(
                f"points for a function of ({', '.join(self.coordinates)}) have shape (m, {len(self.coordinates)}), "
                f"got {points.shape}."
            )
        return jax.vmap(self.at_point)(points)

    def at_point(self, point: Array) -> Array:
        """Value at one point `(number of coordinates,)`, shape `(channels,)`."""
        wanted: dict[int, tuple[Callable, set]] = {}
        for leaf in leaves(self.expression):
            wanted.setdefault(id(leaf.fn), (leaf.fn, set()))[1].add(leaf.orders)
        known = {key: derivatives(_flat(fn), point, orders) for key, (fn, orders) in wanted.items()}
        value = evaluate(
            self.expression, lambda leaf: known[id(leaf.fn)][leaf.orders], lambda number: _like(number, point.dtype)
        )
        return jnp.broadcast_to(value, (1,)) if jnp.ndim(value) == 0 else value

    def at(self, **fixed) -> Self:
        """The function with some coordinates fixed: `u.at(t=0.5)`. Its values are taken first,
        derivatives of the rest after.
        """
        unknown = [name for name in fixed if name not in self.coordinates]
        if unknown:
            raise ValueError(f"no coordinate {unknown[0]!r} in a function of ({', '.join(self.coordinates)}).")
        return type(self)(_Fixed(self, fixed), tuple(name for name in self.coordinates if name not in fixed))

    @property
    def channels(self) -> int:
        point = jax.ShapeDtypeStruct((len(self.coordinates),), jnp.result_type(float))
        return jax.eval_shape(self.at_point, point).shape[0]

    def coordinate(self, name: str) -> Self:
        return type(self)(_Coordinate(self._index(name)), self.coordinates)

    def rebuilt(self, expression: AbstractExpression) -> Self:
        field = object.__new__(type(self))
        object.__setattr__(field, "expression", expression)
        object.__setattr__(field, "coordinates", self.coordinates)
        return field

    def operand(self, other) -> AbstractExpression | None:
        """**Raises** `ValueError` if the other function has coordinates that this one has not."""
        if not isinstance(other, FunctionField):
            # A grid field knows how to sample this function; it takes over.
            return None
        if other.coordinates == self.coordinates:
            return other.expression
        if set(other.coordinates) <= set(self.coordinates):
            index = tuple(self.coordinates.index(name) for name in other.coordinates)
            return Leaf(_Selected(other, index), (0,) * len(self.coordinates))
        raise ValueError(
            f"a function of ({', '.join(self.coordinates)}) and one of ({', '.join(other.coordinates)}) do not "
            "combine; give the first all coordinates of the second, or fix one with f.at(name=value)."
        )

    def __repr__(self) -> str:
        return f"FunctionField({', '.join(self.coordinates)})"


class _Separate(eqx.Module):
    fn: Callable

    def __call__(self, point: Array) -> Array:
        out = self.fn(*point)
        return jnp.stack([jnp.asarray(o) for o in out]) if isinstance(out, tuple | list) else jnp.asarray(out)


class _Fixed(eqx.Module):
    field: FunctionField
    fixed: dict[str, Array]

    def __call__(self, point: Array) -> Array:
        names = self.field.coordinates
        rest = iter(point)
        full = [
            jnp.asarray(self.fixed[name]).astype(point.dtype) if name in self.fixed else next(rest) for name in names
        ]
        return self.field.at_point(jnp.stack(full))


class _Coordinate(eqx.Module):
    index: int = eqx.field(static=True)

    def __call__(self, point: Array) -> Array:
        return point[self.index]


class _Selected(eqx.Module):
    field: FunctionField
    index: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, point: Array) -> Array:
        return self.field.at_point(point[np.array(self.index)])


def _flat(fn: Callable) -> Callable:
    return lambda point: jnp.reshape(fn(point), (-1,))


def _like(number: Array, dtype) -> Array:
    return number.astype(np.result_type(dtype, np.complex64) if jnp.iscomplexobj(number) else dtype)
