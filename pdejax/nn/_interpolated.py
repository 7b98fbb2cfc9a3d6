import jax.numpy as jnp
from jaxtyping import Array

from ..grids import Grid
from ._continued import continued


def interpolated(v: Array, grid: Grid, shape: tuple[int, ...]) -> Array:
    """Values at every second node, `(channels, *ceil(n / 2))`, interpolated linearly to all nodes `shape`.

    It is the way back from a `Convolution` with stride 2. The grid says how the axes end, its size does not matter.
    """
    v, d = jnp.moveaxis(v, 0, -1), len(shape)
    for i, n in enumerate(shape):
        longer = jnp.moveaxis(continued(v, grid, (0,) * d, tuple(int(j == i) for j in range(d))), i, 0)
        pairs = jnp.stack([longer[:-1], (longer[:-1] + longer[1:]) / 2], axis=1)
        v = jnp.moveaxis(pairs.reshape(-1, *longer.shape[1:])[:n], 0, i)
    return jnp.moveaxis(v, -1, 0)
