"""Gaussian processes: the covariance of many draws is that of the kernel."""

import jax
import numpy as np
import pytest

from pdejax.data import GaussianProcess, PeriodicKernel, SquaredExponential
from pdejax.grids import Chebyshev, Fourier, Grid, Uniform


def draws(process, grid, n=4000) -> np.ndarray:
    sample = jax.jit(jax.vmap(lambda key: process.sample(grid, key=key).values[0]))
    return np.asarray(sample(jax.random.split(jax.random.key(0), n))).reshape(n, -1)


@pytest.mark.parametrize(
    ("kernel", "grid", "covariance"),
    [
        (
            SquaredExponential(0.3),
            Grid(x=Uniform(4), y=Chebyshev(3, 2.0, 0.0)),
            lambda d, e: np.exp(-(d**2 + e**2) / (2 * 0.3**2)),
        ),
        (
            PeriodicKernel(0.8),
            Grid(x=Fourier(4, length=1.0), y=Fourier(3, length=1.0)),
            lambda d, e: np.exp(-(np.sin(np.pi * d) ** 2 + np.sin(np.pi * e) ** 2) / (2 * 0.8**2)),
        ),
    ],
)
def test_covariance(kernel, grid, covariance):
    u = draws(GaussianProcess(kernel), grid)
    x, y = grid.mesh().reshape(2, -1)
    exact = covariance(np.subtract.outer(x, x), np.subtract.outer(y, y))
    # Four deviations of the estimate, which for normal variables is at most sqrt(2 / n).
    assert np.abs(u.T @ u / len(u) - exact).max() < 4 * np.sqrt(2 / len(u))


def test_a_periodic_process_is_the_same_function_on_a_finer_grid():
    grid = Grid(x=Fourier(16, length=2.0))
    u = GaussianProcess(PeriodicKernel(0.5)).sample(grid, key=jax.random.key(1))
    fine = u.resample(grid.refined(2))
    np.testing.assert_allclose(fine.values[:, ::2], u.values, atol=1e-12)
    np.testing.assert_allclose(PeriodicKernel(0.5).covariance(grid.axis("x"))[0, 8], np.exp(-1 / (2 * 0.5**2)))
