import abc
from typing import Self

import equinox as eqx
import jax.numpy as jnp

from ..grids import arithmetic_mean
from ._expression import AbstractExpression, Constant, Linear, Power, Product, Stack, Sum, Unary, channel, differentiate
from ._field import AbstractField


class AbstractExpressionField(AbstractField):
    """A field that is an expression in functions and their derivatives."""

    expression: eqx.AbstractVar[AbstractExpression]
    coordinates: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def rebuilt(self, expression: AbstractExpression) -> Self:
        """Another expression in the same coordinates."""

    @abc.abstractmethod
    def operand(self, other) -> AbstractExpression | None:
        """The expression of something this field is combined with; `None` leaves the combination to the other."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.coordinates

    def derivative(self, name: str, order: int = 1) -> Self:
        return self._or_zero(differentiate(self.expression, self._index(name), order))

    def diffuse_along(self, coefficient, name: str, mean=arithmetic_mean) -> Self:
        return (coefficient * self.derivative(name)).derivative(name)

    def map(self, fn, parity: str | None = None) -> Self:
        return self.rebuilt(Unary(fn, self.expression, parity))

    def as_coefficients(self) -> Self:
        return self

    def conj(self) -> Self:
        return self.rebuilt(Linear(jnp.conj, self.expression))

    @property
    def real(self) -> Self:
        return self.rebuilt(Linear(jnp.real, self.expression))

    @property
    def imag(self) -> Self:
        return self.rebuilt(Linear(jnp.imag, self.expression))

    def join(self, others) -> AbstractField:
        if not others:
            return self
        parts = [self.operand(other) for other in others]
        if any(part is None for part in parts):
            raise TypeError(
                "a function joins with functions; write stack([u, v]) to sample functions beside a grid field."
            )
        return self.rebuilt(Stack((self.expression, *parts), (self.channels, *(other.channels for other in others))))

    def __getitem__(self, index: int) -> Self:
        channels = self.channels
        if not -channels <= index < channels:
            raise IndexError(
                f"channel {index} asked of a field with {channels} channels; write u[0] .. u[{channels - 1}]."
            )
        return self if channels == 1 else self._or_zero(channel(self.expression, index % channels))

    def __add__(self, other) -> Self:
        return self._combine(other, Sum)

    def __mul__(self, other) -> Self:
        return self._combine(other, Product)

    def __truediv__(self, other) -> Self:
        return self * other**-1 if isinstance(other, AbstractField) else self * (1 / jnp.asarray(other))

    def __pow__(self, exponent) -> Self:
        if isinstance(exponent, int) and exponent == 1:
            return self
        parity = ("odd" if exponent % 2 else "even") if isinstance(exponent, int) else None
        return self.map(Power(exponent), parity)

    def _combine(self, other, node) -> Self:
        operand = self.operand(other) if isinstance(other, AbstractField) else Constant(jnp.asarray(other))
        if operand is None:
            return NotImplemented
        return self.rebuilt(node(self.expression, operand))

    def _or_zero(self, expression: AbstractExpression | None) -> Self:
        return self.rebuilt(Constant(jnp.zeros(())) if expression is None else expression)

    def _index(self, name: str) -> int:
        if name not in self.coordinates:
            raise ValueError(f"no coordinate {name!r} in a function of ({', '.join(self.coordinates)}).")
        return self.coordinates.index(name)
