import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import AbstractAxis, Grid, apply_matrix
from ._checks import check_channels, check_counts, check_ndim
from ._continued import without_ends
from ._convolution import correlated


class ScaledConvolution(eqx.Module):
    """Convolution whose kernel covers the same part of the domain on every grid: `(K v)(x) = sum_o w_o k(o) v(x + o)`.

    The kernel is given at `size` nodes along each axis, at distances of `spacing` times the length of the axis, and is
    linear between them. A grid of the spacing `spacing / s` has `s (size - 1) + 1` nodes on its support (the largest
    odd number below, if `s` is not whole), whose weights `w` are those of the trapezoid rule, scaled such that each
    node of the kernel keeps its weight. So constants map alike on all grids, `s = 1` is `Convolution`, and under
    refinement the result converges with second order. On grids coarser than `spacing` the field is linear between the
    nodes. Fields go on beyond their ends as in `Convolution`.

    **Arguments:** `size` odd; `spacing` as a fraction of the axis length: `1 / n` for a periodic grid of `n` nodes,
    `1 / (n - 1)` for a closed one.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`; `weight` `(out, in, size, ..)`.

    **Raises** `ValueError` for an even size, a wrong channel count or dimension, and on Chebyshev axes.

    Source: Berner et al. 2025, Principled approaches for extending neural architectures to function spaces for operator
    learning, interpolated kernels. Deviations: any ratio of spacings; the weights at the ends of the support (without
    the trapezoid rule and the scaling the sum of a kernel changes with the grid, and convergence is of first order).
    """

    weight: Array
    spacing: float = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, size: int, ndim: int, *, spacing: float, key: PRNGKeyArray):
        check_counts("ScaledConvolution", in_channels=in_channels, out_channels=out_channels, size=size, ndim=ndim)
        if size % 2 == 0 or not spacing > 0:
            raise ValueError(
                f"ScaledConvolution needs an odd size and a positive spacing, got size={size}, spacing={spacing!r}; "
                "write size=3, spacing=1/64 for kernels made for 64 nodes."
            )
        bound = 1 / float(np.sqrt(in_channels * size**ndim))
        shape = (out_channels, in_channels, *(size,) * ndim)
        self.weight = jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        self.spacing = float(spacing)

    def __call__(self, v: GridField) -> GridField:
        check_ndim("ScaledConvolution", self.weight.ndim - 2, v.grid)
        check_channels("ScaledConvolution", self.weight.shape[1], v)
        return v.with_values(self.on_values(v.values, v.grid))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(in_channels, *n)`."""
        weight = self.weight.astype(v.dtype)
        for i, axis in enumerate(grid.axes):
            weight = apply_matrix(_sampling(weight.shape[2 + i], self.spacing / _spacing(axis)), weight, 2 + i)
        out = correlated(weight, jnp.moveaxis(v, 0, -1), grid)
        return jnp.moveaxis(without_ends(out, grid), -1, 0)


def _spacing(axis: AbstractAxis) -> float:
    """Distance of the nodes as a fraction of the length."""
    return float(axis.points[1] - axis.points[0]) / axis.length if axis.n > 1 else 1.0


def _sampling(size: int, scale: float) -> np.ndarray:
    """Matrix `(m, size)` from a kernel's own nodes to its weights at the offsets `-(m // 2) .. m // 2` of a grid of
    spacing `1 / scale` in units of theirs; columns sum to 1.
    """
    nodes = np.arange(size) - size // 2
    if scale < 1:
        # The field between the nodes of the grid is linear.
        reach = int(np.ceil(scale * (size // 2) - 1e-6))
        return np.maximum(1 - np.abs(np.arange(-reach, reach + 1)[:, None] - scale * nodes), 0.0)
    # Where the ratio is whole up to rounding the outermost nodes belong to the support.
    reach = int(np.floor(scale * (size // 2) + 1e-6))
    hats = np.maximum(1 - np.abs(np.arange(-reach, reach + 1)[:, None] / scale - nodes), 0.0)
    # Trapezoids, and what is left of the support beyond the outermost nodes.
    hats[[0, -1]] *= 0.5 + scale * (size // 2) - reach if size > 1 else 1.0
    return hats / hats.sum(0)
