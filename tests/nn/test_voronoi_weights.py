"""Weights of scattered points against quadrature rules and integrals."""

import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import nodes, voronoi_weights


@pytest.mark.parametrize(
    "grid",
    [
        pj.Grid(x=pj.Uniform(11)),
        pj.Grid(x=pj.Fourier(10)),
        pj.Grid(x=pj.Uniform(6, 2.0, centred=True), y=pj.Fourier(5, length=3.0)),
    ],
)
def test_on_a_grid_they_are_those_of_its_rule(grid):
    found = voronoi_weights(nodes(grid), grid)
    np.testing.assert_allclose(found, grid.weights().ravel(), rtol=0.2)
    np.testing.assert_allclose(found.sum(), grid.volume, rtol=1e-12)


def test_integrals_over_random_points():
    grid = pj.Grid(x=pj.Fourier(8, length=1.0), y=pj.Uniform(8))
    errors = []
    for seed in range(5):
        points = np.random.default_rng(seed).uniform(size=(300, 2))
        f = np.exp(points[:, 1]) * (1 + np.sin(2 * np.pi * points[:, 0]))
        exact = np.e - 1
        errors.append([abs(f @ voronoi_weights(points, grid) - exact), abs(f.mean() - exact)])
    weighted, equal = np.mean(errors, axis=0)
    assert weighted < 0.3 * equal


def test_points_must_fit_the_domain():
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        voronoi_weights(np.zeros((4, 1)), pj.Grid(x=pj.Uniform(5), y=pj.Uniform(5)))
