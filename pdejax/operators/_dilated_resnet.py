from functools import reduce

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import Convolution, LiftProject, check_counts, gelu


class DilatedResNet(eqx.Module):
    """Dilated residual network: blocks of convolutions whose reach grows and shrinks, at full resolution.

    `v_0 = P(a, x)`, `v_{l+1} = v_l + B_l v_l`, `u = Q(v_blocks)` with `P`, `Q` of `nn.LiftProject` and each `B_l` a
    chain of `v <- gelu(K v + b)` with one `nn.Convolution` of size 3 per dilation. The kernels belong to nodes: at
    other resolutions this is another operator (see `nn.AtResolution`).

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, and Chebyshev axes.

    Source: Stachenfeld et al. 2022, Learned coarse models for efficient turbulence simulation (four blocks of width
    48). Deviations: gelu for relu; the maps in and out, with coordinates; padding that follows the boundary.
    """

    around: LiftProject
    blocks: tuple[tuple["_Layer", ...], ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        blocks: int,
        ndim: int,
        *,
        dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 2, 1),
        key: PRNGKeyArray,
    ):
        check_counts("DilatedResNet", blocks=blocks)
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        keys = jax.random.split(b, (blocks, len(dilations)))
        self.blocks = tuple(
            tuple(_Layer(width, ndim, dilation, key=k) for dilation, k in zip(dilations, row, strict=True))
            for row in keys
        )

    def __call__(self, a: GridField) -> GridField:
        hidden = self.around.lift(a)
        v = jnp.moveaxis(hidden.values, 0, -1)
        for block in self.blocks:
            v = v + reduce(lambda w, layer: layer(w, hidden.grid), block, v)
        return self.around.project(hidden.with_values(jnp.moveaxis(v, -1, 0)), a)


class _Layer(eqx.Module):
    conv: Convolution
    bias: Array

    def __init__(self, width: int, ndim: int, dilation: int, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.conv = Convolution(width, width, 3, ndim, dilation=dilation, key=a)
        bound = 1 / float(np.sqrt(width * 3**ndim))
        self.bias = jax.random.uniform(b, (width,), minval=-bound, maxval=bound)

    def __call__(self, v: Array, grid: Grid) -> Array:
        bias = self.bias.astype(v.dtype).reshape(*(1,) * len(grid.axes), -1)
        return gelu(self.conv.on_channels_last(v, grid) + bias)
