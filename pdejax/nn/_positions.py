import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..grids import Grid
from ._coordinates import hidden_grid
from ._embeddings import BasisFeatures, nodes
from ._pointwise import Pointwise


def positions(grid: Grid) -> Array:
    """Two channels per axis that tell where a point is, and no two points alike: `(2 number of axes, *n)`.

    They are the `BasisFeatures` of the nodes, in the space of the hidden fields.
    """
    grid = hidden_grid(grid)
    return BasisFeatures()(nodes(grid), grid).T.reshape(-1, *grid.shape)


class PositionCode(eqx.Module):
    """A learned function of the place: `W (cos B p, sin B p) + b` of the `positions` `p` of a grid.

    **Shapes:** a grid of `ndim` axes to values `(width, *n)` of a given dtype.

    Source: the random Fourier features of Li, Shu & Barati Farimani 2023, Scalable transformer for PDE surrogate
    modeling (FactFormer). Deviations: positions that are periodic on periodic axes, and `B` is trained.
    """

    waves: Array
    mix: Pointwise

    def __init__(self, width: int, ndim: int, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.waves = jax.random.normal(a, (width, BasisFeatures().size(ndim)))
        self.mix = Pointwise(2 * width, width, key=b)

    def __call__(self, grid: Grid, dtype) -> Array:
        phase = jnp.tensordot(self.waves.astype(dtype), positions(grid).astype(dtype), 1)
        return self.mix.on_values(jnp.concatenate([jnp.cos(phase), jnp.sin(phase)]))
