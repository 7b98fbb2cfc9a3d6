"""Variances of the random fields against those of the published samplers, computed in numpy from their own formulas.

Statistical bounds: the mean square of N draws of `u = sum_k s_k xi_k phi_k` scatters about its expectation with the
standard error `sqrt(2 sum_k w_k^2 / N)` (`w_k` the share of mode k), and the variance v at one node with
`v sqrt(2 / N)`. Tests allow five standard errors; keys are fixed, so they either pass or fail for good.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from pdejax.data import GaussianRandomField
from pdejax.grids import Cosine, Fourier, Grid, Sine, Uniform

SIGMAS = 5.0


def draw(field: GaussianRandomField, grid: Grid, samples: int) -> np.ndarray:
    keys = jax.random.split(jax.random.key(7), samples)
    fields = jax.jit(jax.vmap(lambda key: field.sample(grid, key=key).values[0]))(keys)
    return np.asarray(fields)


def check_mean_square(u: np.ndarray, shares: np.ndarray) -> None:
    """`shares` are the contributions of the independent modes to the variance averaged over the nodes."""
    error = np.sqrt(2 * np.sum(shares**2) / len(u))
    assert abs(np.mean(u**2) - np.sum(shares)) < SIGMAS * error


def check_nodes(u: np.ndarray, variance: np.ndarray) -> None:
    # Five standard errors at each of up to a hundred correlated nodes: the chance of a false alarm is below 1e-4.
    error = variance * np.sqrt(2 / len(u))
    assert np.all(np.abs(np.mean(u**2, axis=0) - variance) <= SIGMAS * error + 1e-14)


def test_periodic_field_of_the_burgers_data():
    # u = m + sum_{k=1}^{s/2} sqrt(2) |sigma| ((2 pi k)^2 + tau^2)^(-gamma/2) (xi cos + eta sin)
    n, gamma, tau, sigma, mean = 64, 2.5, 7.0, 49.0, 0.3
    k = np.arange(1, n // 2)
    amplitude = np.sqrt(2) * sigma * ((2 * np.pi * k) ** 2 + tau**2) ** (-gamma / 2)
    u = draw(GaussianRandomField(gamma, tau, sigma, mean), Grid(x=Fourier(n, length=1.0)), 4000)
    shares = np.repeat(amplitude**2 / 2, 2)
    check_mean_square(u - mean, shares)
    check_nodes(u - mean, np.full(n, shares.sum()))
    assert abs(u.mean(axis=1) - mean).max() < 1e-12  # the zero mode is removed


@pytest.mark.parametrize("shape", [(32,), (12, 16), (8, 10, 12)])
def test_periodic_field_of_the_navier_stokes_data(shape):
    # Published: Re ifftn(size^d sqrt(2) sigma (4 pi^2 |k|^2 + tau^2)^(-alpha/2) z), z complex normal of total variance
    # one and not symmetrised. Each z contributes half of its squared weight to the variance of the real part.
    alpha, tau, d = 2.5, 7.0, len(shape)
    sigma = tau ** (0.5 * (2 * alpha - d))
    k = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    weight = np.sqrt(2) * sigma * (4 * np.pi**2 * sum(c**2 for c in k) + tau**2) ** (-alpha / 2)
    weight[(0,) * d] = 0
    variance = 0.5 * np.sum(weight**2)

    rng = np.random.default_rng(0)
    z = (rng.standard_normal((4000, *shape)) + 1j * rng.standard_normal((4000, *shape))) / np.sqrt(2)
    published = np.fft.ifftn(np.prod(shape) * weight * z, axes=range(1, d + 1)).real
    check_nodes(published.reshape(4000, -1), np.full(np.prod(shape), variance))  # the formula is that of the sampler

    names = dict(zip("xyz", (Fourier(n, length=1.0) for n in shape), strict=False))
    u = draw(GaussianRandomField(gamma=alpha, tau=tau), Grid(**names), 4000)
    check_nodes(u.reshape(4000, -1), np.full(np.prod(shape), variance))
    # Modes k and -k together make two real ones of equal weight, so each two-sided mode is one share.
    check_mean_square(u, 0.5 * weight.ravel() ** 2)


def test_covariance_of_the_periodic_field_depends_on_the_distance_only():
    n, alpha, tau = (8, 10), 2.0, 3.0
    u = draw(GaussianRandomField(gamma=alpha, tau=tau), Grid(x=Fourier(8, length=1.0), y=Fourier(10, length=1.0)), 6000)
    k = np.meshgrid(*(np.fft.fftfreq(m, 1 / m) for m in n), indexing="ij")
    spectrum = tau**2 * (4 * np.pi**2 * (k[0] ** 2 + k[1] ** 2) + tau**2) ** -alpha
    spectrum[0, 0] = 0
    covariance = np.fft.ifft2(spectrum * np.prod(n)).real  # C(x) = sum_k s_k^2 exp(2 pi i k x)
    for shift in [(1, 0), (0, 3), (2, -2)]:
        products = u * np.roll(u, (-shift[0], -shift[1]), axis=(1, 2))
        want = covariance[shift]
        # Var(u v) = C(0)^2 + C(x)^2 at one node
        error = np.sqrt((covariance[0, 0] ** 2 + want**2) / len(u))
        assert np.abs(products.mean(axis=0) - want).max() < SIGMAS * error


def test_neumann_field_of_the_darcy_data():
    # Published: coefficients s tau^(alpha-1) (pi^2 |k|^2 + tau^2)^(-alpha/2) xi, zero mode 0, orthonormal inverse
    # DCT-II.
    s, alpha, tau = 9, 2.0, 3.0
    k = np.arange(s)
    weight = s * tau ** (alpha - 1) * (np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    weight[0, 0] = 0
    basis = scipy.fft.idct(np.eye(s), axis=0, norm="ortho")  # node, mode
    variance = np.einsum("ik,jl,kl->ij", basis**2, basis**2, weight**2)
    grid = Grid(x=Cosine(s, centred=True), y=Cosine(s, centred=True))
    u = draw(GaussianRandomField(gamma=alpha, tau=tau), grid, 6000)
    check_nodes(u, variance)
    check_mean_square(u, (weight**2).ravel() / s**2)


@pytest.mark.parametrize("kind", ["neumann", "dirichlet"])
def test_one_dimensional_fields_with_boundary_conditions(kind):
    # u = sum_k sqrt(2) |sigma| ((pi k)^2 + tau^2)^(-gamma/2) xi_k (cos or sin)(pi k x)
    n, gamma, tau, sigma = 33, 2.0, 5.0, 25.0
    axis, wave, k = (
        (Cosine(n), np.cos, np.arange(1, n)) if kind == "neumann" else (Sine(n), np.sin, np.arange(1, n - 1))
    )
    amplitude = np.sqrt(2) * sigma * ((np.pi * k) ** 2 + tau**2) ** (-gamma / 2)
    u = draw(GaussianRandomField(gamma, tau, sigma), Grid(x=axis), 4000)
    check_nodes(u, (amplitude * wave(np.pi * np.outer(axis.points, k))) ** 2 @ np.ones(len(k)))
    if kind == "dirichlet":
        assert np.abs(u[:, [0, -1]]).max() == 0


def test_mixed_axes_and_lengths():
    # A cylinder: periodic of length 3 around, Dirichlet of length 2 along; eigenfunctions written out.
    nx, ny, gamma, tau, sigma = 10, 9, 1.5, 2.0, 1.7
    grid = Grid(x=Fourier(nx, length=3.0), y=Sine(ny, length=2.0))
    kx, ky = np.fft.fftfreq(nx, 1 / nx), np.arange(1, ny - 1)
    eigenvalue = (2 * np.pi * kx[:, None] / 3) ** 2 + (np.pi * ky / 2) ** 2
    weight = sigma**2 * (eigenvalue + tau**2) ** -gamma
    sine = 2 / 2 * np.sin(np.pi * np.outer(grid.axis("y").points, ky) / 2) ** 2
    u = draw(GaussianRandomField(gamma, tau, sigma), grid, 6000)
    check_nodes(u, np.broadcast_to(sine @ (weight.sum(axis=0) / 3), (nx, ny)))


def test_one_key_gives_one_function_on_nested_grids():
    grid = Grid(x=Fourier(12, length=1.0), y=Cosine(9))
    u = GaussianRandomField(2.0, 3.0).sample(grid, key=jax.random.key(1))
    fine = u.resample(grid.refined(2))
    np.testing.assert_allclose(fine.values[:, ::2, ::2], u.values, atol=1e-13)
    again = GaussianRandomField(2.0, 3.0).sample(grid, key=jax.random.key(1))
    assert jnp.array_equal(u.values, again.values) and u.values.dtype == jnp.float64


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianRandomField(2.0, -1.0), "tau >= 0"),
        (lambda: GaussianRandomField(2.0, 3.0).sample(Grid(x=Uniform(9)), key=jax.random.key(0)), r"Cosine\(9\)"),
        (lambda: GaussianRandomField(2.0, 3.0, mean=1.0).sample(Grid(x=Sine(9)), key=jax.random.key(0)), "mean=0"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(ValueError, match=words):
        make()
