import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import AbstractAxis, Grid
from ._attention import precise
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import hidden_grid
from ._gelu import gelu
from ._norms import LayerNorm
from ._pointwise import Pointwise
from ._rotary import phases, rotated

# How large kernels are at first, relative to a mean: so small that a residual block starts near the identity.
_GAIN = 0.05
_FLOOR = 1e-5


class AbstractContraction(eqx.Module):
    """The order in which a field is contracted with one kernel per axis.

    **Arguments:** `heads` parts into which the channels are divided, each with kernels of its own.
    """

    heads: eqx.AbstractVar[int]

    @abc.abstractmethod
    def parts(self, ndim: int) -> int:
        """How many times as many channels come out as go in."""

    @abc.abstractmethod
    def __call__(self, kernels, v: Array) -> Array:
        """Kernels, one function of a field per axis, and `(heads, channels, *n)` to `(heads, parts channels, *n)`."""


class Chained(AbstractContraction):
    """One axis after the other: `z = k_d .. k_2 k_1 v`, a kernel that is a product over the axes.

    Source: Li, Shu & Barati Farimani 2023, Scalable transformer for PDE surrogate modeling (FactFormer).
    """

    heads: int = eqx.field(static=True, default=1)

    def parts(self, ndim: int) -> int:
        return 1

    def __call__(self, kernels, v: Array) -> Array:
        for kernel in kernels:
            v = kernel(v)
        return v


class Parallel(AbstractContraction):
    """Every axis contracts the same field, `z = (k_1 v, .., k_d v)`: errors of the axes do not multiply.

    Source: Yang, Wang & Wang 2024, Implicit factorized transformer approach to fast prediction of turbulent channel
    flows (IFactFormer-m).
    """

    heads: int = eqx.field(static=True, default=1)

    def parts(self, ndim: int) -> int:
        return ndim

    def __call__(self, kernels, v: Array) -> Array:
        return jnp.concatenate([kernel(v) for kernel in kernels], axis=1)


class AxialAttention(eqx.Module):
    """Attention axis by axis, with kernels that are functions of the field: `B(u) = W_2 gelu(W_1 N(z) + b_1) + b_2`.

    `z` is the contraction of `V LN(u)` with one kernel per axis, `(k_i v)(x) = int q_i(x).k_i(y) v(y) dy_i / length`;
    `q_i, k_i` come from the mean of `LN(u)` over the other axes by a perceptron with gates and are `rotated`, so that
    `q_i(x).k_i(y)` is a sum of the waves `0 .. modes - 1` of `x - y` with learned amplitudes. `N` gives each head mean
    0 and variance 1 over space and its channels. Means are the grid's quadrature. Cost: linear in the points.

    **Arguments:** `width` channels, a multiple of the heads; `modes` waves of a kernel; `contraction` `Chained()` or
    `Parallel()`.

    **Shapes:** field `(width, *n)` on a hidden grid to field `(width, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or if the heads do not divide `width`.

    Source: Li, Shu & Barati Farimani 2023, Scalable transformer for PDE surrogate modeling (FactFormer).
    Deviations: quadrature; rotations by integer waves of a coordinate that is smooth on each basis; kernels are applied
    from the right, as products of low rank; consecutive affine maps are one.
    """

    norm: LayerNorm
    value: Pointwise
    kernels: tuple["_AxisKernel", ...]
    outer: Pointwise
    inner: Pointwise
    contraction: AbstractContraction

    def __init__(
        self, width: int, modes: int, ndim: int, *, contraction: AbstractContraction = Chained(), key: PRNGKeyArray
    ):
        heads = contraction.heads
        check_counts("AxialAttention", width=width, modes=modes, ndim=ndim, heads=heads)
        if width % heads:
            raise ValueError(
                f"AxialAttention divides its channels among the heads and got width={width} for {heads} of them; "
                f"write width={(width // heads + 1) * heads}."
            )
        a, b, c, *keys = jax.random.split(key, 3 + ndim)
        self.norm, self.value = LayerNorm(width), Pointwise(width, width, key=a)
        self.kernels = tuple(_AxisKernel(width, heads, modes, key=k) for k in keys)
        self.outer = Pointwise(contraction.parts(ndim) * width, width, key=b)
        self.inner = Pointwise(width, width, key=c)
        self.contraction = contraction

    def __call__(self, u: GridField) -> GridField:
        check_ndim("AxialAttention", len(self.kernels), u.grid)
        check_channels("AxialAttention", self.inner.weight.shape[0], u)
        return u.with_values(self.on_values(u.values, u.grid))

    def on_values(self, u: Array, grid: Grid) -> Array:
        """The layer on node values `(width, *n)`."""
        u = self.norm.on_values(u, grid)
        weights = [_shares(axis) for axis in hidden_grid(grid).axes]
        kernels = [
            _Contract(*kernel(_mean(u, weights, i), grid, phases(axis), weights[i]), i)
            for i, (kernel, axis) in enumerate(zip(self.kernels, grid.axes, strict=True))
        ]
        v = self.value.on_values(u).reshape(self.contraction.heads, -1, *grid.shape)
        z = _standard(self.contraction(kernels, v), weights).reshape(-1, *grid.shape)
        return self.inner.on_values(gelu(self.outer.on_values(z)))


