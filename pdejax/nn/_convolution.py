import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._checks import check_channels, check_counts, check_ndim
from ._continued import continued, without_ends


class Convolution(eqx.Module):
    """Linear map of neighbouring nodes, the same everywhere: `(K v)_i = sum_o W_o v_{stride i + dilation o}`.

    The offsets `o` are `size` integers about 0 along each axis (`-1, 0, 1` for size 3, `0, 1` for size 2); beyond its
    ends a field goes on as its grid says (periodic axes wrap, zeros beyond `Sine` axes and `Dirichlet` ends, others
    reflect), and the result is zero at the end nodes of closed `Sine` and `Dirichlet` axes, like every function there.
    With a stride the nodes `0, stride, ..` are kept, `ceil(n / stride)` of them, for any `n`.

    The weights belong to nodes and not to distances: on a finer grid this is another operator. `ScaledConvolution` is
    the same one on every grid.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *ceil(n / stride))` on the same interval; `weight`
    `(out, in, size, ..)`.

    **Raises** `ValueError` for a wrong channel count or dimension, and on Chebyshev axes.

    The weights are drawn uniformly within `1 / sqrt(in size^ndim)`. There is no bias: norms and pointwise maps have
    their own.
    """

    weight: Array
    stride: int = eqx.field(static=True)
    dilation: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        ndim: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        key: PRNGKeyArray,
    ):
        counts = {"in_channels": in_channels, "out_channels": out_channels, "size": size, "ndim": ndim}
        check_counts("Convolution", **counts, stride=stride, dilation=dilation)
        bound = 1 / float(np.sqrt(in_channels * size**ndim))
        shape = (out_channels, in_channels, *(size,) * ndim)
        self.weight = jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        self.stride, self.dilation = stride, dilation

    def __call__(self, v: GridField) -> GridField:
        check_ndim("Convolution", self.weight.ndim - 2, v.grid)
        check_channels("Convolution", self.weight.shape[1], v)
        out = self.on_values(v.values, v.grid)
        return GridField(out, v.grid if self.stride == 1 else v.grid.with_shape(out.shape[1:]))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(in_channels, *n)` of any size; the grid says how its axes end."""
        return jnp.moveaxis(self.on_channels_last(jnp.moveaxis(v, 0, -1), grid), -1, 0)

    def on_channels_last(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(*n, in_channels)`, for models that keep them so and save transpositions."""
        return without_ends(correlated(self.weight, v, grid, self.stride, self.dilation), grid)


def correlated(weight: Array, v: Array, grid: Grid, stride: int = 1, dilation: int = 1) -> Array:
    """`sum_o weight_o v_{stride i + dilation o}`, offsets as in `Convolution`, of values `(*n, in)` that go on as the
    grid says.
    """
    sizes = weight.shape[2:]
    before = tuple(dilation * ((size - 1) // 2) for size in sizes)
    after = tuple(dilation * (size - 1) - b for size, b in zip(sizes, before, strict=True))
    return convolved(weight, continued(v, grid, before, after), stride, dilation)


def convolved(weight: Array, v: Array, stride: int = 1, dilation: int = 1) -> Array:
    """The same where the stencil fits."""
    ndim = v.ndim - 1
    kernel = jnp.moveaxis(weight, (0, 1), (-1, -2)).astype(v.dtype)
    numbers = jax.lax.ConvDimensionNumbers(
        (0, ndim + 1, *range(1, ndim + 1)), (ndim + 1, ndim, *range(ndim)), (0, ndim + 1, *range(1, ndim + 1))
    )
    strides, dilations = (stride,) * ndim, (dilation,) * ndim
    out = jax.lax.conv_general_dilated(
        v[None], kernel, strides, "VALID", rhs_dilation=dilations, dimension_numbers=numbers
    )
    return out[0]
