from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import AbstractAxis, along, check_axis, fast_size, scale


class Fourier(AbstractAxis):
    """Periodic axis: `u(x) = sum_k c_k exp(2 pi i k (x - start) / length)`.

    The `n` nodes exclude the right end point. Coefficients are forward-normalised, so they do not depend on `n`.
    A real field keeps only `k >= 0` along the last Fourier axis of its grid.

    **Arguments:** `n` nodes (even or odd); `length` of the period; `start` of the interval; `dealias`: 3/2 evaluates
    products on 3/2 times as many nodes, 2/3 zeroes the upper third of the modes instead, 1 does neither.

    **Raises** `ValueError` for a non-positive size, length or factor.
    """

    n: int = eqx.field(static=True)
    length: float = eqx.field(static=True, converter=float, default=2 * np.pi)
    start: float = eqx.field(static=True, converter=float, default=0.0)
    dealias: float = eqx.field(static=True, converter=float, default=1.0)

    def __check_init__(self):
        check_axis("Fourier", self.n, self.length, self.dealias, 1)

    @property
    def points(self) -> np.ndarray:
        return self.start + self.length * np.arange(self.n) / self.n

    @property
    def weights(self) -> np.ndarray:
        return np.full(self.n, self.length / self.n)

    @property
    def modes(self) -> np.ndarray:
        return np.rint(np.fft.fftfreq(self.n, 1 / self.n)).astype(int)

    def forward(self, values: Array, axis: int) -> Array:
        return jnp.fft.fft(values, axis=axis, norm="forward")

    def backward(self, coefficients: Array, axis: int) -> Array:
        return jnp.fft.ifft(coefficients, n=self.n, axis=axis, norm="forward")

    def differentiate(self, coefficients: Array, axis: int, order: int) -> tuple[Array, AbstractAxis]:
        return _times_ik(self, coefficients, axis, order), self

    def resize(self, coefficients: Array, axis: int, n: int) -> Array:
        return _resize(coefficients, axis, self.n, n)

    def basis(self, points: Array) -> Array:
        points = jnp.asarray(points)
        k = 2 * np.pi / self.length * self.modes
        phase = (points - self.start)[:, None] * jnp.asarray(k, points.dtype)[None]
        wave = jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
        if self.n % 2 == 0:
            # The Nyquist mode of the trigonometric interpolant is a cosine: only one of exp(+-ikx) is stored.
            wave = wave.at[:, self.n // 2].set(jnp.cos(phase[:, self.n // 2]).astype(wave.dtype))
        return wave

    def low_pass(self, coefficients: Array, axis: int, fraction: float) -> Array:
        return _low_pass(self, coefficients, axis, fraction)

    def with_size(self, n: int) -> Self:
        return type(self)(n, self.length, self.start, self.dealias)

    def refined(self, factor: int = 2) -> Self:
        return self.with_size(factor * self.n)

    @property
    def as_coefficient(self) -> AbstractAxis:
        return self

    @property
    def product_size(self) -> int:
        return _product_size(self)


class HalfFourier(AbstractAxis):
    """A Fourier axis as a real field stores it: only the coefficients `k = 0 .. n // 2`."""

    n: int = eqx.field(static=True)
    length: float = eqx.field(static=True)
    start: float = eqx.field(static=True)
    dealias: float = eqx.field(static=True, default=1.0)

    @property
    def points(self) -> np.ndarray:
        return self.full.points

    @property
    def weights(self) -> np.ndarray:
        return self.full.weights

    @property
    def full(self) -> Fourier:
        """The two-sided axis."""
        return Fourier(self.n, self.length, self.start, self.dealias)

    @property
    def modes(self) -> np.ndarray:
        return np.arange(self.n // 2 + 1)

    def forward(self, values: Array, axis: int) -> Array:
        return jnp.fft.rfft(values, axis=axis, norm="forward")

    def backward(self, coefficients: Array, axis: int) -> Array:
        return jnp.fft.irfft(coefficients, n=self.n, axis=axis, norm="forward")

    def differentiate(self, coefficients: Array, axis: int, order: int) -> tuple[Array, AbstractAxis]:
        return _times_ik(self, coefficients, axis, order), self.full

    def resize(self, coefficients: Array, axis: int, n: int) -> Array:
        if n == self.n:
            return coefficients
        m = min(self.n, n)
        # Truncation to an even size drops the Nyquist mode (a projection onto the modes whose both signs exist);
        # growing from an even size shares it between both signs.
        kept = m // 2 + 1 if n > self.n else (m + 1) // 2
        out = jax.lax.slice_in_dim(coefficients, 0, kept, axis=axis)
        if n > self.n and m % 2 == 0:
            share = np.where(np.arange(kept) == m // 2, 0.5, 1.0)
            out = scale(out, along(share, axis, out.ndim))
        widths = [(0, 0)] * out.ndim
        widths[axis] = (0, n // 2 + 1 - kept)
        return jnp.pad(out, widths)

    def basis(self, points: Array) -> Array:
        points = jnp.asarray(points)
        k = 2 * np.pi / self.length * self.modes
        twice = np.where((self.modes == 0) | (2 * self.modes == self.n), 1.0, 2.0)
        phase = (points - self.start)[:, None] * jnp.asarray(k, points.dtype)[None]
        twice = jnp.asarray(twice, points.dtype)[None]
        return jax.lax.complex(twice * jnp.cos(phase), twice * jnp.sin(phase))

    def low_pass(self, coefficients: Array, axis: int, fraction: float) -> Array:
        return _low_pass(self, coefficients, axis, fraction)

    def with_size(self, n: int) -> Self:
        return type(self)(n, self.length, self.start, self.dealias)

    def refined(self, factor: int = 2) -> Self:
        return self.with_size(factor * self.n)

    @property
    def as_coefficient(self) -> AbstractAxis:
        return self.full

    @property
    def product_size(self) -> int:
        return _product_size(self)


def _times_ik(axis_: AbstractAxis, coefficients: Array, axis: int, order: int) -> Array:
    k = 2 * np.pi / axis_.length * axis_.modes
    power = k.astype(float) ** order * (-1.0) ** (order // 2)
    if order % 2 and axis_.n % 2 == 0:
        # A real field cannot carry the phase of its Nyquist mode: its odd derivatives drop it.
        power[axis_.n // 2] = 0.0
    return scale(coefficients, along(power, axis, coefficients.ndim), imaginary=order % 2 == 1)


def _resize(coefficients: Array, axis: int, old: int, new: int) -> Array:
    if old == new:
        return coefficients
    m = min(old, new)
    positive, negative = (m + 1) // 2, (m - 1) // 2
    low = jax.lax.slice_in_dim(coefficients, 0, positive, axis=axis)
    high = jax.lax.slice_in_dim(coefficients, old - negative, old, axis=axis)
    gap = new - positive - negative
    shape = list(coefficients.shape)
    if m % 2 == 0 and new > old:
        # The Nyquist mode -n/2 stands for the cosine, shared by both signs on the finer axis.
        half = scale(jax.lax.slice_in_dim(coefficients, m // 2, m // 2 + 1, axis=axis), np.array(0.5))
        shape[axis] = gap - 2
        middle = jnp.concatenate([half, jnp.zeros(shape, coefficients.dtype), half], axis=axis)
    else:
        shape[axis] = gap
        middle = jnp.zeros(shape, coefficients.dtype)
    return jnp.concatenate([low, middle, high], axis=axis)


def _low_pass(axis_: AbstractAxis, coefficients: Array, axis: int, fraction: float) -> Array:
    # Strictly below: with fraction 2/3 the highest kept mode then satisfies 3 k < n,
    # so squares alias only onto dropped modes.
    keep = np.abs(axis_.modes) < fraction * axis_.n / 2
    return scale(coefficients, along(keep, axis, coefficients.ndim))


def _product_size(axis_: AbstractAxis) -> int:
    if axis_.dealias <= 1:
        return axis_.n
    return fast_size(axis_.dealias * axis_.n)
