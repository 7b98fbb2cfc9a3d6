"""Pairs solved exactly or spectrally, against quadrature, splines and matrices of SciPy and NumPy."""

import jax
import numpy as np
import pytest
import scipy.interpolate

from pdejax.data import antiderivative, elliptic, nsm_poisson_dirichlet, nsm_poisson_periodic, poisson_kernel
from pdejax.grids import Chebyshev

KEY = jax.random.key(0)


def integral(x: np.ndarray, f: np.ndarray) -> np.ndarray:
    return scipy.interpolate.CubicSpline(x, f).antiderivative()(x)


def test_poisson_on_an_interval_is_its_green_function():
    data = poisson_kernel(3, 257, key=KEY, solve_at=513)
    x = data.grid.axis("x").points
    green = (np.add.outer(x, x) - np.abs(np.subtract.outer(x, x))) / 2 - np.outer(x, x)
    for f, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        quadrature = green @ (data.grid.axis("x").weights * f)
        assert np.abs(u - quadrature).max() < 1e-3 * np.abs(u).max()
    assert np.abs(data.targets[:, 0, [0, -1]]).max() < 1e-15 and data.metadata["reference_error"] < 1e-12
    coarse = poisson_kernel(3, 65, key=KEY, solve_at=513)
    np.testing.assert_array_equal(coarse.targets, data.targets[:, :, ::4])
    means = data.inputs[:, 0] @ data.grid.axis("x").weights
    assert np.abs(means).min() > 1e-3 and np.ptp(means) > 1e-2


def test_antiderivatives():
    data = antiderivative(3, 101, key=KEY)
    x = data.grid.axis("x").points
    for f, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        np.testing.assert_allclose(u, integral(x, f), atol=1e-7)
    assert data.name == "antiderivative" and data.metadata["reference_error"] < 1e-12
    np.testing.assert_allclose(antiderivative(3, 51, key=KEY).targets, data.targets[:, :, ::2], atol=1e-13)


def test_elliptic_fluxes_balance_the_source():
    data = elliptic(3, 201, key=KEY)
    x = data.grid.axis("x").points
    for (a, f), u in zip(data.inputs, data.targets[:, 0], strict=True):
        flux = a * scipy.interpolate.CubicSpline(x, u).derivative()(x) + integral(x, f)
        assert np.ptp(flux[2:-2]) < 1e-4 and a.min() > 0
    assert np.abs(data.targets[:, 0, [0, -1]]).max() < 1e-14 and data.metadata["reference_error"] < 1e-8


def test_poisson_in_a_periodic_square():
    data = nsm_poisson_periodic(3, 24, key=KEY)
    k = 2 * np.pi * np.fft.fftfreq(24, 1 / 24)
    for s, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        again = np.fft.ifft2(np.add.outer(k**2, k**2) * np.fft.fft2(u)).real
        np.testing.assert_allclose(again, s, atol=1e-10)
        assert u[0, 0] == 0 and abs(s.mean()) < 1e-14
    np.testing.assert_allclose(nsm_poisson_periodic(3, 48, key=KEY).inputs[:, :, ::2, ::2], data.inputs, atol=1e-12)
    with pytest.raises(ValueError, match="drawn on 16 nodes"):
        nsm_poisson_periodic(3, 8, key=KEY)


def test_poisson_in_a_square_by_collocation():
    n = 19
    data = nsm_poisson_dirichlet(2, n, key=KEY, solve_at=n)
    at = 2 * Chebyshev(n, 1.0, 0.0).points - 1
    values = np.polynomial.chebyshev.chebvander(at, n - 1)
    second = np.polynomial.chebyshev.chebder(np.eye(n), 2, scl=2)
    curvature = np.polynomial.chebyshev.chebvander(at, n - 3) @ second @ np.linalg.inv(values)
    for s, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        residual = (-(curvature @ u + u @ curvature.T) - s)[1:-1, 1:-1]
        assert np.abs(residual).max() < 1e-8
        assert max(np.abs(edge).max() for edge in (u[0], u[-1], u[:, 0], u[:, -1])) < 1e-14
