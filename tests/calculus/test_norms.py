"""Integrals and norms converge; Sobolev norms of any order; inverse Laplacian on every kind of axis."""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import grad, inner, integrate, inverse_laplacian, laplacian, norm

D = pj.Dirichlet(0.0)


@pytest.mark.parametrize(
    "axis", [pj.Fourier(21, length=2.0), pj.Cosine(22, length=2.0), pj.Chebyshev(32, length=2.0, start=0.0)]
)
def test_integrals_are_spectrally_accurate(axis):
    u = pj.GridField.from_function(lambda x: jnp.exp(jnp.cos(np.pi * x)), pj.Grid(x=axis))
    np.testing.assert_allclose(integrate(u), 2 * np.i0(1.0), rtol=1e-9)
    np.testing.assert_allclose(norm(u) ** 2, 2 * np.i0(2.0), rtol=1e-9)


def test_norms_of_uniform_fields_converge_under_refinement():
    values = [
        float(norm(pj.GridField.from_function(lambda x: jnp.exp(x), pj.Grid(x=pj.Uniform(n))))) for n in (17, 33, 65)
    ]
    exact = np.sqrt((np.exp(2) - 1) / 2)
    errors = np.abs(np.array(values) - exact)
    assert np.all(errors[1:] < errors[:-1] / 3.9)


@pytest.mark.parametrize("s", [-1.5, -0.5, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "axis,wave,square",
    [
        (pj.Fourier(16, length=2.0), np.pi, 1.0),
        (pj.Sine(17, length=2.0), np.pi, 1.0),
        (pj.Cosine(17, length=2.0), np.pi, 1.0),
    ],
)
def test_sobolev_norm_of_a_wave(axis, wave, square, s):
    f = jnp.cos if isinstance(axis, pj.Cosine) else jnp.sin
    u = pj.GridField.from_function(lambda x: f(wave * x), pj.Grid(x=axis))
    np.testing.assert_allclose(norm(u, s) ** 2, square * (1 + wave**2) ** s, rtol=1e-12)


def test_h1_norm_is_value_and_gradient():
    grid = pj.Grid(x=pj.Fourier(15), y=pj.Cosine(14))
    u = (
        pj.GridField(jnp.asarray(np.random.default_rng(0).standard_normal((1, 15, 14))), grid)
        .resample((15, 10))
        .resample((15, 14))
    )
    np.testing.assert_allclose(norm(u, 1) ** 2, norm(u) ** 2 + norm(grad(u)) ** 2, rtol=1e-12)
    v = pj.GridField.from_function(lambda x: x**2, pj.Grid(x=pj.Chebyshev(9)))
    np.testing.assert_allclose(norm(v, 1) ** 2, 2 / 5 + 8 / 3, rtol=1e-12)
    with pytest.raises(ValueError, match="Fourier"):
        norm(v, 0.5)


@pytest.mark.parametrize(
    "x",
    [
        pj.Fourier(20, length=1.0),
        pj.Sine(20),
        pj.Cosine(21),
        pj.Chebyshev(20, length=1.0, start=0.0, lower=D, upper=D),
        pj.Uniform(20, lower=D, upper=D),
        pj.Uniform(20, lower=pj.Periodic(), upper=pj.Periodic()),
        pj.Uniform(20, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0)),
        pj.Uniform(20, lower=D, upper=pj.Neumann(0.0), order=4),
    ],
    ids=lambda a: f"{type(a).__name__}",
)
def test_inverse_laplacian_inverts(x):
    grid = pj.Grid(x=x, y=pj.Sine(18))
    rng = np.random.default_rng(0)
    f = pj.GridField(jnp.asarray(rng.standard_normal((1, 20 if x.n == 20 else 21, 18))), grid).as_coefficients()
    u = inverse_laplacian(f)
    # At Dirichlet nodes u is given and the equation does not hold; on an even periodic axis all modes do.
    inside = (slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(laplacian(u).values[inside], f.values[inside], atol=1e-8)


def test_inverse_laplacian_of_a_function_written_as_a_laplacian():
    psi = pj.FunctionField.from_function(lambda t, x, y: jnp.exp(-t) * jnp.sin(x * y), ("t", "x", "y"))
    points = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (4, 3)))
    np.testing.assert_allclose(inverse_laplacian(-2.0 * laplacian(psi))(points), -2.0 * psi(points), atol=1e-14)
    with pytest.raises(TypeError, match="laplacian\\(psi\\)"):
        inverse_laplacian(psi)


def test_inner_is_symmetric_and_channelwise():
    grid = pj.Grid(x=pj.Sine(12), y=pj.Uniform(13))
    rng = np.random.default_rng(0)
    u, v = (pj.GridField(jnp.asarray(rng.standard_normal((2, 12, 13))), grid) for _ in range(2))
    assert inner(u, v).shape == (2,)
    np.testing.assert_allclose(inner(u, v), inner(v, u), rtol=1e-13)
