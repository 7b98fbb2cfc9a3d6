from functools import lru_cache
from typing import Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import AbstractAxis, along, apply_matrix, check_axis, fast_size, given_ends, scale
from ._boundary import AbstractBoundary, Dirichlet, Free
from ._trigonometric import Cosine, cosine_matrix


class Chebyshev(AbstractAxis):
    """Non-periodic spectral axis on Gauss-Lobatto nodes: `u(x) = sum_k a_k T_k(s)`, `s = 2 (x - start) / length - 1`.

    Nodes `x_j = start + length (1 - cos(pi j / (n - 1))) / 2` are closed and refine as `n -> 2 n - 1`; quadrature is
    Clenshaw-Curtis. `lower` and `upper` may be `Dirichlet`, which steady solvers impose at the end nodes.

    **Raises** `ValueError` for a non-positive size, length or factor and for conditions other than `Free`/`Dirichlet`.
    """

    n: int = eqx.field(static=True)
    length: float = eqx.field(static=True, converter=float, default=2.0)
    start: float = eqx.field(static=True, converter=float, default=-1.0)
    lower: AbstractBoundary = Free()
    upper: AbstractBoundary = Free()
    dealias: float = eqx.field(static=True, converter=float, default=1.0)

    def __check_init__(self):
        check_axis("Chebyshev", self.n, self.length, self.dealias, 2)
        for side in (self.lower, self.upper):
            if not isinstance(side, Free | Dirichlet):
                raise ValueError(
                    f"a Chebyshev axis takes Free() or Dirichlet(value) at its ends, got {type(side).__name__}; "
                    "write Cosine(n) for zero slope, Fourier(n) for periodic, or Uniform(n, lower=Neumann(slope))."
                )

    @property
    def known_ends(self) -> tuple[tuple[int, Dirichlet], ...]:
        return given_ends(self.n, self.lower, self.upper)

    @property
    def points(self) -> np.ndarray:
        # sin keeps the nodes symmetric about the centre to the last bit.
        j = np.arange(self.n)
        return self.start + self.length * 0.5 * (1 + np.sin(np.pi * (2 * j - self.n + 1) / (2 * (self.n - 1))))

    @property
    def weights(self) -> np.ndarray:
        # int_{-1}^{1} T_k = 2 / (1 - k^2) for even k, 0 for odd k.
        k = self.modes
        integral = np.where(k % 2 == 0, 2 / (1 - np.where(k == 1, 0, k).astype(float) ** 2), 0.0)
        return self.length / 2 * (integral * self._signs()) @ cosine_matrix(self.n, False)

    @property
    def modes(self) -> np.ndarray:
        return np.arange(self.n)

    def forward(self, values: Array, axis: int) -> Array:
        c = self._cosine().forward(values, axis)
        return scale(c, along(self._signs(), axis, c.ndim))

    def backward(self, coefficients: Array, axis: int) -> Array:
        c = scale(coefficients, along(self._signs(), axis, coefficients.ndim))
        return self._cosine().backward(c, axis)

    def differentiate(self, coefficients: Array, axis: int, order: int) -> tuple[Array, AbstractAxis]:
        matrix = derivative_matrix(self.n, order) * (2 / self.length) ** order
        return apply_matrix(matrix, coefficients, axis), self.free

    def resize(self, coefficients: Array, axis: int, n: int) -> Array:
        return self._cosine().resize(coefficients, axis, n)

    def basis(self, points: Array) -> Array:
        points = jnp.asarray(points)
        s = jnp.clip(2 * (points - self.start) / self.length - 1, -1.0, 1.0)
        return jnp.cos(jnp.arccos(s)[:, None] * jnp.asarray(self.modes, points.dtype)[None])

    def low_pass(self, coefficients: Array, axis: int, fraction: float) -> Array:
        return self._cosine().low_pass(coefficients, axis, fraction)

    def with_size(self, n: int) -> Self:
        return type(self)(n, self.length, self.start, self.lower, self.upper, self.dealias)

    def refined(self, factor: int = 2) -> Self:
        return self.with_size((self.n - 1) * factor + 1)

    @property
    def free(self) -> "Chebyshev":
        """The axis without conditions at its ends."""
        return Chebyshev(self.n, self.length, self.start, Free(), Free(), self.dealias)

    @property
    def as_coefficient(self) -> AbstractAxis:
        return self.free

    @property
    def product_size(self) -> int:
        if self.dealias <= 1:
            return self.n
        return fast_size(self.dealias * (self.n - 1)) + 1

    def _cosine(self) -> Cosine:
        return Cosine(self.n)

    def _signs(self) -> np.ndarray:
        # The nodes run upwards, x_j = -cos(theta_j), and T_k(-s) = (-1)^k T_k(s).
        return (-1.0) ** np.arange(self.n)


@lru_cache(maxsize=64)
def derivative_matrix(n: int, order: int) -> np.ndarray:
    """Matrix taking Chebyshev coefficients on [-1, 1] to those of the derivative:
    `c_k a'_k = 2 sum_{p>k, p+k odd} p a_p`.
    """
    k, p = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    first = np.where((p > k) & ((p + k) % 2 == 1), 2.0 * p, 0.0)
    first[0] /= 2
    return np.linalg.matrix_power(first, order)
