"""Polynomial preconditioners: NumPy's solutions, the counts that theory gives, refusals."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pdejax.solvers.linear._polynomial import AdaptivePolynomial, symmetric_polynomial

PSD = lx.positive_semidefinite_tag


def spectrum(eigenvalues, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    n = len(eigenvalues)
    a = rng.standard_normal((n, n)).astype(dtype)
    if np.iscomplexobj(a):
        a = a + 1j * rng.standard_normal((n, n))
    q = np.linalg.qr(a)[0]
    return ((q * eigenvalues) @ q.conj().T).astype(dtype), rng.standard_normal(n).astype(dtype)


def solve(solver, a, b, options=None):
    a = lx.MatrixLinearOperator(jnp.asarray(a), PSD)
    return lx.linear_solve(a, jnp.asarray(b), solver, options=options, throw=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_against_numpy(dtype):
    a, b = spectrum(np.linspace(1, 10, 12), dtype)
    rtol = 1e-5 if dtype == np.float32 else 1e-10
    out = solve(AdaptivePolynomial(rtol, history=40), a, b)
    assert out.result == lx.RESULTS.successful and out.value.dtype == dtype
    np.testing.assert_allclose(out.value, np.linalg.solve(a, b), atol=30 * rtol)
    norms = np.asarray(out.stats["residual_history"])
    steps = int(out.stats["num_steps"])
    assert norms[0] == 1 and norms[steps] <= rtol < norms[steps - 1] and np.all(np.isnan(norms[steps + 1 :]))
    assert int(out.stats["num_matvecs"]) == 3 * steps + 1


def test_as_many_eigenvalues_as_the_space_has_dimensions_take_one_step():
    a, b = spectrum(np.repeat([1.0, 50.0, 900.0], 5))
    out = solve(AdaptivePolynomial(1e-10, degree=2), a, b)
    assert int(out.stats["num_steps"]) == 1 and out.result == lx.RESULTS.successful
    # An exhausted space (two eigenvalues, four dimensions) breaks nothing.
    a, b = spectrum(np.repeat([1.0, 50.0], 5))
    out = solve(AdaptivePolynomial(1e-10, degree=3), a, b)
    assert int(out.stats["num_steps"]) == 1 and out.result == lx.RESULTS.successful


def test_outliers_cost_no_steps():
    bulk = np.linspace(1, 20, 40)
    system = spectrum(np.append(bulk, [3e3, 1e4]))
    out = [solve(AdaptivePolynomial(1e-8, max_steps=100_000, degree=d), *system) for d in (0, 2)]
    assert out[0].result == lx.RESULTS.successful and out[1].result == lx.RESULTS.successful
    assert int(out[1].stats["num_matvecs"]) < int(out[0].stats["num_matvecs"]) / 10


def test_symmetric_polynomial_multiplies_by_the_others():
    eigenvalues = np.array([1.0, 2.0, 5.0, 7.0])
    a, _ = spectrum(eigenvalues)
    traces = [np.sum(eigenvalues**k) for k in (1, 2)]
    p = symmetric_polynomial(lx.MatrixLinearOperator(jnp.asarray(a), PSD), traces).as_matrix()
    pairs = lambda values: (np.sum(values) ** 2 - np.sum(values**2)) / 2
    others = [pairs(np.delete(eigenvalues, i)) / pairs(eigenvalues) for i in range(4)]
    expected = np.linalg.eigvalsh(a)
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(p @ a).real), np.sort(expected * others), rtol=1e-10)


def test_transformations_and_honest_failure():
    a, b = spectrum(np.linspace(1, 10, 12))

    def total(shift, b):
        operator = lx.MatrixLinearOperator(jnp.asarray(a) + shift * jnp.eye(12), PSD)
        out = lx.linear_solve(operator, b, AdaptivePolynomial(1e-12), throw=False)
        return jnp.sum(out.value**2), out.stats["num_steps"]

    exact = lambda shift: np.sum(np.linalg.solve(a + shift * np.eye(12), b) ** 2)
    slope = jax.jit(jax.grad(total, has_aux=True))(1.0, jnp.asarray(b))[0]
    assert float(slope) == pytest.approx((exact(1 + 1e-5) - exact(1 - 1e-5)) / 2e-5, rel=1e-6)
    values, steps = jax.jit(jax.vmap(total, (0, None)))(jnp.asarray([0.0, 100.0]), jnp.asarray(b))
    np.testing.assert_allclose(values, [exact(0), exact(100)], rtol=1e-9)
    assert steps[0] > steps[1]
    assert solve(AdaptivePolynomial(1e-10, max_steps=1), a, b).result == lx.RESULTS.max_steps_reached
    assert solve(AdaptivePolynomial(1e-10), -a, b).result == lx.RESULTS.breakdown


def test_refusals():
    with pytest.raises(ValueError, match="positive_semidefinite_tag"):
        lx.linear_solve(lx.MatrixLinearOperator(jnp.eye(3)), jnp.ones(3), AdaptivePolynomial(1e-8))
    with pytest.raises(ValueError, match="degree=2"):
        AdaptivePolynomial(1e-8, degree=-1)
    with pytest.raises(ValueError, match="tr A"):
        symmetric_polynomial(lx.MatrixLinearOperator(jnp.eye(3), PSD), ())
