import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import radius_graph

BOX = pj.Grid(x=pj.Cosine(2, length=2.0), y=pj.Chebyshev(2, length=1.0, start=0.0))
RING = pj.Grid(x=pj.Fourier(2, length=2.0, start=0.5), y=pj.Chebyshev(2, length=1.0, start=0.0))


def cloud(n: int, domain: pj.Grid, seed: int) -> np.ndarray:
    starts, lengths = ([getattr(axis, name) for axis in domain.axes] for name in ("start", "length"))
    return np.random.default_rng(seed).uniform(starts, np.add(starts, lengths), (n, len(domain.axes)))


def distances(targets, sources, domain):
    """All offsets, the shortest way around periodic axes, and their lengths."""
    offset = sources[None] - targets[:, None]
    for i, axis in enumerate(domain.axes):
        if isinstance(axis, pj.Fourier):
            images = offset[..., i, None] + axis.length * np.array([-1, 0, 1])
            best = np.abs(images).argmin(-1)
            offset[..., i] = np.take_along_axis(images, best[..., None], -1)[..., 0]
    return offset, np.linalg.norm(offset, axis=-1)


@pytest.mark.parametrize("domain", [BOX, RING])
@pytest.mark.parametrize("radius", [0.3, 0.9, np.inf])
def test_agrees_with_all_distances(domain, radius):
    targets, sources, weights = cloud(17, domain, 0), cloud(23, domain, 1), np.random.default_rng(2).uniform(1, 2, 23)
    graph = radius_graph(targets, radius, domain, sources=sources, weights=weights)
    offset, distance = distances(targets, sources, domain)
    near = distance <= radius
    share, found = np.zeros_like(distance), np.zeros((17, 23, 3))
    rows = np.broadcast_to(np.arange(17)[:, None], graph.index.shape)
    live = graph.share > 0
    share[rows[live], graph.index[live]] = graph.share[live]
    found[rows[live], graph.index[live]] = graph.offset[live]
    wanted = near * weights[None]
    np.testing.assert_allclose(share, wanted / np.maximum(wanted.sum(1, keepdims=True), 1e-300), atol=1e-14)
    unit = np.minimum(radius, [axis.length for axis in domain.axes])
    offset = near[..., None] * offset / unit
    np.testing.assert_allclose(found[..., :2], offset, atol=1e-14)
    np.testing.assert_allclose(found[..., 2] ** 2, (offset**2).sum(-1), atol=1e-14)
    assert graph.index.shape[1] == near.sum(1).max() and np.sum(live) == near.sum()


def test_nodes_at_the_distance_itself_count():
    """On a grid the nodes at exactly the radius are neighbours everywhere, whatever rounding says."""
    points = np.arange(11)[:, None] * 0.1
    graph = radius_graph(points, 0.3, pj.Grid(x=pj.Cosine(2)))
    np.testing.assert_array_equal((graph.share > 0).sum(1), [4, 5, 6, 7, 7, 7, 7, 7, 6, 5, 4])


def test_padding_and_isolated_targets():
    points = cloud(9, BOX, 3)
    tight = radius_graph(points, 0.5, BOX)
    roomy = radius_graph(points, 0.5, BOX, most=9)
    v = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9)))
    near = (distances(points, points, BOX)[1] <= 0.5).astype(float)
    for graph in (tight, roomy):
        np.testing.assert_allclose(graph.average(v), np.asarray(v) @ near.T / near.sum(1), atol=1e-14)
    assert roomy.index.shape == (9, 9)
    far = radius_graph(points, 0.01, BOX, sources=points + 0.02)
    assert not np.any(far.average(v))


def test_bad_graphs_are_told():
    points = cloud(9, BOX, 3)
    with pytest.raises(ValueError, match="most=9"):
        radius_graph(points, 5.0, BOX, most=4)
    with pytest.raises(ValueError, match="positive radius"):
        radius_graph(points, 0.0, BOX)
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        radius_graph(points[:, :1], 0.5, BOX)
    with pytest.raises(ValueError, match="make the graph outside"):
        jax.jit(lambda points: radius_graph(points, 0.5, BOX).share)(points)
    # A graph is an argument like any other.
    total = eqx.filter_jit(lambda graph: jnp.sum(graph.share))(radius_graph(points, 0.5, BOX))
    np.testing.assert_allclose(total, 9.0)
