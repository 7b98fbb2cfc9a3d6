import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import GridField
from ..grids import Grid
from ._attention import precise
from ._checks import check_channels, check_counts
from ._coordinates import hidden_grid

# Added to variances: what is smaller than its root counts as constant.
_FLOOR = 1e-5


class InstanceNorm(eqx.Module):
    """Each channel of one sample with mean 0 and variance 1 over space, then a trainable affine map of its own.

    `y = scale (v - mean) / sqrt(variance + 1e-5) + shift`, with `mean = int v dx / volume` and the variance alike: the
    integrals are the grid's quadrature, so the layer is the same on every grid that resolves `v^2`. Half precision is
    summed in float32.

    **Shapes:** field `(channels, *n)` to field `(channels, *n)`; `scale`, `shift` `(channels,)`.

    **Raises** `ValueError` for a wrong channel count.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, Instance normalization. Deviation: integrals in place of pixel means.
    """

    scale: Array
    shift: Array

    def __init__(self, channels: int):
        check_counts("InstanceNorm", channels=channels)
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)

    def __call__(self, v: GridField) -> GridField:
        check_channels("InstanceNorm", self.scale.shape[-1], v)
        return v.with_values(self.on_values(v.values, v.grid))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(channels, *n)`."""
        # Squares are even functions, so sine axes take the quadrature of their cosine twins.
        weights = hidden_grid(grid).weights()
        weights = jnp.asarray(weights / weights.sum(), precise(v))[None]
        return _normalised(self, v, lambda x: jnp.sum(weights * x, tuple(range(1, v.ndim)), keepdims=True))


class LayerNorm(eqx.Module):
    """The channels at each point with mean 0 and variance 1 among themselves, then a trainable affine map of each.

    `y = scale (v - mean) / sqrt(variance + 1e-5) + shift`, point by point, so it is the same on every grid. Half
    precision is summed in float32.

    **Shapes:** field `(channels, *n)` to field `(channels, *n)`; `scale`, `shift` `(channels,)`.

    **Raises** `ValueError` for a wrong channel count.

    Source: Ba, Kiros & Hinton 2016, Layer normalization, over the channels.
    """

    scale: Array
    shift: Array

    def __init__(self, channels: int):
        check_counts("LayerNorm", channels=channels)
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)

    def __call__(self, v: GridField) -> GridField:
        check_channels("LayerNorm", self.scale.shape[-1], v)
        return v.with_values(self.on_values(v.values, v.grid))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(channels, *n)`; the grid is not used."""
        return _normalised(self, v, lambda x: jnp.mean(x, 0, keepdims=True))


def _normalised(layer: InstanceNorm | LayerNorm, v: Array, mean) -> Array:
    x = v.astype(precise(v))
    x = x - mean(x)
    x = x * jax.lax.rsqrt(mean(x**2) + _FLOOR)
    scale, shift = (p.astype(x.dtype).reshape(-1, *(1,) * (v.ndim - 1)) for p in (layer.scale, layer.shift))
    return (scale * x + shift).astype(v.dtype)
