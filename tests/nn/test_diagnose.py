import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax import nn, solvers
from pdejax.nn._diagnose import diagnose

KEY = jax.random.key(0)
N = 6


def linear(z, x):
    matrix, b = x
    return matrix @ z + b


def rotations(*polar):
    """Block diagonal rotations, each with a radius."""
    blocks = [r * np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) for r, t in polar]
    return jax.scipy.linalg.block_diag(*map(jnp.asarray, blocks))


MATRIX = rotations((0.9, 1.0), (0.5, 0.3), (0.2, 2.0))


def test_what_it_says_of_a_linear_map_is_true():
    layer = nn.FixedPoint(linear, solvers.Picard(1e-10), max_steps=400)
    found = diagnose(layer, (MATRIX, jnp.ones(N)), jnp.zeros(N), key=KEY, iterations=200, samples=2000)
    assert found.converged and found.residual < 1e-10 and found.unconverged == 0
    np.testing.assert_allclose(found.spectral_radius, 0.9, rtol=0.01)
    np.testing.assert_allclose(found.frobenius, np.linalg.norm(MATRIX) / np.sqrt(N), rtol=0.03)
    assert found.gradient_ok and found.adjoint_residual < 1e-9 and 0 < found.adjoint_steps <= 20
    assert "1 fixed point: 0 not converged" in str(found) and "diverge" not in str(found)


@pytest.mark.parametrize(
    ("adjoint", "terms"),
    [
        (solvers.PhantomAdjoint(3), 3),
        pytest.param(solvers.NeumannAdjoint(4), 4, marks=pytest.mark.slow),
        pytest.param(solvers.UnrolledAdjoint(), None, marks=pytest.mark.slow),
    ],
)
def test_approximate_adjoints_are_measured(adjoint, terms):
    """With the first `k` terms of the Neumann series, what remains of the system is `(J^T)^k g`."""
    layer = nn.FixedPoint(linear, solvers.Picard(1e-9), adjoint, max_steps=400)
    found = diagnose(layer, (0.6 * rotations(*[(1.0, 0.7)] * 3), jnp.ones(N)), jnp.zeros(N), key=KEY)
    np.testing.assert_allclose(found.adjoint_residual, 0.6**terms if terms else 0, rtol=1e-6, atol=1e-8)
    assert found.adjoint_steps is None and found.gradient_ok and "products" not in str(found)


def test_a_batch_in_words_and_a_backward_pass_that_fails():
    matrices = jnp.stack([0.5 * MATRIX, 1.3 * MATRIX])
    weak = solvers.ImplicitAdjoint(linear=solvers.Neumann(3), accept=0.2)
    layer = nn.FixedPoint(linear, solvers.Picard(1e-8), weak, max_steps=50)
    run = eqx.filter_jit(jax.vmap(lambda m: diagnose(layer, (m, jnp.ones(N)), jnp.zeros(N), key=KEY)))
    found = run(matrices)
    assert found.residual.shape == (2,) and list(found.converged) == [True, False] and found.unconverged == 0.5
    assert list(found.iterations < 50) == [True, False]
    np.testing.assert_allclose(found.spectral_radius, [0.45, 1.17], rtol=0.03)
    assert list(found.gradient_ok) == [True, False]
    words = str(found)
    for part in ("2 fixed points: 1 not converged (50 %)", "plain iteration would diverge", "1 gradient will be NaN"):
        assert part in words
    gradient = jax.grad(lambda m: jnp.sum(layer((m, jnp.ones(N)), jnp.zeros(N))))
    assert jnp.all(jnp.isfinite(gradient(matrices[0]))) and jnp.all(jnp.isnan(gradient(matrices[1])))


def test_dropout_is_off_and_a_constant_map_is_fine():
    class Body(eqx.Module):
        dropout: eqx.nn.Dropout

        def __call__(self, z, x):
            return 0 * self.dropout(z) + x

    layer = nn.FixedPoint(Body(eqx.nn.Dropout(0.5)), solvers.Picard(1e-6), solvers.PhantomAdjoint())
    found = diagnose(layer, jnp.ones(N), jnp.zeros(N), key=KEY)
    assert found.converged and found.spectral_radius == 0 and found.frobenius == 0 and found.adjoint_residual == 0
