"""Every axis: transforms, derivatives, quadrature, evaluation and resizing, against SciPy, NumPy and closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import pdejax as pj
from pdejax.grids import AbstractAxis

# Axis, a function it can represent exactly, its derivative and its integral over the axis.
L = 1.5


def _fourier(n):
    k = 2 * np.pi / L
    return (
        pj.Fourier(n, length=L, start=0.2),
        lambda x: 1 + np.sin(2 * k * (x - 0.2)) + np.cos(k * (x - 0.2)),
        lambda x: 2 * k * np.cos(2 * k * (x - 0.2)) - k * np.sin(k * (x - 0.2)),
        L,
    )


def _sine(n, centred=False):
    k = np.pi / L
    return (
        pj.Sine(n, length=L, start=0.2, centred=centred),
        lambda x: np.sin(k * (x - 0.2)) + 0.5 * np.sin(3 * k * (x - 0.2)),
        lambda x: k * np.cos(k * (x - 0.2)) + 1.5 * k * np.cos(3 * k * (x - 0.2)),
        (2 + 1 / 3) / k,
    )


def _cosine(n, centred=False):
    k = np.pi / L
    return (
        pj.Cosine(n, length=L, start=0.2, centred=centred),
        lambda x: 1 + np.cos(2 * k * (x - 0.2)) + 0.5 * np.cos(3 * k * (x - 0.2)),
        lambda x: -2 * k * np.sin(2 * k * (x - 0.2)) - 1.5 * k * np.sin(3 * k * (x - 0.2)),
        L,
    )


def _chebyshev(n):
    return (
        pj.Chebyshev(n, length=L, start=0.2),
        lambda x: 1 + x + 2 * x**4,
        lambda x: 1 + 8 * x**3,
        L + (1.7**2 - 0.2**2) / 2 + 0.4 * (1.7**5 - 0.2**5),
    )


CASES = [
    pytest.param(make, n, id=f"{name}-{n}", marks=pytest.mark.slow if n == 160 else ())
    for name, make in {
        "fourier": _fourier,
        "sine": _sine,
        "cosine": _cosine,
        "sine-centred": lambda n: _sine(n, True),
        "cosine-centred": lambda n: _cosine(n, True),
        "chebyshev": _chebyshev,
    }.items()
    for n in (12, 13, 160, 161)
]


@pytest.mark.parametrize("make,n", CASES)
def test_axis_represents_its_functions(make, n):
    axis, f, slope, integral = make(n)
    assert isinstance(axis, AbstractAxis) and axis.points.shape == (n,) and np.all(np.diff(axis.points) > 0)
    grid = pj.Grid(x=axis)
    u = pj.GridField.from_function(f, grid)
    # Long Chebyshev axes amplify rounding by n^2 per derivative.
    tolerance = 1e-11 if n < 100 else 1e-8
    np.testing.assert_allclose(u.as_coefficients().values, u.values, atol=1e-13)
    np.testing.assert_allclose(u.derivative("x").values[0], slope(axis.points), atol=tolerance)
    np.testing.assert_allclose(jnp.sum(axis.weights * u.values[0]), integral, rtol=1e-12)
    points = np.linspace(0.25, 1.6, 7)
    np.testing.assert_allclose(u(points[:, None])[:, 0], f(points), atol=1e-12)
    fine = u.resample(grid.refined(3))
    np.testing.assert_allclose(fine.values[0], f(fine.grid.axis("x").points), atol=1e-12)
    np.testing.assert_allclose(fine.resample(grid).values, u.values, atol=1e-12)


@pytest.mark.parametrize("make,n", CASES)
def test_twice_is_second(make, n):
    axis, f, _, _ = make(n)
    u = pj.GridField.from_function(f, pj.Grid(x=axis))
    twice, second = u.derivative("x").derivative("x"), u.derivative("x", 2)
    assert twice.grid.same_nodes(u.grid) and not twice.grid.parity_flips(second.grid)
    np.testing.assert_allclose(twice.values, second.values, atol=1e-8 * float(jnp.abs(second.values).max()))


@pytest.mark.parametrize("n", [9, 10, 200])
def test_transforms_agree_with_scipy(n):
    v = np.random.default_rng(0).standard_normal(n)
    cosine, sine = pj.Cosine(n), pj.Sine(n)
    reference = scipy.fft.dct(v, 1) / (n - 1)
    reference[[0, -1]] /= 2
    np.testing.assert_allclose(cosine.forward(jnp.asarray(v), 0), reference, atol=1e-13)
    reference = scipy.fft.dst(v[1:-1], 1) / (n - 1)
    np.testing.assert_allclose(sine.forward(jnp.asarray(v), 0)[1:-1], reference, atol=1e-13)
    centred = scipy.fft.dct(v, 2) / n
    centred[0] /= 2
    np.testing.assert_allclose(pj.Cosine(n, centred=True).forward(jnp.asarray(v), 0), centred, atol=1e-13)
    coefficients = np.polynomial.chebyshev.chebfit(pj.Chebyshev(n).points, v, n - 1) if n < 20 else None
    if coefficients is not None:
        np.testing.assert_allclose(pj.Chebyshev(n).forward(jnp.asarray(v), 0), coefficients, atol=1e-10)


@pytest.mark.parametrize(
    "axis",
    [pj.Fourier(8), pj.Fourier(9), pj.Sine(9), pj.Cosine(9), pj.Chebyshev(9), pj.Uniform(9), pj.Sine(9, centred=True)],
)
def test_refined_nodes_contain_the_coarse_ones(axis):
    factor = 3
    coarse, fine = axis.points, axis.refined(factor).points
    assert all(np.min(np.abs(fine - x)) < 1e-14 for x in coarse)


def test_even_periodic_axis_drops_the_phase_of_its_nyquist_mode():
    grid = pj.Grid(x=pj.Fourier(8))
    u = pj.GridField(jnp.asarray((-1.0) ** np.arange(8))[None], grid)
    np.testing.assert_allclose(u.derivative("x").values, 0, atol=1e-14)
    np.testing.assert_allclose(u.derivative("x", 2).values, -16 * u.values, atol=1e-13)
    np.testing.assert_allclose(u.resample((16,)).values[:, ::2], u.values, atol=1e-14)


@pytest.mark.parametrize("shape", [(8, 9), (9, 8), (7, 11)])
def test_padding_keeps_values_at_shared_nodes(shape):
    grid = pj.Grid(x=pj.Fourier(shape[0]), y=pj.Fourier(shape[1]))
    u = pj.GridField(jnp.asarray(np.random.default_rng(1).standard_normal((2, *shape))), grid)
    np.testing.assert_allclose(u.resample(grid.refined()).values[:, ::2, ::2], u.values, atol=1e-13)


@pytest.mark.parametrize(
    "make,word",
    [
        (lambda: pj.Fourier(0), "nodes"),
        (lambda: pj.Sine(2), "nodes"),
        (lambda: pj.Fourier(8, length=-1.0), "length"),
        (lambda: pj.Chebyshev(8, lower=pj.Neumann(0.0)), "Cosine"),
        (lambda: pj.Uniform(9, order=3), "order"),
        (lambda: pj.Uniform(9, lower=pj.Periodic()), "both ends"),
        (lambda: pj.Fourier(8, dealias=0), "dealias"),
        (lambda: pj.Grid(), "at least one axis"),
        (lambda: pj.Grid(x=pj.Fourier(8)).axis("z"), "'x'"),
    ],
)
def test_bad_axes_are_refused_with_advice(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_a_grid_without_an_axis():
    grid = pj.Grid(t=pj.Uniform(5), x=pj.Fourier(8), y=pj.Sine(7))
    assert grid.without("t").names == ("x", "y") and grid.without("x").shape == (5, 7)
    with pytest.raises(ValueError, match="no axis 'z'"):
        grid.without("z")
