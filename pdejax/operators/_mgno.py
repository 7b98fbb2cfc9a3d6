import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..nn import Convolution, MgConv, Pointwise, check_channels, check_counts, check_ndim, gelu


class MgNO(eqx.Module):
    """Multigrid neural operator: layers of one trainable V-cycle each, without lifting, coordinates or norms.

    `v_0 = a`, `v_{l+1} = gelu(W_l v_l + B_l v_l + b_l)`, `u = Q v_depth` with `W_l` an `MgConv`, `B_l` and `b_l`
    pointwise, and `Q` pointwise without bias. Beyond the ends of the domain fields go on as for `nn.Convolution`: they
    wrap, are zero (`Sine`, `Dirichlet`; there `u` is zero at the end nodes too) or reflect.

    The kernels belong to nodes, so results at other resolutions than those of the training differ: the levels are
    always `h, 2h, .. 2^(levels-1) h`. `nn.AtResolution` evaluates at the one of the training.

    **Arguments:** `sweeps` as for `MgConv`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`, `n > 2^(levels - 1)`.

    **Raises** `ValueError` for a wrong channel count or dimension, Chebyshev axes, or a grid with too few nodes.

    Source: He, Liu & Xu 2024, MgNO: efficient parameterization of linear operators via multigrid (572,661 parameters
    with one channel in and out, width 24, depth 4, levels 6, sweeps 1, 1, 1, 1, 1, 2). Deviations: any number of nodes.
    """

    cycles: tuple[MgConv, ...]
    local: tuple[Pointwise, ...]
    head: Convolution
    in_channels: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        depth: int,
        levels: int,
        ndim: int,
        *,
        sweeps=1,
        key: PRNGKeyArray,
    ):
        check_counts("MgNO", in_channels=in_channels, out_channels=out_channels, width=width, depth=depth)
        keys = jax.random.split(key, 2 * depth + 1)
        channels = (in_channels,) + (width,) * (depth - 1)
        self.cycles = tuple(
            MgConv(c, width, levels, ndim, sweeps=sweeps, key=k) for c, k in zip(channels, keys[:depth], strict=True)
        )
        self.local = tuple(Pointwise(c, width, key=k) for c, k in zip(channels, keys[depth:-1], strict=True))
        self.head = Convolution(width, out_channels, 1, ndim, key=keys[-1])
        self.in_channels, self.ndim = in_channels, ndim

    def __call__(self, a: GridField) -> GridField:
        check_ndim("MgNO", self.ndim, a.grid)
        check_channels("MgNO", self.in_channels, a)
        v = jnp.moveaxis(a.values, 0, -1)
        for cycle, local in zip(self.cycles, self.local, strict=True):
            v = gelu(cycle.on_channels_last(v, a.grid) + _pointwise(local, v))
        return a.with_values(jnp.moveaxis(self.head.on_channels_last(v, a.grid), -1, 0))


def _pointwise(local: Pointwise, v: Array) -> Array:
    # The convolutions want the channels last, and each transposition of the fields costs as much as this product.
    weight, bias = local.weight.astype(v.dtype), local.bias.astype(v.dtype)
    return v @ weight.T + bias.reshape(*(1,) * (v.ndim - 1), -1)
