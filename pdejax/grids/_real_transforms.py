"""Sums of sines and cosines along the last array dimension by FFTs of the data themselves, not of an odd or even copy.

Even and odd wave numbers are found apart. With `N` intervals `sin(2 pi m j / N)` is a mode of the real FFT of length
`N`; the odd wave numbers are a transform of type III of half the length, on data folded about the centre, which one
real FFT of length `N / 2` gives (Makhoul 1980). Classical half-length algorithms (Cooley, Lewis & Welch 1970) take a
running sum or divide by sines, which amplifies rounding; here only rotations stand between the data and the FFTs.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import along, scale


def transformed(sums: Callable[[Array], Array], array: Array, axis: int) -> Array:
    """A transform of this module along any array dimension, of real or complex data."""
    if jnp.iscomplexobj(array):
        return jax.lax.complex(transformed(sums, array.real, axis), transformed(sums, array.imag, axis))
    return jnp.moveaxis(sums(jnp.moveaxis(array, axis, -1)), -1, axis)


def sine_order(n: int) -> np.ndarray:
    """The wave numbers `1 .. n - 2` in the order of `sine_sums`."""
    odd = quarter_order((n + 1) // 2) if n % 2 else np.arange(n - 3, 0, -2)
    return np.concatenate([np.arange(2, n - 1, 2), odd])


def sine_sums(values: Array) -> Array:
    """`sum_j f_j sin(pi k j / N)` for `n = N + 1` values, of which the first and the last do not count.

    **Returns** the `n - 2` sums in the order `sine_order(n)`.
    """
    intervals = values.shape[-1] - 1
    inner, count = values[..., :-1], (intervals + 1) // 2
    even = -jnp.fft.rfft(inner)[..., 1:count].imag
    if intervals % 2:
        odd = jnp.fft.rfft(_alternated(inner))[..., 1:count].imag
    else:
        odd = quarter_sums(jnp.flip(values[..., : intervals // 2 + 1], -1) + values[..., intervals // 2 :])
        odd = scaled(odd, quarter_signs(intervals // 2 + 1))
    return jnp.concatenate([even, odd], axis=-1)


def sine_waves(sums: Array) -> Array:
    """`sum_k b_k sin(pi k j / N)` at the `n = N + 1` nodes; `sine_waves(sine_sums(f))` is `N / 2` times `f`."""
    intervals = sums.shape[-1] + 1
    count = (intervals - 1) // 2
    even = _odd_waves(_padded(sums[..., :count], 1, intervals // 2 - count), intervals)
    if intervals % 2:
        odd = _alternated(_odd_waves(_padded(-sums[..., count:], 1, 0), intervals))
    else:
        upper = quarter_waves(scaled(sums[..., count:], quarter_signs(intervals // 2 + 1)))
        odd = jnp.concatenate([jnp.flip(upper[..., 1:], -1), upper[..., :-1]], axis=-1)
    return _padded((even + odd)[..., 1:], 1, 1)


def cosine_order(n: int) -> np.ndarray:
    """The wave numbers `0 .. n - 1` in the order of `cosine_sums`."""
    odd = quarter_order((n + 1) // 2) if n % 2 else np.arange(n - 1, 0, -2)
    return np.concatenate([np.arange(0, n, 2), odd])


def cosine_sums(values: Array) -> Array:
    """`sum_j f_j cos(pi k j / N)` for `n = N + 1` values, of which the first and the last count half.

    **Returns** the `n` sums in the order `cosine_order(n)`.
    """
    intervals = values.shape[-1] - 1
    inner, half = values[..., :-1], jnp.asarray(0.5, values.dtype)
    first, last = half * values[..., :1], half * values[..., -1:]
    even = jnp.fft.rfft(inner).real + (last - first)
    if intervals % 2:
        odd = jnp.fft.rfft(_alternated(inner)).real - (last + first)
    else:
        odd = quarter_sums(values[..., : intervals // 2 + 1] - jnp.flip(values[..., intervals // 2 :], -1))
    return jnp.concatenate([even, odd], axis=-1)


def cosine_waves(sums: Array) -> Array:
    """`sum_k a_k cos(pi k j / N)` at the `n = N + 1` nodes."""
    intervals = sums.shape[-1] - 1
    count = intervals // 2 + 1
    even = _even_waves(sums[..., :count], intervals)
    even = jnp.concatenate([even, even[..., :1]], axis=-1)
    if intervals % 2:
        odd = _even_waves(sums[..., count:], intervals)
        return even + _alternated(jnp.concatenate([odd, odd[..., :1]], axis=-1))
    lower = quarter_waves(sums[..., count:])
    return even + jnp.concatenate([lower, -jnp.flip(lower[..., :-1], -1)], axis=-1)


def quarter_order(n: int) -> np.ndarray:
    """The odd numbers `1, 3, .. 2 n - 3` in the order of `quarter_sums`."""
    return np.concatenate([np.arange(1, 2 * n - 2, 4), np.arange(3, 2 * n - 2, 4)[::-1]])


def quarter_signs(n: int) -> np.ndarray:
    """`sin(pi k / 2)` in the order of `quarter_sums`."""
    return np.where(np.arange(n - 1) < n // 2, 1.0, -1.0)


def quarter_sums(values: Array) -> Array:
    """`sum_j f_j cos(pi k j / 2 N)`, k odd, for `n = N + 1` values; the first counts half and the last not at all.

    Read from the other end these are sums of sines times `quarter_signs(n)`.

    **Returns** the `n - 1` sums in the order `quarter_order(n)`.
    """
    intervals = values.shape[-1] - 1
    half = intervals // 2 + 1
    return _type_three(values[..., :half], jnp.flip(values[..., -half:], -1), intervals)


def quarter_waves(sums: Array) -> Array:
    """`sum_k a_k cos(pi k j / 2 N)`, k odd, at the `n = N + 1` nodes."""
    low, high = _type_two(sums)
    return jnp.concatenate([low, jnp.flip(high[..., : (sums.shape[-1] + 1) // 2], -1)], axis=-1)


def centred_cosine_sums(values: Array) -> Array:
    """`sum_j f_j cos(pi k (j + 1/2) / n)` at the centres of `n` cells, for `k = 0 .. n - 1`."""
    low, high = _type_two(_folded(values))
    return jnp.concatenate([low, jnp.flip(high[..., 1 : (values.shape[-1] + 1) // 2], -1)], axis=-1)


def centred_cosine_waves(sums: Array) -> Array:
    """`sum_k a_k cos(pi k (j + 1/2) / n)` at the centres of `n` cells."""
    n = sums.shape[-1]
    half = n // 2 + 1
    twice = scaled(sums[..., :half], np.where(np.arange(half) == 0, 2.0, 1.0))
    mirror = _padded(jnp.flip(sums[..., n - half + 1 :], -1), 1, 0)
    return _unfolded(_type_three(twice, mirror, n))


def centred_sine_sums(values: Array) -> Array:
    """`sum_j f_j sin(pi k (j + 1/2) / n)` at the centres of `n` cells, for `k = 1 .. n`."""
    return jnp.flip(centred_cosine_sums(_alternated(values)), -1)


def centred_sine_waves(sums: Array) -> Array:
    """`sum_k b_k sin(pi k (j + 1/2) / n)` at the centres of `n` cells."""
    return _alternated(centred_cosine_waves(jnp.flip(sums, -1)))


def fourier_order(n: int) -> np.ndarray:
    """The wave numbers in the order of `fourier_sums`."""
    return np.concatenate([np.arange(n // 2 + 1), np.arange(1, (n + 1) // 2)])


def fourier_sums(values: Array) -> Array:
    """`sum_j f_j cos(2 pi k j / n)` for `k = 0 .. n // 2`, and the sums of sines for `0 < k < n / 2`."""
    c = jnp.fft.rfft(values)
    return jnp.concatenate([c.real, -c[..., 1 : (values.shape[-1] + 1) // 2].imag], axis=-1)


def fourier_waves(sums: Array) -> Array:
    """The waves whose coefficients are in the order of `fourier_sums`."""
    n = sums.shape[-1]
    sines = _padded(sums[..., n // 2 + 1 :], 1, 1 - n % 2)
    return _even_waves(sums[..., : n // 2 + 1], n) + _odd_waves(sines, n)


def sine_coefficients(values: Array) -> Array:
    """Coefficients of `sum_k b_k sin(pi k j / N)`, `k = 0 .. N`, of values at `N + 1` nodes; the outer two are zero."""
    sums = _ascending(sine_sums(values), 1)
    return _padded(scaled(sums, np.full(sums.shape[-1], 2 / (values.shape[-1] - 1))), 1, 1)


def sine_values(coefficients: Array) -> Array:
    """The inverse of `sine_coefficients`."""
    return sine_waves(_as_sums(coefficients[..., 1:-1], 1))


def cosine_coefficients(values: Array) -> Array:
    """Coefficients of `sum_k a_k cos(pi k j / N)`, `k = 0 .. N`, of values at `N + 1` nodes."""
    return scaled(_ascending(cosine_sums(values), 0), _inverse_norms(values.shape[-1], values.shape[-1] - 1, [0, -1]))


def cosine_values(coefficients: Array) -> Array:
    """The inverse of `cosine_coefficients`."""
    return cosine_waves(_as_sums(coefficients, 0))


def centred_sine_coefficients(values: Array) -> Array:
    """The inverse of `centred_sine_waves`."""
    return scaled(centred_sine_sums(values), _inverse_norms(values.shape[-1], values.shape[-1], [-1]))


def centred_cosine_coefficients(values: Array) -> Array:
    """The inverse of `centred_cosine_waves`."""
    return scaled(centred_cosine_sums(values), _inverse_norms(values.shape[-1], values.shape[-1], [0]))


def scaled(array: Array, factor: np.ndarray) -> Array:
    """The array with its last dimension multiplied by a real vector."""
    return scale(array, along(factor, array.ndim - 1, array.ndim))


def _inverse_norms(n: int, cells: int, half: list[int]) -> np.ndarray:
    factor = np.full(n, 2 / cells)
    factor[half] /= 2
    return factor


def _ascending(sums: Array, first: int) -> Array:
    """Sums in the order of `sine_sums` (first = 1) or `cosine_sums` (first = 0), sorted by wave number."""
    even = (sums.shape[-1] + 1 - first) // 2
    odd = sums[..., even:]
    odd = _unfolded(odd) if sums.shape[-1] % 2 else jnp.flip(odd, -1)
    return _interleaved(odd, sums[..., :even]) if first else _interleaved(sums[..., :even], odd)


def _as_sums(ascending: Array, first: int) -> Array:
    """The inverse of `_ascending`."""
    odd = ascending[..., 1 - first :: 2]
    odd = _folded(odd) if ascending.shape[-1] % 2 else jnp.flip(odd, -1)
    return jnp.concatenate([ascending[..., first::2], odd], axis=-1)


def _type_three(c: Array, mirror: Array, m: int) -> Array:
    """`sum_j c_j cos(pi (2 k + 1) j / 2 m)`, `c_0` counted half, for even `k` ascending and then odd `k` descending;
    `c` and `mirror_j = c_(m - j)` are given for `j = 0 .. m // 2`, and `mirror_0` does not count.
    """
    angle = np.pi * np.arange(m // 2 + 1) / (2 * m)
    cos, sin = 0.5 * np.cos(angle), 0.5 * np.sin(angle)
    inner = np.where(angle > 0, cos, 0.0)
    return jnp.fft.irfft(
        jax.lax.complex(scaled(c, cos) + scaled(mirror, sin), scaled(c, sin) - scaled(mirror, inner)),
        n=m,
        norm="forward",
    )


def _type_two(v: Array) -> tuple[Array, Array]:
    """`C_k = sum_j x_j cos(pi (2 j + 1) k / 2 m)` and `C_(m - k)` for `k = 0 .. m // 2`;
    `v` holds the even entries of `x` ascending and then the odd ones descending.
    """
    angle = np.pi * np.arange(v.shape[-1] // 2 + 1) / (2 * v.shape[-1])
    cos, sin = np.cos(angle), np.sin(angle)
    w = jnp.fft.rfft(v)
    return scaled(w.real, cos) + scaled(w.imag, sin), scaled(w.real, sin) - scaled(w.imag, cos)


def _odd_waves(b: Array, n: int) -> Array:
    return jnp.fft.irfft(jax.lax.complex(jnp.zeros_like(b), b * jnp.asarray(-0.5, b.dtype)), n=n, norm="forward")


def _even_waves(a: Array, n: int) -> Array:
    k = np.arange(a.shape[-1])
    a = scaled(a, np.where((k == 0) | (2 * k == n), 1.0, 0.5))
    return jnp.fft.irfft(jax.lax.complex(a, jnp.zeros_like(a)), n=n, norm="forward")


def _folded(x: Array) -> Array:
    return jnp.concatenate([x[..., ::2], jnp.flip(x[..., 1::2], -1)], axis=-1)


def _unfolded(v: Array) -> Array:
    half = (v.shape[-1] + 1) // 2
    return _interleaved(v[..., :half], jnp.flip(v[..., half:], -1))


def _interleaved(even: Array, odd: Array) -> Array:
    total = even.shape[-1] + odd.shape[-1]
    odd = _padded(odd, 0, even.shape[-1] - odd.shape[-1])
    return jnp.stack([even, odd], axis=-1).reshape(*even.shape[:-1], -1)[..., :total]


def _alternated(values: Array) -> Array:
    return scaled(values, (-1.0) ** np.arange(values.shape[-1]))


def _padded(array: Array, before: int, after: int) -> Array:
    return jnp.pad(array, [(0, 0)] * (array.ndim - 1) + [(before, after)])
