"""Bodies in a simple grid, and cell-centred Poisson, against data by others."""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.equations._elliptic import Poisson, ScreenedPoisson

CENTRE, RADIUS = 0.3, 0.1


def screening_of_the_holes(grid):
    """kappa that holds u = 0 in four disks to second order (Gibou, Fedkiw, Cheng & Kang 2002).

    Inside, kappa is large. A node outside whose neighbour along an axis is inside, at the distance `theta h` from the
    circle, wants `u / (theta h^2)` from that side; the difference gives `u / h^2`, and kappa^2 the rest.
    """
    x, y = grid.mesh()
    h = grid.axes[0].spacing
    across = np.abs(x) - CENTRE, np.abs(y) - CENTRE
    inside = across[0] ** 2 + across[1] ** 2 < RADIUS**2
    square = np.zeros(grid.shape)
    for along, other in (across, across[::-1]):
        gap = np.abs(along) - np.sqrt(np.maximum(RADIUS**2 - other**2, 0))
        cut = ~inside & (np.abs(other) < RADIUS) & (gap < h)
        square += np.where(cut, 1 / np.maximum(np.where(cut, gap / h, 1), 1e-3) - 1, 0) / h**2
    return pj.GridField(jnp.asarray(np.sqrt(np.where(inside, 1e3 / h**2, square)))[None], grid)


@pytest.mark.slow
def test_square_with_four_holes(shared_data):
    """`lap u = 0`, one on the square, zero on the holes; the file's own error is 2e-3."""
    data = np.load(shared_data / "elliptic" / "poisson_square_4holes.npz")["xyu"]
    one = pj.Dirichlet(1.0)
    axis = pj.Uniform(81, 1.0, -0.5, lower=one, upper=one)
    grid = pj.Grid(x=axis, y=axis)
    u = pj.solve(pj.SteadyProblem(ScreenedPoisson(screening_of_the_holes(grid), 0.0), grid)).value
    got = u(jnp.asarray(data[:, :2]))[:, 0]
    assert np.linalg.norm(got - data[:, 2]) < 1e-2 * np.linalg.norm(data[:, 2])


@pytest.mark.slow
def test_cell_centred_poisson(shared_data):
    """`lap v = f` with zero at the faces: of second order towards the exact polynomial, and at 256^2 where the file
    is, whose scheme is the same.
    """
    stored = np.load(shared_data / "pyro" / "mg_poisson_dirichlet.npz")

    def solve(n):
        zero = pj.Dirichlet(0.0)
        axis = pj.Uniform(n, lower=zero, upper=zero, centred=True)
        grid = pj.Grid(x=axis, y=axis)
        x, y = grid.mesh()
        f = -2 * ((1 - 6 * x**2) * y**2 * (1 - y**2) + (1 - 6 * y**2) * x**2 * (1 - x**2))
        u = pj.solve(pj.SteadyProblem(Poisson(pj.GridField(jnp.asarray(-f)[None], grid)), grid)).value
        exact = (x**2 - x**4) * (y**4 - y**2)
        return np.asarray(u.values[0]), exact, f

    errors = []
    for n in (64, 128, 256):
        u, exact, f = solve(n)
        errors.append(np.sqrt(np.mean((u - exact) ** 2)))
    np.testing.assert_allclose(np.log2(errors[:-1]) - np.log2(errors[1:]), 2, atol=0.05)
    np.testing.assert_allclose(f, stored["f"], atol=1e-12)
    assert errors[-1] <= np.sqrt(np.mean((stored["v"] - exact) ** 2)) * (1 + 1e-3)
    np.testing.assert_allclose(u, stored["v"], atol=1e-8)
