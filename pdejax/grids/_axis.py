import abc
import math
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._boundary import AbstractBoundary, Dirichlet


class AbstractAxis(eqx.Module):
    """One axis of a tensor grid: its nodes, its basis functions and what can be done along it.

    A function along the axis is `u(x) = sum_k c_k phi_k(x)`; `forward` maps the values at the nodes to the
    coefficients `c_k`, `backward` maps them back. On nodal axes (`Uniform`) the coefficients are the values.
    Every method acts on arrays along the array dimension `axis`; all others are batch dimensions.
    """

    n: eqx.AbstractVar[int]
    length: eqx.AbstractVar[float]
    start: eqx.AbstractVar[float]

    @property
    @abc.abstractmethod
    def dealias(self) -> float:
        """Factor by which the nodes are multiplied to evaluate products (below 1: the fraction of the modes kept)."""

    @property
    @abc.abstractmethod
    def points(self) -> np.ndarray:
        """Nodes in increasing order, float64, shape `(n,)`."""

    @property
    @abc.abstractmethod
    def weights(self) -> np.ndarray:
        """Quadrature weights at the nodes, float64, shape `(n,)`."""

    @property
    @abc.abstractmethod
    def modes(self) -> np.ndarray:
        """Integer mode numbers of the stored coefficients."""

    @abc.abstractmethod
    def forward(self, values: Array, axis: int) -> Array:
        """Values at the nodes to coefficients."""

    @abc.abstractmethod
    def backward(self, coefficients: Array, axis: int) -> Array:
        """Coefficients to values at the nodes."""

    @abc.abstractmethod
    def differentiate(self, coefficients: Array, axis: int, order: int) -> "tuple[Array, AbstractAxis]":
        """Coefficients of the derivative of the given order, and the axis they belong to."""

    @abc.abstractmethod
    def resize(self, coefficients: Array, axis: int, n: int) -> Array:
        """Truncate or zero-pad to the coefficients of the same axis with `n` nodes."""

    @abc.abstractmethod
    def basis(self, points: Array) -> Array:
        """Matrix `(len(points), number of coefficients)` of the basis functions at arbitrary points."""

    @abc.abstractmethod
    def with_size(self, n: int) -> Self:
        """The same axis with `n` nodes."""

    @abc.abstractmethod
    def refined(self, factor: int = 2) -> Self:
        """The axis whose nodes contain these and `factor - 1` new ones in each gap."""

    @abc.abstractmethod
    def low_pass(self, coefficients: Array, axis: int, fraction: float) -> Array:
        """Zero the coefficients above the given fraction of the highest mode."""

    @property
    @abc.abstractmethod
    def as_coefficient(self) -> "AbstractAxis":
        """The axis on which a coefficient that multiplies functions of this axis lives
        (a sine axis: its cosine twin).
        """

    @property
    def is_spectral(self) -> bool:
        """Whether coefficients differ from values."""
        return True

    @property
    def known_ends(self) -> "tuple[tuple[int, Dirichlet], ...]":
        """The end nodes whose values are given: their indices 0 or `n - 1`, and the conditions."""
        return ()

    @property
    def end(self) -> float:
        """Right end of the interval."""
        return self.start + self.length

    @property
    def product_size(self) -> int:
        """Number of nodes on which products are evaluated (`n` unless `dealias > 1`)."""
        return self.n


def given_ends(n: int, lower: AbstractBoundary, upper: AbstractBoundary) -> tuple[tuple[int, Dirichlet], ...]:
    """`known_ends` of an axis with nodes at both ends."""
    return tuple((at, side) for at, side in ((0, lower), (n - 1, upper)) if isinstance(side, Dirichlet))


def along(array: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """Reshape a vector so that it broadcasts along array dimension `axis` of `ndim` dimensions."""
    shape = [1] * ndim
    shape[axis] = -1
    return array.reshape(shape)


def check_axis(kind: str, n: int, length: float, dealias: float, minimum: int) -> None:
    """Refuse sizes, lengths and dealiasing factors that make no sense.

    **Raises** `ValueError` with what came, what was wanted and what to write.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < minimum:
        raise ValueError(f"{kind} needs an integer number of nodes >= {minimum}, got n={n!r}; write {kind}({minimum}).")
    if not length > 0:
        raise ValueError(f"{kind} needs a positive length, got length={length!r}; write {kind}({n}, length=1.0).")
    if not dealias > 0:
        raise ValueError(
            f"{kind} needs a positive dealias factor, got {dealias!r}; write dealias=3/2 to pad for quadratic "
            "products, dealias=2/3 to truncate, dealias=1 for neither."
        )


def fast_size(n: float) -> int:
    """The next size from `n` on without prime factors above five, for which transforms are fast."""
    size = max(1, math.ceil(n))
    while _rest(size) > 1:
        size += 1
    return size


def _rest(size: int) -> int:
    # SciPy's next_fast_len does the same, but importing scipy.fft takes as long as all of pdejax.
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    return size


def scale(array: Array, factor: np.ndarray | Array, imaginary: bool = False) -> Array:
    """`array * factor` (or `array * i factor`) for a real factor: the array's dtype is kept
    and no complex product is formed.
    """
    factor = jnp.asarray(factor).astype(array.real.dtype)
    if not jnp.iscomplexobj(array):
        return array * factor
    re, im = array.real * factor, array.imag * factor
    return jax.lax.complex(-im, re) if imaginary else jax.lax.complex(re, im)


def apply_matrix(matrix: np.ndarray, array: Array, axis: int) -> Array:
    """Multiply one array dimension by a matrix `(m, n)`, in the array's dtype and at full precision on accelerators."""
    out = jnp.tensordot(array, jnp.asarray(matrix, array.dtype), axes=((axis,), (1,)), precision="highest")
    return jnp.moveaxis(out, -1, axis)
