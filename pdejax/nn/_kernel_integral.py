import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import hidden_grid
from ._embeddings import BasisFeatures, nodes
from ._perceptron import Perceptron
from ._radius_graph import RadiusGraph, radius_graph


class KernelIntegral(eqx.Module):
    """Integral operator with a learned matrix kernel, `(K v)(x) = mean of kappa(x, y, a(x), a(y)) v(y)` over a ball.

    `kappa = h W`, `h` being a perceptron of smooth coordinates of `x`, the offset `y - x` and its length, `a(x)` and
    `a(y)`, and a one. `W` is applied after the mean, `K v = W (mean of h v)`: the same number, and the matrices of the
    edges, `channels x channels`, are never formed. The mean has quadrature weights, so that it converges to the
    integral divided by the volume of the ball where nodes become more.

    **Arguments:** `in_channels` of `a`, 0 for a kernel of `x` and `y` alone; `width` of the perceptron; `radius` of the
    ball in physical units, `inf` for an integral over the whole domain.

    **Shapes:** fields `v` `(channels, *n)` and `a` `(in_channels, *n)` to a field `(channels, *n)`; `weight`
    `(width + 1, channels, channels)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Li, Kovachki et al. 2020, Neural operator: graph kernel network for partial differential equations; the
    order of the sums is that of Wu, Qi & Li 2019, PointConv. Deviations: quadrature weights, features of the domain's
    bases, offsets, silu in the kernel.
    """

    features: Perceptron
    weight: Array
    ndim: int = eqx.field(static=True)
    radius: float = eqx.field(static=True)

    def __init__(self, channels: int, in_channels: int, width: int, ndim: int, *, radius: float, key: PRNGKeyArray):
        check_counts("KernelIntegral", channels=channels, width=width, ndim=ndim)
        a, b = jax.random.split(key)
        seen = BasisFeatures().size(ndim) + ndim + 1 + 2 * in_channels
        self.features = Perceptron(seen, width, width, 1, key=a)
        self.weight = jax.random.normal(b, (width + 1, channels, channels)) / float(np.sqrt(channels * width))
        self.ndim, self.radius = ndim, float(radius)

    def __call__(self, v: GridField, a: GridField | None = None) -> GridField:
        check_ndim("KernelIntegral", self.ndim, v.grid)
        check_channels("KernelIntegral", self.weight.shape[-1], v)
        flat = v.values.reshape(v.channels, -1)
        seen = jnp.zeros((0, flat.shape[1]), v.dtype) if a is None else a.values.reshape(a.channels, -1)
        points, weights = nodes(v.grid), hidden_grid(v.grid).weights()
        graph = radius_graph(points, self.radius, v.grid, weights=weights)
        out = self.mean(self.kernel(graph, points, v.grid, seen, seen), graph, flat)
        return v.with_values(out.reshape(v.values.shape))

    def kernel(self, graph: RadiusGraph, points: Array | np.ndarray, domain: Grid, target: Array, source: Array):
        """`h` on each edge of a graph, `(n, k, width + 1)`, from its targets `(n, d)` and the values of `a` there,
        `(in_channels, n)`, and at the sources.
        """
        shape, dtype = graph.index.shape, target.dtype
        at_target = jnp.concatenate([BasisFeatures()(points, domain).astype(dtype), target.T], axis=-1)
        at_target = jnp.broadcast_to(at_target[:, None], (*shape, at_target.shape[-1]))
        edges = jnp.concatenate([at_target, jnp.asarray(graph.offset, dtype), source.T[graph.index]], axis=-1)
        h = jax.nn.silu(self.features(edges.reshape(-1, edges.shape[-1])))
        return jnp.concatenate([h.reshape(*shape, -1), jnp.ones((*shape, 1), dtype)], axis=-1)

    def mean(self, h: Array, graph: RadiusGraph, v: Array) -> Array:
        """The integrals of sources `v` `(channels, m)` at the targets, `(channels, n)`."""
        if len(v) == 1 and np.isinf(self.radius) and graph.index.shape[1] == v.shape[1]:
            # All sources in their order and a kernel of numbers: one matrix, which samples under vmap share.
            return v @ (self.matrices(h)[..., 0, 0] * jnp.asarray(graph.share, v.dtype)).T
        near = v.T[graph.index] * jnp.asarray(graph.share, v.dtype)[..., None]
        moments = jnp.einsum("nkw,nkc->nwc", h, near)
        return jnp.einsum("nwi,woi->on", moments, self.weight.astype(v.dtype))

    def matrices(self, h: Array) -> Array:
        """The kernel itself on each edge, `(n, k, channels, channels)`, to look at."""
        return jnp.einsum("nkw,woi->nkoi", h, self.weight.astype(h.dtype))
