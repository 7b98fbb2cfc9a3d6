import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..grids import Fourier, Grid
from ..nn import FourierLayer, LiftProject, check_counts, gelu, per_axis


class UNO(eqx.Module):
    """U-shaped neural operator: Fourier layers that go down to coarser grids with more channels, and up again.

    Level `l` has `2^l width` channels on a grid of half the nodes and half the modes of the level above. Going down and
    up, `v = gelu(K u + W u)` where `K` is a `SpectralConv` whose output is taken on the next grid and `W u` is
    resampled to it by its modes up to the coarser Nyquist wave; going up, `u` is what comes from below next to what
    came down at that level. Most of the work is done on few nodes. Bases and boundaries as for `FNO`; the coarse grids
    halve with the grid of the input, so results of two grids differ by what the coarsest one aliases.

    **Arguments:** `modes` on the finest level, one number or one per axis; `levels` below it.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: Rahman, Ross & Azizzadenesheli 2023, U-NO: U-shaped neural operators, section 3. Deviation: one layer
    per level and direction.
    """

    around: LiftProject
    down: tuple[FourierLayer, ...]
    bottom: FourierLayer
    up: tuple[FourierLayer, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        levels: int,
        ndim: int,
        *,
        key: PRNGKeyArray,
    ):
        check_counts("UNO", levels=levels)
        a, b, c, d = jax.random.split(key, 4)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        given = per_axis("modes", modes, ndim)
        at = lambda l: tuple(max(1, m >> l) for m in given)
        keys = zip(range(levels), jax.random.split(b, levels), jax.random.split(c, levels), strict=True)
        sizes = [(l, width << l, k, q) for l, k, q in keys]
        # What goes to a coarser grid has room for the modes of that grid only.
        self.down = tuple(FourierLayer(w, 2 * w, at(l + 1), ndim, key=k) for l, w, k, _ in sizes)
        self.bottom = FourierLayer(width << levels, width << levels, at(levels), ndim, key=d)
        self.up = tuple(FourierLayer(4 * w, w, at(l + 1), ndim, key=q) for l, w, _, q in sizes)

    def __call__(self, a: GridField) -> GridField:
        v = self.around.lift(a)
        values, grid, passed = v.values, v.grid, []
        for layer in self.down:
            finer, grid = grid, _halved(grid)
            values = gelu(layer.on_values(values, finer, grid))
            passed.append((values, finer))
        values = gelu(self.bottom.on_values(values, grid))
        for layer, (beside, finer) in zip(reversed(self.up), reversed(passed), strict=True):
            joined = jnp.concatenate([values, beside])
            values, grid = gelu(layer.on_values(joined, grid, finer)), finer
        return self.around.project(v.with_values(values), a)


def _halved(grid: Grid) -> Grid:
    return grid.with_shape(
        tuple(-(-axis.n // 2) if isinstance(axis, Fourier) else axis.n // 2 + 1 for axis in grid.axes)
    )
