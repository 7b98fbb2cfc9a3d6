import abc
from collections.abc import Sequence
from typing import Self

import equinox as eqx

from ..grids import arithmetic_mean


class AbstractField(eqx.Module):
    """A function on a domain, with the operations that equations are written with.

    What is not abstract here is derived from `derivative`, `+`, `*` and indexing, so an equation written with the
    calculus runs on every kind of field.
    """

    @property
    @abc.abstractmethod
    def channels(self) -> int:
        """Number of components."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""

    @property
    def space_names(self) -> tuple[str, ...]:
        """Names of the coordinates other than time."""
        return tuple(name for name in self.names if name != "t")

    @abc.abstractmethod
    def derivative(self, name: str, order: int = 1) -> Self:
        """Derivative along one coordinate, channel by channel."""

    @abc.abstractmethod
    def diffuse_along(self, coefficient, name: str, mean=arithmetic_mean) -> Self:
        """`d/dx (a du/dx)` along one coordinate, in conservative form where the axis has one."""

    @abc.abstractmethod
    def coordinate(self, name: str) -> Self:
        """The coordinate as a field of one channel on the same domain."""

    @abc.abstractmethod
    def map(self, fn, parity: str | None = None) -> Self:
        """`fn(u)` point by point; `parity` ("odd"/"even") says what fn does to sine axes."""

    @abc.abstractmethod
    def as_coefficients(self) -> Self:
        """The same field ready to be differentiated: all channels of a grid field in one transform."""

    @abc.abstractmethod
    def conj(self) -> Self:
        """The complex conjugate."""

    @property
    @abc.abstractmethod
    def real(self) -> Self:
        """The real part."""

    @property
    @abc.abstractmethod
    def imag(self) -> Self:
        """The imaginary part."""

    @abc.abstractmethod
    def join(self, others: Sequence["AbstractField"]) -> "AbstractField":
        """Channels of this field followed by those of the others."""

    @abc.abstractmethod
    def __getitem__(self, index: int) -> Self: ...

    @abc.abstractmethod
    def __add__(self, other) -> Self: ...

    @abc.abstractmethod
    def __mul__(self, other) -> Self: ...

    @abc.abstractmethod
    def __truediv__(self, other) -> Self: ...

    @abc.abstractmethod
    def __pow__(self, exponent) -> Self: ...

    def __neg__(self) -> Self:
        return self * -1.0

    def __sub__(self, other) -> Self:
        return self + (-other)

    def __radd__(self, other) -> Self:
        return self + other

    def __rmul__(self, other) -> Self:
        return self * other

    def __rsub__(self, other) -> Self:
        return (-self) + other

    def __rtruediv__(self, other) -> Self:
        return self**-1 * other
