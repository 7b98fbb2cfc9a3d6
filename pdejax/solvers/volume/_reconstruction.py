import abc

import equinox as eqx
import jax.numpy as jnp
from jax.lax import slice_in_dim
from jaxtyping import Array

from ._limiters import AbstractLimiter, VanLeer


class AbstractReconstruction(eqx.Module):
    """Values at the two faces of a cell along one axis, from the means of its neighbours.

    `width` ghost cells are needed at each end. `share` is the weight of a face value in a quadrature of the cell that
    is exact for the reconstruction: with `dt sum_i speed_i / dx_i` up to `share` positive means stay positive
    (Zhang & Shu 2010). `primitive` says whether the law's primitive variables are interpolated, which is exact to
    second order only.
    """

    width: eqx.AbstractClassVar[int]
    share: eqx.AbstractClassVar[float]
    primitive: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def __call__(self, means: Array, axis: int) -> tuple[Array, Array]:
        """Lower and upper face values of the cells `width - 1` away from both ends of the array dimension `axis`."""


class FirstOrder(AbstractReconstruction):
    """The mean itself (Godunov 1959)."""

    width = 1
    share = 0.5
    primitive = False

    def __call__(self, means: Array, axis: int) -> tuple[Array, Array]:
        return means, means


class MUSCL(AbstractReconstruction):
    """A limited slope in each cell: second order away from extrema (van Leer 1979)."""

    limiter: AbstractLimiter = VanLeer()

    width = 2
    share = 0.5
    primitive = True

    def __call__(self, means: Array, axis: int) -> tuple[Array, Array]:
        steps = slice_in_dim(means, 1, None, axis=axis) - slice_in_dim(means, 0, -1, axis=axis)
        half = self.limiter(slice_in_dim(steps, 0, -1, axis=axis), slice_in_dim(steps, 1, None, axis=axis)) / 2
        centre = slice_in_dim(means, 1, -1, axis=axis)
        return centre - half, centre + half


class WENO5(AbstractReconstruction):
    """Three parabolas weighted by their smoothness, fifth order where the solution is smooth (Jiang & Shu 1996,
    section 2), channel by channel in conserved variables.

    Fifth order holds for cell means in one dimension; in more, the flux at a face's midpoint makes it second order for
    nonlinear laws. `epsilon` keeps the weights finite; it has the units of `u^2`.
    """

    epsilon: float = eqx.field(static=True, default=1e-6)

    width = 3
    share = 1 / 12
    primitive = False

    def __call__(self, means: Array, axis: int) -> tuple[Array, Array]:
        n = means.shape[axis] - 4
        a, b, c, d, e = (slice_in_dim(means, j, j + n, axis=axis) for j in range(5))
        return self._upper(e, d, c, b, a), self._upper(a, b, c, d, e)

    def _upper(self, a: Array, b: Array, c: Array, d: Array, e: Array) -> Array:
        parabolas = ((2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6)
        roughness = (
            13 / 12 * (a - 2 * b + c) ** 2 + (a - 4 * b + 3 * c) ** 2 / 4,
            13 / 12 * (b - 2 * c + d) ** 2 + (b - d) ** 2 / 4,
            13 / 12 * (c - 2 * d + e) ** 2 + (3 * c - 4 * d + e) ** 2 / 4,
        )
        weights = [g / (self.epsilon + r) ** 2 for g, r in zip((0.1, 0.6, 0.3), roughness, strict=True)]
        total = weights[0] + weights[1] + weights[2]
        return sum((w * p for w, p in zip(weights, parabolas, strict=True)), jnp.zeros((), a.dtype)) / total
