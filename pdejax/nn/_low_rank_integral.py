import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import hidden_grid
from ._embeddings import BasisFeatures, nodes
from ._perceptron import Perceptron


class LowRankIntegral(eqx.Module):
    """Integral operator whose kernel is a short sum of products: `(K v)(x) = sum_j phi_j(x, a(x)) <psi_j(., a), v>`.

    `phi_j`, `psi_j`, `j = 1 .. rank`, are vectors of `channels` numbers that two perceptrons make at each point of its
    `nn.BasisFeatures` and of `a`. `<., .>` is the sum over the channels and the grid's quadrature over the domain,
    divided by its volume. The cost is linear in the number of points, and the layer is the same on every grid that
    resolves the products.

    **Arguments:** `in_channels` of `a`; `width` of the perceptrons.

    **Shapes:** fields `v` `(channels, *n)` and `a` `(in_channels, *n)` to a field `(channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Kovachki, Li et al. 2023, Neural operator: learning maps between function spaces, section 4.2. Deviations:
    smooth features in place of raw coordinates, silu.
    """

    expand: Perceptron
    measure: Perceptron
    rank: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)
    channels: int = eqx.field(static=True)

    def __init__(self, channels: int, in_channels: int, rank: int, width: int, ndim: int, *, key: PRNGKeyArray):
        check_counts("LowRankIntegral", channels=channels, in_channels=in_channels, rank=rank, width=width, ndim=ndim)
        a, b = jax.random.split(key)
        seen = BasisFeatures().size(ndim) + in_channels
        self.expand = Perceptron(seen, rank * channels, width, 1, key=a)
        self.measure = Perceptron(seen, rank * channels, width, 1, key=b)
        self.rank, self.ndim, self.channels = rank, ndim, channels

    def __call__(self, v: GridField, a: GridField) -> GridField:
        check_ndim("LowRankIntegral", self.ndim, v.grid)
        check_channels("LowRankIntegral", self.channels, v)
        return v.with_values(self.on_values(v.values, a.values, v.grid))

    def on_values(self, v: Array, a: Array, grid: Grid) -> Array:
        """The layer on node values `(channels, *n)` and `(in_channels, *n)`."""
        flat, weights = v.reshape(self.channels, -1), hidden_grid(grid).weights().reshape(-1)
        where = BasisFeatures()(nodes(grid), grid).astype(v.dtype)
        seen = jnp.concatenate([where, a.reshape(-1, flat.shape[1]).T], axis=-1)
        phi, psi = (part(seen).reshape(-1, self.rank, self.channels) for part in (self.expand, self.measure))
        share = jnp.asarray(weights / weights.sum(), v.dtype)
        products = jnp.einsum("nrc,cn,n->r", psi, flat, share)
        return jnp.einsum("nrc,r->cn", phi, products).reshape(v.shape)
