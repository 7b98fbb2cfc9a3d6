import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Fourier, Grid
from ..nn import LiftProject, Pointwise, SpectralConv, check_counts, resampled


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
    down: tuple["_Layer", ...]
    bottom: "_Layer"
    up: tuple["_Layer", ...]

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
        given = (modes,) * ndim if isinstance(modes, int) else tuple(modes)
        at = lambda l: tuple(max(1, m >> l) for m in given)
        keys = zip(range(levels), jax.random.split(b, levels), jax.random.split(c, levels), strict=True)
        sizes = [(l, width << l, k, q) for l, k, q in keys]
        # What goes to a coarser grid has room for the modes of that grid only.
        self.down = tuple(_Layer(w, 2 * w, at(l + 1), ndim, key=k) for l, w, k, _ in sizes)
        self.bottom = _Layer(width << levels, width << levels, at(levels), ndim, key=d)
        self.up = tuple(_Layer(4 * w, w, at(l + 1), ndim, key=q) for l, w, _, q in sizes)

    def __call__(self, a: GridField) -> GridField:
        v = self.around.lift(a)
        values, grid, passed = v.values, v.grid, []
        for layer in self.down:
            values, finer, grid = layer(values, grid, _halved(grid)), grid, _halved(grid)
            passed.append((values, finer))
        values = self.bottom(values, grid, grid)
        for layer, (beside, finer) in zip(reversed(self.up), reversed(passed), strict=True):
            values, grid = layer(jnp.concatenate([values, beside]), grid, finer), finer
        return self.around.project(v.with_values(values), a)


class _Layer(eqx.Module):
    spectral: SpectralConv
    local: Pointwise

    def __init__(self, in_channels: int, out_channels: int, modes, ndim: int, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.spectral = SpectralConv(in_channels, out_channels, modes, ndim, key=a)
        self.local = Pointwise(in_channels, out_channels, key=b)

    def __call__(self, v: Array, grid: Grid, onto: Grid) -> Array:
        near = self.local.on_values(v)
        if onto is not grid:
            near = resampled(GridField(near, grid), onto)
        return jax.nn.gelu(self.spectral.on_values(v, grid, onto) + near)


def _halved(grid: Grid) -> Grid:
    return grid.with_shape(
        tuple(-(-axis.n // 2) if isinstance(axis, Fourier) else axis.n // 2 + 1 for axis in grid.axes)
    )
