import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..grids import Grid
from ._checks import check_counts, check_modes, modes_per_axis
from ._spectral import arranged, more_modes
from ._truncated_transform import half_axis, synthesis


class SpectralSource(eqx.Module):
    """A trainable field made of the low modes of a grid: what is added to a spectral convolution as its bias.

    It starts as zero. Modes and axes are those of `SpectralConv`.

    **Shapes:** `weight` `(2, channels, 1, 2 m_1, .., 2 m_{d-1}, m_d)`; node values `(channels, *n)`.

    **Raises** `ValueError` for too few nodes.

    Source: Cao, Brarda, Li & Xi 2025, Spectral-refiner, the bias of the last layer.
    """

    weight: Array
    modes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, channels: int, modes, ndim: int):
        check_counts("SpectralSource", channels=channels)
        self.modes = modes_per_axis(modes, ndim)
        *others, last = self.modes
        self.weight = jnp.zeros((2, channels, 1, *(2 * m for m in others), last))

    def with_modes(self, modes) -> "SpectralSource":
        """The same field on `Fourier` axes, with more modes. **Raises** `ValueError` for fewer modes."""
        wanted = modes_per_axis(modes, len(self.modes))
        source = SpectralSource(self.weight.shape[1], wanted, len(wanted))
        return eqx.tree_at(lambda s: s.weight, source, more_modes(self.weight, self.modes, wanted))

    def on_grid(self, grid: Grid, dtype) -> Array:
        """Its values at the nodes of a grid."""
        check_modes("SpectralSource", grid, self.modes, 0.0)
        half = half_axis(grid, self.modes)
        wide = jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
        c = jnp.squeeze(arranged(self.weight.astype(wide), half), axis=1 if half is None else 2)
        return synthesis(c, grid, self.modes, 0.0).astype(dtype)
