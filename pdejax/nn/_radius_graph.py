import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int
from scipy.spatial import KDTree

from ..grids import Grid
from ._embeddings import wraps


class RadiusGraph(eqx.Module):
    """For each of `n` targets its neighbours among the sources, padded to `k`: sums over them are matrix products.

    **Shapes:** `index` `(n, k)`, the neighbours; `share` `(n, k)`, their quadrature weights, which sum to 1 over the
    neighbours of a target and are zero where padded; `offset` `(n, k, d + 1)`, from target to neighbour in units of the
    radius, or of the domain's lengths where these are less, and the length of that.
    """

    index: Int[np.ndarray | Array, "n k"]
    share: Float[np.ndarray | Array, "n k"]
    offset: Float[np.ndarray | Array, "n k d+1"]

    def average(self, values: Float[Array, "c m"]) -> Float[Array, "c n"]:
        """At each target the mean of values at its neighbours."""
        return jnp.einsum("cnk,nk->cn", values[:, self.index], jnp.asarray(self.share, values.dtype))


def radius_graph(
    targets: np.ndarray | Array,
    radius: float,
    domain: Grid,
    *,
    sources: np.ndarray | Array | None = None,
    weights: np.ndarray | Array | None = None,
    most: int | None = None,
) -> RadiusGraph:
    """The graph that joins each target to all sources within a distance, in the units of the points.

    Made on the host in float64 when a function is traced, so points have to be known by then. The mean over neighbours
    is an integral over the ball: it converges as points become more, the radius being what it is. A target without
    sources in reach receives nothing.

    **Arguments:** `radius`, `inf` for all pairs; `domain`, a grid whose periodic axes wrap around (its nodes do not
    count); `sources`, the targets themselves by default; `weights` of the sources, equal by default; `most`, the `k`
    to which neighbours are padded, the largest number by default: graphs of equal sizes share one compiled program.

    **Shapes:** `targets` `(n, d)`, `sources` `(m, d)`, `weights` `(m,)`.

    **Raises** `ValueError` for points that are not known yet or do not fit the domain, a radius that is not positive,
    or a target with more than `most` neighbours.
    """
    if any(isinstance(points, Tracer) for points in (targets, sources, weights)):
        raise ValueError(
            "radius_graph needs known points and got traced ones, arguments of a function under jit or vmap; "
            "make the graph outside and hand it in, or let the function close over the points."
        )
    if not radius > 0:
        raise ValueError(f"radius_graph needs a positive radius, got {radius!r}; write radius=0.2.")
    targets = np.asarray(targets, np.float64)
    sources = targets if sources is None else np.asarray(sources, np.float64)
    lengths = np.array([axis.length for axis in domain.axes])
    for points in (targets, sources):
        if points.ndim != 2 or points.shape[1] != len(lengths):
            raise ValueError(f"points on {domain} have shape (n, {len(lengths)}), got {points.shape}.")
    weights = np.ones(len(sources)) if weights is None else np.asarray(weights, np.float64).reshape(-1)
    index, live = _balls(targets, sources, radius, domain, most)
    offset = sources[index] - targets[:, None]
    periods = periods_of(domain)
    offset -= periods * np.rint(offset / np.where(periods > 0, periods, 1))
    share = weights[index] * live
    total = share.sum(1, keepdims=True)
    share = share / np.where(total > 0, total, 1)
    offset *= live[..., None] / np.minimum(radius, lengths)
    return RadiusGraph(index, share, np.concatenate([offset, np.linalg.norm(offset, axis=-1, keepdims=True)], axis=-1))


def _balls(
    targets: np.ndarray, sources: np.ndarray, radius: float, domain: Grid, most: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The sources in the ball of each target and which of them count, both `(n, k)`."""
    if np.isinf(radius):
        lists = [np.arange(len(sources))] * len(targets)
    else:
        # A grain more, so that rounding does not decide on nodes of a grid that lie at the distance itself.
        reach, periods = radius * (1 + 1e-9), periods_of(domain)
        tree = KDTree(wrapped(sources, periods), boxsize=periods)
        lists = tree.query_ball_point(wrapped(targets, periods), reach, return_sorted=True)
    counts = np.array([len(found) for found in lists])
    if most is None:
        most = max(int(counts.max()), 1)
    if counts.max() > most:
        raise ValueError(
            f"a point has {counts.max()} neighbours within radius={radius:g} and most={most}; "
            f"write most={counts.max()} or a smaller radius."
        )
    live = np.arange(most)[None] < counts[:, None]
    index = np.zeros(live.shape, np.int32)
    index[live] = np.concatenate([np.asarray(found, np.int32) for found in lists])
    return index, live


def periods_of(domain: Grid) -> np.ndarray:
    """The lengths of the periodic axes, zero for the others."""
    return np.array([axis.length if wraps(axis) else 0.0 for axis in domain.axes])


def wrapped(points: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """The points in `[0, period)` along periodic axes."""
    inside = np.mod(points, np.where(periods > 0, periods, 1))
    # What lies a rounding error below zero comes out at the period itself.
    return np.where(periods > 0, np.where(inside < periods, inside, 0), points)
