from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import Convolution, InstanceNorm, LiftProject, check_counts, check_levels, gelu, halved, interpolated


class UNet(eqx.Module):
    """U-Net: convolutions on a hierarchy of grids of which each has every second node of the one before.

    Down: `v_l = D_l v`, then `v` = full weighting of `v_l` to the next level; up: `v = U_l (v_l, I v)` with linear
    interpolation `I`. Each `D_l`, `U_l` is twice `v <- gelu(InstanceNorm(K v))`, of width `2^l width` and size 3; the
    maps in and out are those of `nn.LiftProject`. Fields go on beyond the ends as their hidden grid says (they wrap or
    reflect), and any number of nodes will do.

    With `nn.Convolution` kernels belong to nodes, and at other resolutions this is another operator (see
    `nn.AtResolution`). With `nn.ScaledConvolution` it is the same one on all grids: averages and interpolation between
    levels change smooth fields by `O(h^2)` only.

    **Arguments:** `conv` makes the convolutions, `conv(in_channels, out_channels, size, ndim, key=key)`; one for all
    levels or one per level: `[functools.partial(ScaledConvolution, spacing=2**l / 64) for l in range(levels)]`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`, `n > 2^(levels - 1)`.

    **Raises** `ValueError` for a wrong channel count or dimension, Chebyshev axes, or a grid with too few nodes.

    Source: Ronneberger, Fischer & Brox 2015, U-Net. Deviations: instance norms, gelu, the maps in and out, averages for
    maxima and interpolation for transposed convolutions, padding that follows the boundary.
    """

    around: LiftProject
    down: tuple["_Double", ...]
    up: tuple["_Double", ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        levels: int,
        ndim: int,
        *,
        conv: Callable | Sequence[Callable] = Convolution,
        key: PRNGKeyArray,
    ):
        check_counts("UNet", levels=levels)
        convs = (conv,) * levels if callable(conv) else tuple(conv)
        if len(convs) != levels:
            raise ValueError(
                f"UNet has levels={levels} and got {len(convs)} kinds of convolution; write one per level."
            )
        keys = jax.random.split(key, 2 * levels)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=keys[-1])
        widths = [width * 2**level for level in range(levels)]
        self.down = tuple(
            _Double(c, before, after, ndim, key=k)
            for c, before, after, k in zip(convs, [width, *widths], widths, keys, strict=False)
        )
        self.up = tuple(
            _Double(c, w + 2 * w, w, ndim, key=k) for c, w, k in zip(convs, widths[:-1], keys[levels:], strict=False)
        )

    def __call__(self, a: GridField) -> GridField:
        hidden = self.around.lift(a)
        check_levels("UNet", len(self.down), a.grid.shape)
        v, grid, skips = hidden.values, hidden.grid, []
        for level, block in enumerate(self.down):
            if level:
                skips.append((v, grid))
                v = halved(v, grid)
                grid = grid.with_shape(v.shape[1:])
            v = block(v, grid)
        for block, (skip, fine) in zip(reversed(self.up), reversed(skips), strict=True):
            v = block(jnp.concatenate([skip, interpolated(v, fine, fine.shape)]), fine)
        return self.around.project(hidden.with_values(v), a)


class _Double(eqx.Module):
    convs: tuple[eqx.Module, ...]
    norms: tuple[InstanceNorm, ...]

    def __init__(self, conv: Callable, in_channels: int, out_channels: int, ndim: int, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.convs = (
            conv(in_channels, out_channels, 3, ndim, key=a),
            conv(out_channels, out_channels, 3, ndim, key=b),
        )
        self.norms = tuple(InstanceNorm(out_channels) for _ in self.convs)

    def __call__(self, v: Array, grid: Grid) -> Array:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            v = gelu(norm.on_values(conv.on_values(v, grid), grid))
        return v