class _AxisKernel(eqx.Module):
    enter: Pointwise
    norm: LayerNorm
    linear: Pointwise
    gate: Pointwise
    features: Array

    def __init__(self, width: int, heads: int, modes: int, *, key: PRNGKeyArray):
        a, b, c, d = jax.random.split(key, 4)
        self.enter, self.linear, self.gate = (Pointwise(width, width, key=k) for k in (a, b, c))
        self.norm = LayerNorm(width)
        gain = float(np.sqrt(_GAIN / (2 * modes * width)))
        self.features = gain * jax.random.normal(d, (2, heads, 2 * modes, width))

    def __call__(self, profile: Array, grid: Grid, phase: np.ndarray, weights: np.ndarray) -> tuple[Array, Array]:
        h = self.norm.on_values(self.enter.on_values(profile), grid)
        h = self.linear.on_values(h) * gelu(self.gate.on_values(h))
        q, k = rotated(jnp.tensordot(self.features.astype(h.dtype), h, 1), phase)
        return q, k * jnp.asarray(weights, k.dtype)[None, None]


class _Contract(eqx.Module):
    q: Array
    k: Array
    axis: int = eqx.field(static=True)

    def __call__(self, v: Array) -> Array:
        # From the right: 2 f numbers a point in place of n. Sums of half precision are taken in float32.
        v, dtype = jnp.moveaxis(v, 2 + self.axis, -1), precise(v)
        moments = jnp.einsum("hfn,h...n->h...f", self.k, v, preferred_element_type=dtype).astype(v.dtype)
        z = jnp.einsum("hfn,h...f->h...n", self.q, moments, preferred_element_type=dtype).astype(v.dtype)
        return jnp.moveaxis(z, -1, 2 + self.axis)


def _shares(axis: AbstractAxis) -> np.ndarray:
    return axis.weights / axis.weights.sum()


def _mean(u: Array, weights: list[np.ndarray], but: int) -> Array:
    """The mean over all axes but one, `(channels, n)`."""
    out = u.astype(precise(u))
    for i in reversed(range(len(weights))):
        if i != but:
            out = jnp.tensordot(out, jnp.asarray(weights[i], out.dtype), axes=((1 + i,), (0,)))
    return out.astype(u.dtype)


def _standard(z: Array, weights: list[np.ndarray]) -> Array:
    """Each head with mean 0 and variance 1 over space and channels."""
    x, share = z.astype(precise(z)), np.ones(())
    for w in weights:
        share = np.multiply.outer(share, w)
    share = jnp.asarray(share / z.shape[1], x.dtype)[None, None]
    mean = lambda y: jnp.sum(share * y, axis=range(1, y.ndim), keepdims=True)
    x = x - mean(x)
    return (x * jax.lax.rsqrt(mean(x**2) + _FLOOR)).astype(z.dtype)
