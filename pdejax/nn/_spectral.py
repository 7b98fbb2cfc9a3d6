import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Fourier, Grid
from ._basis import mode_matrices
from ._checks import check_channels, check_modes, check_ndim, per_axis


class SpectralConv(eqx.Module):
    """Linear layer that multiplies the low modes of a field by trainable `out x in` matrices: `(K v)^_k = R_k v^_k`.

    The bases are those of the grid the field comes with, so the layer has no grid of its own. On Fourier axes it is the
    convolution of the FNO (half axis `k = 0 .. m-1`, other axes `-m .. m-1`); on `Sine`, `Cosine` and `Chebyshev` axes
    it multiplies the coefficients `0 .. 2m-1`, and its output keeps the boundary conditions of the basis. Both keep
    `2m` real numbers and the wave lengths down to `length / m` per axis, so one array of `out in (2m)^d` reals serves
    every mix of axes and none is left over. A grid needs `n >= 2m` on Fourier axes, `n >= 2m + 1` on others.

    The real part is taken at the end, so entries of the plane `k = 0` that are not Hermitian cannot make the output
    depend on the backend. Coefficients are forward-normalised: the layer is the same on every grid that resolves `v`.

    **Arguments:** `modes` one number or one per axis; `padding` continues a field that is not periodic by zero along
    Fourier axes, over `padding * length` (no nodes are added: the waves get the longer period, the same on every grid).

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`; `weight` `(2, out, in, 2 m_1, .., 2 m_{d-1},
    m_d)`.

    **Raises** `ValueError` for a wrong channel count or dimension, axes without a basis, or too few nodes.

    Source: Li et al. 2021, Fourier neural operator, eqs. (4)-(5). Deviations: weights are centred normal with deviation
    `1 / (3 in)` (the original draws them from `[0, 1) / (in out)`; `1 / in` learns Darcy flow slightly worse) and
    stored as real pairs, so that norms and decay of every optimiser mean the same for them as for other weights.
    """

    weight: Array
    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    modes: tuple[int, ...] = eqx.field(static=True)
    padding: float = eqx.field(static=True)

    def __init__(
        self, in_channels: int, out_channels: int, modes, ndim: int, *, padding: float = 0.0, key: PRNGKeyArray
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.modes, self.padding = per_axis("modes", modes, ndim), float(padding)
        if not self.padding >= 0:
            raise ValueError(
                f"padding is a fraction of the domain and not negative, got {padding!r}; write padding=0.25."
            )
        shape = (2, out_channels, in_channels, *(2 * m for m in self.modes[:-1]), self.modes[-1])
        self.weight = jax.random.normal(key, shape) / (3 * in_channels)

    def __call__(self, v: GridField) -> GridField:
        check_ndim("SpectralConv", len(self.modes), v.grid)
        check_channels("SpectralConv", self.in_channels, v)
        return v.with_values(self.on_values(v.values, v.grid))

    def matrices(self, grid: Grid) -> Array:
        """`R_k` of each mode on this grid, `(*modes, out, in)`: complex (half of the modes) with a Fourier axis."""
        parts = _arranged(self.weight, _half(grid))
        return jnp.moveaxis(parts if _half(grid) is None else jax.lax.complex(*parts), (0, 1), (-2, -1))

    def with_matrices(self, matrices: Array, grid: Grid) -> "SpectralConv":
        """The layer that has these `R_k` on this grid."""
        parts = jnp.moveaxis(matrices, (-2, -1), (0, 1))
        parts = parts if _half(grid) is None else jnp.stack([jnp.real(parts), jnp.imag(parts)])
        return eqx.tree_at(lambda layer: layer.weight, self, _stored(parts, _half(grid)))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(in_channels, *n)`, for models that keep values between their layers."""
        check_modes("SpectralConv", grid, self.modes, self.padding)
        half = _half(grid)
        steps = [
            mode_matrices(axis, m, i == half, self.padding)
            for i, (axis, m) in enumerate(zip(grid.axes, self.modes, strict=True))
        ]
        real = [i for i, axis in enumerate(grid.axes) if not isinstance(axis, Fourier)]
        waves = [i for i, axis in enumerate(grid.axes) if isinstance(axis, Fourier) and i != half]
        # Complex numbers travel as a pair in front, so that every product is one real matrix product.
        for i in real:
            v = _multiply(steps[i][0], v, i - len(grid.axes))
        if half is not None:
            v = _to_pair(steps[half][0], v, half - len(grid.axes))
        for i in waves:
            v = _multiply_pair(steps[i][0], v, i - len(grid.axes))
        v = _mix(_arranged(self.weight, half), v, pair=half is not None)
        for i in reversed(waves):
            v = _multiply_pair(steps[i][1], v, i - len(grid.axes))
        if half is not None:
            v = _from_pair(steps[half][1], v, half - len(grid.axes))
        for i in reversed(real):
            v = _multiply(steps[i][1], v, i - len(grid.axes))
        return v


def _half(grid: Grid) -> int | None:
    """The axis of which half of the waves is kept: the last Fourier axis."""
    return max((i for i, axis in enumerate(grid.axes) if isinstance(axis, Fourier)), default=None)


def _multiply(matrix: np.ndarray, v: Array, dim: int) -> Array:
    # "highest": coefficients are sums of n terms, which the reduced default precision of accelerators would spoil.
    out = jnp.tensordot(v, jnp.asarray(matrix, v.dtype), axes=((dim,), (1,)), precision="highest")
    return jnp.moveaxis(out, -1, dim)


def _to_pair(matrix: np.ndarray, v: Array, dim: int) -> Array:
    return jnp.stack(jnp.split(_multiply(np.concatenate([np.real(matrix), np.imag(matrix)]), v, dim), 2, axis=dim))


def _multiply_pair(matrix: np.ndarray, v: Array, dim: int) -> Array:
    re, im = jnp.split(_multiply(np.concatenate([np.real(matrix), np.imag(matrix)]), v, dim), 2, axis=dim)
    return jnp.stack([re[0] - im[1], im[0] + re[1]])


def _from_pair(matrix: np.ndarray, v: Array, dim: int) -> Array:
    return _multiply(
        np.concatenate([np.real(matrix), -np.imag(matrix)], axis=1), jnp.concatenate([v[0], v[1]], axis=dim), dim
    )


def _mix(weight: Array, v: Array, pair: bool) -> Array:
    weight = weight.astype(v.dtype)
    if not pair:
        return jnp.einsum("oi...,i...->o...", weight, v)
    re, im = weight
    block = jnp.concatenate([jnp.concatenate([re, -im], axis=1), jnp.concatenate([im, re], axis=1)])
    out = jnp.einsum("oi...,i...->o...", block, v.reshape(-1, *v.shape[2:]))
    return out.reshape(2, -1, *out.shape[1:])


def _arranged(weight: Array, half: int | None) -> Array:
    """The weights as a grid needs them: real `(out, in, 2m, ..)`, or a pair with `m` entries along the half axis."""
    last = weight.ndim - 4
    if half == last:
        return weight
    weight = jnp.moveaxis(weight, 0, -1)
    weight = weight.reshape(*weight.shape[:-2], -1)
    if half is None:
        return weight
    at = 2 + half
    weight = weight.reshape(*weight.shape[:at], -1, 2, *weight.shape[at + 1 :])
    return jnp.moveaxis(weight, at + 1, 0)


def _stored(parts: Array, half: int | None) -> Array:
    """The weights as the layer keeps them: the inverse of `_arranged`."""
    if half is not None:
        if half == parts.ndim - 4:
            return parts
        parts = jnp.moveaxis(parts, 0, 3 + half)
        parts = parts.reshape(*parts.shape[: 2 + half], -1, *parts.shape[4 + half :])
    return jnp.moveaxis(parts.reshape(*parts.shape[:-1], -1, 2), -1, 0)
