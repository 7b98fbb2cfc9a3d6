import numpy as np
from jaxtyping import Array
from scipy.spatial import KDTree

from ..grids import Grid
from ._radius_graph import periods_of, wrapped

# Of the counting grid, for each point: areas are right within a few per cent.
_NODES_A_POINT = 200


def voronoi_weights(points: np.ndarray | Array, domain: Grid) -> np.ndarray:
    """Quadrature weights of scattered points: the volume of the part of the domain that is nearer to each than to the
    others, so that `sum_i w_i f(x_i)` is an integral.

    The volumes are counted on a grid of some 200 nodes a point, on the host; periodic axes of `domain` wrap around (its
    nodes do not count). Points drawn at random have cells of very different sizes, and means over them with equal
    weights err by the root of their number.

    **Shapes:** `points` `(n, d)` to `(n,)`, float64, sum `domain.volume`.

    **Raises** `ValueError` for points that do not fit the domain.
    """
    points, axes = np.asarray(points, np.float64), domain.axes
    if points.ndim != 2 or points.shape[1] != len(axes):
        raise ValueError(f"points on {domain} have shape (n, {len(axes)}), got {points.shape}.")
    start, lengths = (np.array([getattr(axis, name) for axis in axes]) for name in ("start", "length"))
    count = int(np.ceil((_NODES_A_POINT * len(points)) ** (1 / len(axes))))
    middles = [at + length * (np.arange(count) + 0.5) / count for at, length in zip(start, lengths, strict=True)]
    counted = np.stack(np.meshgrid(*middles, indexing="ij"), -1).reshape(-1, len(axes))
    periods = periods_of(domain)
    nearest = KDTree(wrapped(points, periods), boxsize=periods).query(wrapped(counted, periods))[1]
    return np.bincount(nearest, minlength=len(points)) * (domain.volume / len(counted))
