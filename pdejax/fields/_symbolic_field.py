from typing import Self

import equinox as eqx
import jax.numpy as jnp

from ._expression import (
    AbstractExpression,
    Channel,
    Given,
    Leaf,
    Stack,
    add,
    differentiate,
    evaluate,
    leaves,
    nodes,
    variation,
)
from ._expression_field import AbstractExpressionField
from ._field import AbstractField


class SymbolicField(AbstractExpressionField):
    """An unknown that only records what is done to it, so that an energy can be differentiated in closed form.

    Channels are independent unknowns; other fields it is combined with are kept as given data.
    """

    expression: AbstractExpression
    coordinates: tuple[str, ...] = eqx.field(static=True)
    unknowns: tuple[Leaf, ...]

    def __init__(self, coordinates: tuple[str, ...], channels: int):
        zero = (0,) * len(coordinates)
        self.unknowns = tuple(Leaf(_Unknown(i), zero) for i in range(channels))
        self.expression = self.unknowns[0] if channels == 1 else Stack(self.unknowns, (1,) * channels)
        self.coordinates = tuple(coordinates)

    @property
    def channels(self) -> int:
        return _count(self.expression)

    def coordinate(self, name: str) -> Self:
        raise ValueError(
            "write the coordinate as a FunctionField in an energy: FunctionField.from_function(lambda x: x, ('x',))."
        )

    def rebuilt(self, expression: AbstractExpression) -> Self:
        field = object.__new__(type(self))
        for name, value in (("expression", expression), ("coordinates", self.coordinates), ("unknowns", self.unknowns)):
            object.__setattr__(field, name, value)
        return field

    def data(self) -> list[AbstractField]:
        """The given fields in the expression, each once."""
        return [node.field for node in nodes(self.expression) if isinstance(node, Given)]

    def operand(self, other) -> AbstractExpression | None:
        if isinstance(other, SymbolicField):
            return other.expression
        return Given(other, self.coordinates)


class _Unknown(eqx.Module):
    index: int = eqx.field(static=True)

    def __call__(self, point):
        raise TypeError("a symbolic field has no values.")


def _count(node: AbstractExpression) -> int:
    match node:
        case Stack():
            return sum(node.sizes)
        case Channel():
            return 1
        case Given():
            return node.field.channels
    return max((_count(child) for child in node.children()), default=1)


def euler_lagrange(integrand: SymbolicField, u: AbstractField) -> AbstractField:
    """`sum_alpha (-1)^|alpha| D^alpha (dL / d(D^alpha u))` for the integrand `L`, evaluated at the field `u`.

    One channel for each channel of `u`. **Raises** `ValueError` if `L` does not depend on `u`.
    """
    names = integrand.coordinates

    def value(leaf: Leaf) -> AbstractField:
        channel = next(i for i, unknown in enumerate(integrand.unknowns) if unknown.fn is leaf.fn)
        field = u[channel]
        for name, order in zip(names, leaf.orders, strict=True):
            field = field.derivative(name, order) if order else field
        return field

    parts = []
    for unknown in integrand.unknowns:
        total = None
        for leaf in leaves(integrand.expression):
            if leaf.fn is unknown.fn:
                term = variation(integrand.expression, leaf)
                for axis, order in enumerate(leaf.orders):
                    term = differentiate(term, axis, order) if order and term is not None else term
                sign = -1.0 if sum(leaf.orders) % 2 else 1.0
                total = add(total, term if sign > 0 or term is None else term.scaled(sign))
        if total is None:
            raise ValueError(
                "the energy does not depend on every channel of u; write it with the calculus applied to u."
            )
        parts.append(evaluate(total, value, lambda number: number, lambda field: field))
    parts = [part if isinstance(part, AbstractField) else u[0] * jnp.zeros(()) + part for part in parts]
    return parts[0] if len(parts) == 1 else parts[0].join(parts[1:])
