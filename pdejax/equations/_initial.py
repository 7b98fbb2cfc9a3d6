import jax.numpy as jnp
import numpy as np

from ..fields import GridField
from ..grids import Fourier, Grid


def box(n: int, length: float, names: str = "x", start: float = 0.0) -> Grid:
    """Periodic grid with `n` nodes on `[start, start + length]` along each of the named axes."""
    return Grid(**{name: Fourier(n, length=length, start=start) for name in names})


def noise(grid: Grid, channels: int = 1) -> GridField:
    """Standard normal numbers at the nodes, the same ones every time."""
    values = np.random.default_rng(0).standard_normal((channels, *grid.shape))
    return GridField(jnp.asarray(values, jnp.result_type(float)), grid)
