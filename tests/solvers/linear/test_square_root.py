"""The square root of a matrix and its derivatives against SciPy's Schur methods and differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from pdejax.solvers.linear import lyapunov, pade_root, sqrtm_psd


def definite(size, condition, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(size, size)) + (1j * rng.normal(size=(size, size)) if dtype is complex else 0))
    a = (q * np.geomspace(1, condition, size)) @ q.conj().T
    return ((a + a.conj().T) / 2).astype(dtype), rng.normal(size=(size, size)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, float, complex])
@pytest.mark.parametrize("condition", [10.0, 1e4])
def test_lyapunov_stops_when_it_is_done(dtype, condition):
    s, g = definite(16, condition**0.5, dtype)
    x = jax.jit(lyapunov)(jnp.asarray(s), jnp.asarray(g))
    exact = scipy.linalg.solve_sylvester(s, s, g)
    assert x.dtype == dtype
    assert np.linalg.norm(x - exact) < (1e-3 if dtype is np.float32 else 1e-10) * np.linalg.norm(exact)


@pytest.mark.parametrize("dtype", [float, complex])
def test_root_and_gradient(dtype):
    a, g = definite(16, 1e4, dtype)
    root, pull = jax.vjp(sqrtm_psd, jnp.asarray(a))
    np.testing.assert_allclose(root, scipy.linalg.sqrtm(a), rtol=1e-8, atol=1e-8)
    # JAX pulls back without conjugation: the transposed equation.
    exact = scipy.linalg.solve_sylvester(np.asarray(root).T, np.asarray(root).T, g)
    assert np.linalg.norm(pull(jnp.asarray(g))[0] - exact) < 1e-8 * np.linalg.norm(exact)


def test_second_derivative_and_repeated_eigenvalues():
    """`trace sqrt(I + t B)` at t = 0, where all eigenvalues are one: `-trace(B^2) / 4`."""
    b = np.diag([1.0, 2.0, 3.0]) + 0.5
    curvature = jax.jit(jax.grad(jax.grad(lambda t: jnp.trace(sqrtm_psd(jnp.eye(3) + t * b)))))(0.0)
    np.testing.assert_allclose(curvature, -np.trace(b @ b) / 4, rtol=1e-10)


def test_batch_with_different_conditions():
    matrices = jnp.stack([jnp.asarray(definite(8, c)[0]) for c in (1.0, 1e2, 1e4)])
    gradients = jax.jit(jax.vmap(jax.grad(lambda a: jnp.trace(sqrtm_psd(a)))))(matrices)
    for a, gradient in zip(matrices, gradients):
        np.testing.assert_allclose(gradient, np.linalg.inv(scipy.linalg.sqrtm(np.asarray(a))) / 2, rtol=1e-7, atol=1e-9)


def test_pade_root():
    """Order 5 is rough at condition 1e2 and exact near the identity; more terms are better."""
    a, _ = definite(16, 1e2)
    exact = scipy.linalg.sqrtm(a)
    errors = [np.linalg.norm(pade_root(jnp.asarray(a), m) - exact) / np.linalg.norm(exact) for m in (5, 10, 20)]
    assert errors[0] < 0.05 and errors[1] < errors[0] / 4 and errors[2] < errors[1] / 4
    near = np.eye(4) + 1e-3 * definite(4, 3.0)[0]
    np.testing.assert_allclose(pade_root(jnp.asarray(near)), scipy.linalg.sqrtm(near), rtol=1e-6, atol=1e-9)


def test_singular_has_no_derivative():
    singular = jnp.diag(jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(sqrtm_psd(singular), singular, atol=1e-12)
    assert np.isnan(jax.grad(lambda a: jnp.trace(sqrtm_psd(a)))(singular)).any()
