"""From node values to the low modes of a grid's bases, and back, possibly to the nodes of another grid."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..grids import Fourier, Grid
from ._basis import mode_matrices

# Along one axis a product with the truncated transform beats the FFT of XLA below about this many modes on a CPU,
# whatever the number of nodes from 64 to 2048 (0.3 of its time at 8 modes, equal at 40, 2.2 of it at 64).
_FEW = 40

Modes = tuple[int | None, ...]


def half_axis(grid: Grid, modes: Modes) -> int | None:
    """The axis of which half of the waves is kept: the last Fourier axis that is transformed."""
    kept = [i for i, m in enumerate(modes) if m is not None and isinstance(grid.axes[i], Fourier)]
    return max(kept, default=None)


def analysis(v: Array, grid: Grid, modes: Modes, padding: float) -> Array:
    """Coefficients of the low modes of node values `(channels, *n)`.

    `(channels, *kept)` on axes with real bases; with a Fourier axis a pair, real parts first, in front. Axes whose
    entry in `modes` is None stay as they are.
    """
    half = half_axis(grid, modes)
    for i, m in _real_axes(grid, modes):
        v = _multiply(mode_matrices(grid.axes[i], m, False, padding)[0], v, i - len(modes))
    if half is None:
        return v
    v = _half_to_pair(v, grid, half, modes[half], padding)
    for i, m in _wave_axes(grid, modes, half):
        v = _waves_to_modes(v, grid, i, m, padding)
    return v


def synthesis(c: Array, grid: Grid, modes: Modes, padding: float) -> Array:
    """Node values on a grid from the coefficients that `analysis` gives: the inverse on what they span."""
    half = half_axis(grid, modes)
    if half is not None:
        for i, m in reversed(_wave_axes(grid, modes, half)):
            c = _modes_to_waves(c, grid, i, m, padding)
        c = _pair_to_half(c, grid, half, modes[half], padding)
    for i, m in reversed(_real_axes(grid, modes)):
        c = _multiply(mode_matrices(grid.axes[i], m, False, padding)[1], c, i - len(modes))
    return c


def _real_axes(grid: Grid, modes: Modes) -> list[tuple[int, int]]:
    return [(i, m) for i, m in enumerate(modes) if m is not None and not isinstance(grid.axes[i], Fourier)]


def _wave_axes(grid: Grid, modes: Modes, half: int) -> list[tuple[int, int]]:
    axes = enumerate(modes)
    return [(i, m) for i, m in axes if m is not None and isinstance(grid.axes[i], Fourier) and i != half]


# Complex numbers travel as a pair in front, so that every product is one real matrix product.


def _half_to_pair(v: Array, grid: Grid, i: int, m: int, padding: float) -> Array:
    dim = i - len(grid.axes)
    if _fast(m, padding):
        c = jax.lax.slice_in_dim(jnp.fft.rfft(v, axis=dim, norm="forward"), 0, m, axis=v.ndim + dim)
        return jnp.stack([jnp.real(c), jnp.imag(c)])
    matrix = mode_matrices(grid.axes[i], m, True, padding)[0]
    return jnp.stack(jnp.split(_multiply(np.concatenate([np.real(matrix), np.imag(matrix)]), v, dim), 2, axis=dim))


def _pair_to_half(c: Array, grid: Grid, i: int, m: int, padding: float) -> Array:
    dim, n = i - len(grid.axes), grid.axes[i].n
    if _fast(m, padding):
        # The transform ignores the imaginary part of the mean on some backends and not on others.
        imaginary = c[1] * _along(np.arange(m) > 0, c[1], dim)
        return jnp.fft.irfft(_padded(jax.lax.complex(c[0], imaginary), n // 2 + 1 - m, dim), n, dim, norm="forward")
    matrix = mode_matrices(grid.axes[i], m, True, padding)[1]
    return _multiply(
        np.concatenate([np.real(matrix), -np.imag(matrix)], axis=1), jnp.concatenate([c[0], c[1]], axis=dim), dim
    )


def _waves_to_modes(v: Array, grid: Grid, i: int, m: int, padding: float) -> Array:
    dim, n = i - len(grid.axes), grid.axes[i].n
    if not _fast(m, padding):
        return _multiply_pair(mode_matrices(grid.axes[i], m, False, padding)[0], v, dim)
    c = jnp.fft.fft(jax.lax.complex(v[0], v[1]), axis=dim, norm="forward")
    last = c.ndim + dim
    negative = jax.lax.slice_in_dim(c, n - m, n, axis=last)
    if n == 2 * m:
        # The Nyquist coefficient of a real field is the sum over k = -m and k = m, of which a finer grid keeps one.
        negative = negative * _along(np.where(np.arange(m) == 0, 0.5, 1.0), v[0], dim).astype(c.dtype)
    c = jnp.concatenate([jax.lax.slice_in_dim(c, 0, m, axis=last), negative], axis=dim)
    return jnp.stack([jnp.real(c), jnp.imag(c)])


def _modes_to_waves(c: Array, grid: Grid, i: int, m: int, padding: float) -> Array:
    dim, n = i - len(grid.axes), grid.axes[i].n
    if not _fast(m, padding):
        return _multiply_pair(mode_matrices(grid.axes[i], m, False, padding)[1], c, dim)
    positive, negative = jnp.split(jax.lax.complex(c[0], c[1]), 2, axis=dim)
    whole = jnp.concatenate([_padded(positive, n - 2 * m, dim), negative], axis=dim)
    v = jnp.fft.ifft(whole, axis=dim, norm="forward")
    return jnp.stack([jnp.real(v), jnp.imag(v)])


def _fast(m: int, padding: float) -> bool:
    return m > _FEW and not padding


def _along(factors: np.ndarray, v: Array, dim: int) -> Array:
    """Factors along one axis of `v`, in its dtype."""
    return jnp.asarray(factors, v.dtype).reshape([-1 if i == v.ndim + dim else 1 for i in range(v.ndim)])


def _padded(c: Array, more: int, dim: int) -> Array:
    return jnp.pad(c, [(0, more if i == c.ndim + dim else 0) for i in range(c.ndim)])


def _multiply(matrix: np.ndarray, v: Array, dim: int) -> Array:
    # "highest": coefficients are sums of n terms, which the reduced default precision of accelerators would spoil.
    out = jnp.tensordot(v, jnp.asarray(matrix, v.dtype), axes=((dim,), (1,)), precision="highest")
    return jnp.moveaxis(out, -1, dim)


def _multiply_pair(matrix: np.ndarray, v: Array, dim: int) -> Array:
    re, im = jnp.split(_multiply(np.concatenate([np.real(matrix), np.imag(matrix)]), v, dim), 2, axis=dim)
    return jnp.stack([re[0] - im[1], im[0] + re[1]])
