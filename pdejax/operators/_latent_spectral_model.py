import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import Convolution, LatentSpectral, LayerNorm, LiftProject, check_counts, check_levels, gelu, interpolated

# Wider than this times `width` no scale is.
_WIDEST = 8


class LatentSpectralModel(eqx.Module):
    """U-Net with a neural spectral block at each of its scales (LSM).

    `v_1 = C_1(P(a, x))`, `v_{s+1} = C_{s+1}(v_s)` on every second node; on the coarsest scale `w = S(v)`, then upwards
    `w <- C'_s(S_s(v_s), I w)`, and `u = Q(w)`: `C` two boundary-aware `Convolution`s of size 3, each with a `LayerNorm`
    and gelu, `S` `LatentSpectral` and `I` linear interpolation. Channels double from scale to scale up to `8 width`,
    except to the last. Boundaries as for `FNO`; convolutions and patches count nodes, so another resolution is another
    operator.

    **Arguments:** `levels` scales; `block(channels, ndim=ndim, key=key)` makes the block of a scale, patches of 3 nodes
    per axis and 8 heads as it stands: `functools.partial(nn.LatentSpectral, patch=4, heads=2)`. `block=None` is the
    U-Net without blocks that the authors compare with.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`; no size need divide `n`.

    **Raises** `ValueError` for a wrong channel count or dimension, Chebyshev axes, or a grid with too few nodes.

    Source: Wu, Hu, Luo, Wang & Long 2023, Solving high-dimensional PDEs with latent spectral models. Deviations: layer
    norms in place of batch norms, which need a state; gelu for relu; convolutions with a stride in place of the largest
    of each 2x2 nodes; no padding of the whole field.
    """

    around: LiftProject
    down: tuple["_Convolutions", ...]
    blocks: tuple[LatentSpectral | None, ...]
    up: tuple["_Convolutions", ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        levels: int,
        ndim: int,
        *,
        block: Callable[..., LatentSpectral] | None = functools.partial(LatentSpectral, patch=3),
        key: PRNGKeyArray,
    ):
        check_counts("LatentSpectralModel", levels=levels)
        a, b, c, d = jax.random.split(key, 4)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        # The two coarsest scales are equally wide, and so are the two sides of every sum on the way up.
        widths = [width * min(2 ** min(s, max(levels - 2, 0)), _WIDEST) for s in range(levels)]
        before = [width, *widths[:-1]]
        layers = list(zip(before, widths, *(jax.random.split(k, levels) for k in (b, c, d)), strict=True))
        self.down = tuple(
            _Convolutions(came, made, ndim, stride=2 if s else 1, key=k) for s, (came, made, k, *_) in enumerate(layers)
        )
        self.blocks = tuple(None if block is None else block(made, ndim=ndim, key=k) for _, made, _, k, _ in layers)
        self.up = tuple(_Convolutions(2 * made, came, ndim, key=k) for came, made, _, _, k in layers[:-1])

    def __call__(self, a: GridField) -> GridField:
        field = self.around.lift(a)
        check_levels("LatentSpectralModel", len(self.down), a.grid.shape)
        v, scales = field.values, []
        for down, block in zip(self.down, self.blocks, strict=True):
            v = down(v, field.grid)
            scales.append(v if block is None else block.on_values(v, field.grid.with_shape(v.shape[1:])))
        w = scales.pop()
        for skipped, up in zip(reversed(scales), reversed(self.up), strict=True):
            w = up(jnp.concatenate([skipped, interpolated(w, field.grid, skipped.shape[1:])]), field.grid)
        return self.around.project(field.with_values(w), a)


class _Convolutions(eqx.Module):
    layers: tuple[Convolution, Convolution]
    norms: tuple[LayerNorm, LayerNorm]

    def __init__(self, in_channels: int, out_channels: int, ndim: int, *, stride: int = 1, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.layers = (
            Convolution(in_channels, out_channels, 3, ndim, stride=stride, key=a),
            Convolution(out_channels, out_channels, 3, ndim, key=b),
        )
        self.norms = (LayerNorm(out_channels), LayerNorm(out_channels))

    def __call__(self, v: Array, grid: Grid) -> Array:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            v = gelu(norm.on_values(layer.on_values(v, grid), grid))
        return v
