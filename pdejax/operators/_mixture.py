from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.cluster.vq
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import Frozen, check_channels, check_counts, check_ndim, per_axis, resampled


class NearestPrototype(eqx.Module):
    """Where a field belongs: the number of the prototype that is nearest in L2, seen through its low modes.

    **Arguments:** `prototypes` `(experts, channels, *nodes)`: fields on `nodes` nodes per axis.

    **Shapes:** field `(channels, *n)` to an integer.

    **Raises** `ValueError` for a wrong channel count or dimension.
    """

    prototypes: Frozen

    def __init__(self, prototypes: Array | np.ndarray):
        self.prototypes = Frozen(jnp.asarray(prototypes))

    @classmethod
    def of(cls, values: Array | np.ndarray, grid: Grid, experts: int, nodes, *, seed: int = 0) -> "NearestPrototype":
        """The centres of `experts` clusters of sample fields `(samples, channels, *n)` (k-means++, 20 iterations).

        **Raises** `ValueError` for fewer samples than experts.
        """
        check_counts("NearestPrototype", experts=experts)
        if len(values) < experts:
            raise ValueError(f"{experts} clusters need at least as many samples, got {len(values)}; write experts=4.")
        shape = per_axis("nodes", nodes, len(grid.axes))
        low = np.asarray(jax.vmap(lambda v: resampled(GridField(v, grid), shape))(jnp.asarray(values)))
        flat = low.reshape(len(low), -1).astype(np.float64)
        centres, _ = scipy.cluster.vq.kmeans2(flat, experts, iter=20, minit="++", rng=seed, missing="raise")
        return cls(centres.reshape(experts, *low.shape[1:]).astype(low.dtype))

    def __call__(self, a: GridField) -> Array:
        centres = self.prototypes.read().astype(a.dtype)
        check_ndim("NearestPrototype", centres.ndim - 2, a.grid)
        check_channels("NearestPrototype", centres.shape[1], a)
        distance = (resampled(a, centres.shape[2:])[None] - centres) ** 2
        return jnp.argmin(jnp.sum(distance, axis=tuple(range(1, distance.ndim))))


class MixtureOfOperators(eqx.Module):
    """Mixture of neural operators: a router sends each field to one of several small operators of the same kind.

    `f(a) = N_{r(a)}(a)`: only the chosen one is computed, so the cost of a field is that of a small operator, whatever
    their number. The map jumps where the router's choice changes.

    **Arguments:** `make(key=key)` builds an expert; `router`, field to an integer below `experts` (`NearestPrototype`).

    **Shapes, raises:** those of the experts, whose arrays have a leading axis of `experts` entries here.

    Source: Kratsios, Furuya, Lara, Lassas & de Hoop 2024, Mixture of experts soften the curse of dimensionality in
    operator learning. Deviation: one flat partition in place of a tree, as a distance to each prototype costs next to
    nothing for tens of experts.
    """

    experts: Callable[[GridField], GridField]
    router: Callable[[GridField], Array]

    def __init__(
        self,
        make: Callable[..., Callable[[GridField], GridField]],
        router: Callable[[GridField], Array],
        experts: int,
        *,
        key: PRNGKeyArray,
    ):
        check_counts("MixtureOfOperators", experts=experts)
        self.experts = eqx.filter_vmap(lambda k: make(key=k))(jax.random.split(key, experts))
        self.router = router

    @classmethod
    def copies(
        cls, operator: Callable[[GridField], GridField], router: Callable[[GridField], Array], experts: int
    ) -> "MixtureOfOperators":
        """A mixture whose experts all begin as one operator, usually a trained one."""
        # The key is of no use: nothing is drawn.
        return cls(lambda key: operator, router, experts, key=jax.random.key(0))

    def __call__(self, a: GridField) -> GridField:
        return self.expert(self.router(a))(a)

    def expert(self, index: int | Array) -> Callable[[GridField], GridField]:
        """One of the operators."""
        return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, self.experts)
