import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Fourier, Grid
from ._checks import check_channels, check_ndim
from ._contracting_modes import inside
from ._gelu import gelu
from ._mode_weights import check_depthwise
from ._spectral import check_modes, modes_per_axis
from ._truncated_transform import analysis, synthesis

# Modes this much weaker than the field in its own units count as absent.
_SMALL = 1e-12


class DynamicFilter(eqx.Module):
    """Filter that no mode grows under and whose gains and phases depend on the field.

    `(C v)^_k = sigmoid(|z_k| + m_k) exp(i (arg z_k + phi_k)) v^_k` on the ellipsoid of modes of `ContractingModes`;
    `z_k = B s(A n_k)` with complex matrices `A` and `B` shared by all modes, `s(w) = gelu(|w| + b) w / |w|`, and
    `n_k = v^_k / sqrt(mean |v^_k|^2)`, the mean over channels. It goes where a `SpectralConv` goes:
    `StabilisedFNO(..., filter=DynamicFilter)`.

    **Arguments:** `in_channels`, `out_channels` equal; `modes` one number or one per axis.

    **Shapes:** field `(channels, *n)` to field `(channels, *n)`; `gain`, `phase` `(channels, *modes)`; `mix` `A` and
    `B`, `(2, 2, channels, channels)`, real and imaginary parts second.

    **Raises** `ValueError` for a wrong channel count or dimension, axes that are not Fourier, or too few nodes.

    Source: McCabe, Harrington, Subramanian & Brown 2023, Towards stability of autoregressive neural operators, section
    4. Deviations: the norm of a mode is that of the sample, not a running mean and deviation over the training; `A` and
    `B` are free, for whatever they are the filter has norm below 1.
    """

    gain: Array
    phase: Array
    mix: Array
    bias: Array
    modes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, modes, ndim: int, *, key: PRNGKeyArray):
        check_depthwise(in_channels, out_channels)
        self.modes = modes_per_axis(modes, ndim)
        if None in self.modes:
            raise ValueError(f"DynamicFilter acts on the modes of every axis, got modes={modes}; write modes=8.")
        a, b, c = jax.random.split(key, 3)
        *others, last = self.modes
        kept = (*(2 * m for m in others), last)
        self.gain = jax.random.normal(a, (in_channels, *kept))
        self.phase = 0.1 * jax.random.normal(b, (in_channels, *kept))
        self.mix = jax.random.normal(c, (2, 2, in_channels, in_channels)) / (2 * in_channels) ** 0.5
        self.bias = jnp.zeros(in_channels)

    def __call__(self, v: GridField) -> GridField:
        check_ndim("DynamicFilter", len(self.modes), v.grid)
        check_channels("DynamicFilter", len(self.bias), v)
        return v.with_values(self.on_values(v.values, v.grid))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(channels, *n)`."""
        if not all(isinstance(axis, Fourier) for axis in grid.axes):
            raise ValueError(
                f"DynamicFilter turns the phases of waves, which the axes of {grid} do not have; write "
                "SpectralConv(..., weights=ContractingModes)."
            )
        check_modes("DynamicFilter", grid, self.modes, 0.0)
        wide = v.astype(jnp.float32) if v.dtype.itemsize < 4 else v
        c = analysis(wide, grid, self.modes, 0.0)
        return synthesis(_times(self._factor(c), c), grid, self.modes, 0.0).astype(v.dtype)

    def _factor(self, c: Array) -> Array:
        """What each coefficient is multiplied by; complex numbers are pairs in front."""
        gain, phase, bias, mix = (leaf.astype(c.dtype) for leaf in (self.gain, self.phase, self.bias, self.mix))
        w = _mixed(mix[0], c / jnp.sqrt(jnp.mean(_modulus(c) ** 2, axis=1, keepdims=True)))
        size = _modulus(w)
        z = _mixed(mix[1], w * (gelu(size + bias.reshape(1, -1, *(1 for _ in self.modes))) / size))
        size = _modulus(z)
        modulus = jax.nn.sigmoid(size[0] + gain) * jnp.asarray(inside(gain.shape[1:]), c.dtype)
        return _times(z / size, jnp.stack([modulus * jnp.cos(phase), modulus * jnp.sin(phase)]))


def _modulus(z: Array) -> Array:
    return jnp.sqrt(jnp.sum(z**2, axis=0, keepdims=True) + _SMALL)


def _times(a: Array, b: Array) -> Array:
    return jnp.stack([a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]])


def _mixed(matrix: Array, c: Array) -> Array:
    """A complex matrix times the channels of every mode, as one real product."""
    re, im = matrix
    block = jnp.concatenate([jnp.concatenate([re, -im], axis=1), jnp.concatenate([im, re], axis=1)])
    return jnp.tensordot(block, c.reshape(-1, *c.shape[2:]), axes=1).reshape(c.shape)
