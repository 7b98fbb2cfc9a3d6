import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..grids import Fourier, Grid, Uniform


class Warp(eqx.Module):
    """A smooth one-to-one map of a box onto itself that keeps its faces, `x = X(xi)`; points `(ndim,)` to `(ndim,)`.

    In units of the lengths, coordinate i is a blend of monotone maps, one for each corner of the other axes,
    `X_i = sum_corners w(xi_others) m_corner(xi_i)`, with multilinear weights w; a single map is used as it is.
    `m(s) = s + sum_k (c_k sin 2 pi k s + d_k (1 - cos 2 pi k s)) / (2 pi k)^power`.

    **Shapes:** `coefficients` `(ndim, corners, 2, modes)`.
    """

    coefficients: Array
    start: tuple[float, ...] = eqx.field(static=True)
    length: tuple[float, ...] = eqx.field(static=True)
    power: float = eqx.field(static=True)

    def __call__(self, point: Array) -> Array:
        start, length = (jnp.asarray(v, point.dtype) for v in (self.start, self.length))
        s = (point - start) / length
        coefficients = self.coefficients.astype(s.dtype)
        maps = jax.vmap(lambda at, corners: jax.vmap(lambda c: self._monotone(at, c))(corners))(s, coefficients)
        moved = jnp.stack([maps[i] @ self._weights(s, i) for i in range(len(self.start))])
        return start + length * moved

    @property
    def is_tensor(self) -> bool:
        """Whether each coordinate depends on itself alone, so that diagonal tensors stay diagonal."""
        return self.coefficients.shape[1] == 1

    def _monotone(self, s: Array, c: Array) -> Array:
        k = 2 * np.pi * np.arange(1, c.shape[1] + 1)
        k, size = jnp.asarray(k, s.dtype), jnp.asarray(k**-self.power, s.dtype)
        return s + jnp.sum(size * (c[0] * jnp.sin(k * s) + c[1] * (1 - jnp.cos(k * s))))

    def _weights(self, s: Array, i: int) -> Array:
        weights = jnp.ones(1, s.dtype)
        for j in range(len(self.start)):
            if j != i and not self.is_tensor:
                weights = jnp.concatenate([(1 - s[j]) * weights, s[j] * weights])
        return weights


class TensorWarps(eqx.Module):
    """Random warps whose coordinates are moved each for itself, `x_i = X_i(xi_i)`; `warps(key, grid)` draws one.

    **Arguments:** `modes` waves per axis; `strength` below 1 bounds the change of spacing, `|X_i' - 1| < strength`;
    `power` at which their displacements fall with the wave number.

    Keeps periodic fields periodic and diagonal tensors diagonal. **Raises** `ValueError` for a strength outside (0, 1).

    Source: the maps of the authors of general covariance data augmentation (Fanaskov, Yu, Rudikov & Oseledets 2023),
    who take `strength` 1 up to 1e-5.
    """

    modes: int = eqx.field(static=True, default=5)
    strength: float = eqx.field(static=True, default=0.8)
    power: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        _check(self, 1.0)

    def __call__(self, key: PRNGKeyArray, grid: Grid) -> Warp:
        return _warp(key, grid, self, 1)


class TransfiniteWarps(eqx.Module):
    """Random warps that blend a map on every edge of the box (transfinite interpolation): lines bend.

    Arguments as for `TensorWarps`; in one dimension the same. The strength is below `1 / (1 + 2 (ndim - 1) / pi)`, 0.61
    in the plane, which keeps every Jacobian matrix diagonally dominant, hence the warp one-to-one.

    **Raises** `ValueError` for a strength too large and for periodic axes, along which the blend is not periodic.

    Source: Gordon & Hall 1973, Transfinite element methods; Fanaskov, Yu, Rudikov & Oseledets 2023.
    """

    modes: int = eqx.field(static=True, default=5)
    strength: float = eqx.field(static=True, default=0.5)
    power: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        _check(self, 1.0)

    def __call__(self, key: PRNGKeyArray, grid: Grid) -> Warp:
        ndim = len(grid.axes)
        _check(self, 1 / (1 + 2 * (ndim - 1) / np.pi))
        for name, axis in zip(grid.names, grid.axes, strict=True):
            if ndim > 1 and is_periodic(axis):
                raise ValueError(f"transfinite warps do not keep the period of axis {name!r}; write TensorWarps().")
        return _warp(key, grid, self, 2 ** (ndim - 1))


def is_periodic(axis) -> bool:
    """Whether the ends of an axis are the same point."""
    return isinstance(axis, Fourier) or (isinstance(axis, Uniform) and axis.is_periodic)


def _warp(key: PRNGKeyArray, grid: Grid, warps: TensorWarps | TransfiniteWarps, corners: int) -> Warp:
    dtype = jnp.result_type(float)
    c = jax.random.normal(key, (len(grid.axes), corners, 2, warps.modes), dtype)
    slopes = jnp.asarray((2 * np.pi * np.arange(1, warps.modes + 1)) ** (1 - warps.power), dtype)
    # The slope of a monotone map differs from 1 by less than the sum of the slopes of its waves.
    c = c * (warps.strength / jnp.sum(jnp.abs(c) * slopes[None, None, None], axis=(-2, -1), keepdims=True))
    axes = grid.axes
    return Warp(c, tuple(axis.start for axis in axes), tuple(axis.length for axis in axes), warps.power)


def _check(warps: TensorWarps | TransfiniteWarps, most: float) -> None:
    if not isinstance(warps.modes, int) or warps.modes < 1 or not 0 < warps.strength < most:
        raise ValueError(
            f"{type(warps).__name__} needs modes >= 1 and a strength between 0 and {most:.2f}, got "
            f"modes={warps.modes!r}, strength={warps.strength!r}; write strength={most / 2:.2f}."
        )
