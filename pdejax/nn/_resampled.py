import jax.numpy as jnp
from jaxtyping import Array

from ..fields import GridField
from ..grids import Grid


def resampled(a: GridField, grid: Grid | tuple[int, ...]) -> Array:
    """Values of a field at the nodes of another grid, in its dtype: half precision is transformed in float32."""
    wide = a.values.astype(jnp.float32) if a.dtype.itemsize < 4 else a.values
    return GridField(wide, a.grid).resample(grid).values.astype(a.dtype)
