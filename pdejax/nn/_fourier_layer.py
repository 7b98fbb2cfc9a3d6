import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._pointwise import Pointwise
from ._resampled import resampled
from ._spectral import SpectralConv


class FourierLayer(eqx.Module):
    """The affine part of a Fourier layer: `K v + W v + b`, `K` a `SpectralConv` and `W` `Pointwise`.

    **Arguments:** those of `SpectralConv`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`; `on_values` takes and gives node values, and
    `onto` another grid on which the layer answers: `K v` is evaluated there, `W v` resampled.

    **Raises** what `SpectralConv` and `Pointwise` raise.

    Source: Li et al. 2021, Fourier neural operator, eq. (2).
    """

    spectral: SpectralConv
    local: Pointwise

    def __init__(
        self, in_channels: int, out_channels: int, modes, ndim: int, *, padding: float = 0.0, key: PRNGKeyArray
    ):
        a, b = jax.random.split(key)
        self.spectral = SpectralConv(in_channels, out_channels, modes, ndim, padding=padding, key=a)
        self.local = Pointwise(in_channels, out_channels, key=b)

    def __call__(self, v: GridField) -> GridField:
        return self.spectral(v) + self.local(v)

    def on_values(self, v: Array, grid: Grid, onto: Grid | None = None) -> Array:
        """The layer on node values `(in_channels, *n)`."""
        if onto is None or onto == grid:
            return self.spectral.on_values(v, grid) + self.local.on_values(v)
        near = resampled(GridField(self.local.on_values(v), grid), onto)
        return self.spectral.on_values(v, grid, onto) + near
