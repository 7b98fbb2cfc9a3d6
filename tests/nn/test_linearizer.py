import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax.nn._coupling import CouplingNetwork
from pdejax.nn._idempotent import IdempotentLosses, Projection
from pdejax.nn._linearizer import Linearizer

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (7,))
Y = jax.random.normal(jax.random.key(2), (7,))


@eqx.filter_jit
def couplings(depth: int, key) -> CouplingNetwork:
    return CouplingNetwork(7, 8, depth, key=key)


@pytest.fixture(scope="module")
def g() -> CouplingNetwork:
    return couplings(depth=3, key=KEY)


@pytest.mark.parametrize("dtype,tolerance", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_couplings_are_inverted(g, dtype, tolerance):
    x = X.astype(dtype)
    there, back, again, slopes = eqx.filter_jit(lambda x: (g(x), g.inverse(g(x)), g(g.inverse(x)), jax.jacfwd(g)(x)))(x)
    assert back.dtype == dtype and np.max(np.abs(there - x)) > 0.1
    np.testing.assert_allclose(back, x, atol=tolerance)
    np.testing.assert_allclose(again, x, atol=tolerance)
    assert abs(np.linalg.det(slopes)) > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_and_ones_project(g, dtype):
    f = Linearizer(g, np.array([True, False, True, False, False, True, False]))
    x = X.astype(dtype)
    once, twice, slopes = eqx.filter_jit(lambda x: (f(x), f(f(x)), jax.jacfwd(f)(x)))(x)
    assert np.max(np.abs(once - x)) > 0.1
    np.testing.assert_allclose(twice, once, atol=1e-5 if dtype == np.float32 else 1e-12)
    assert np.linalg.matrix_rank(slopes, tol=1e-4 if dtype == np.float32 else 1e-10) == 3


def test_powers_are_repeated_applications(g):
    diagonal = jnp.linspace(-1.2, 1.1, 7)
    rotation = jnp.linalg.qr(jax.random.normal(KEY, (7, 7)))[0]
    for matrix in (diagonal, rotation):
        f, y = eqx.filter_jit(Linearizer(g, matrix)), X
        for _ in range(5):
            y = f(y)
        fifth, zeroth = eqx.filter_jit(lambda f: (f.power(X, 5), f.power(X, 0)))(Linearizer(g, matrix))
        np.testing.assert_allclose(fifth, y, atol=1e-10)
        np.testing.assert_allclose(zeroth, X, atol=1e-12)


def test_linear_in_its_own_operations(g):
    h = couplings(depth=2, key=jax.random.key(5))
    f = Linearizer(g, jax.random.normal(KEY, (7, 7)) / 3, h)
    combine = lambda net, x, y: net.inverse(2 * net(x) - 3 * net(y))
    np.testing.assert_allclose(
        *eqx.filter_jit(lambda x, y: (f(combine(g, x, y)), combine(h, f(x), f(y))))(X, Y), atol=1e-10
    )
    with pytest.raises(ValueError, match="outer=None"):
        f.power(X, 2)


def test_every_parameter_has_a_gradient(g):
    f = Linearizer(g, jnp.linspace(0.5, 1, 7))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda f: jnp.sum(f(X) ** 2)))(f)
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))
    assert eqx.filter(Linearizer(g, np.ones(7, bool)), eqx.is_inexact_array).matrix is None


class Scale(eqx.Module):
    """`f(x) = a x`, of which everything is known."""

    a: jax.Array

    def __call__(self, x):
        return self.a * x


def test_losses_of_a_map_that_is_known():
    """For `f = a x`: reconstruction (a-1)^2 x^2, idempotence a^2 (a-1)^2 z^2 with derivative 2 a (a-1)^2 z^2 since the
    outer `a` is frozen, tightness -tanh(q / m) m with q = a^2 (a-1)^2 z^2 and derivative through the outer `a` only.
    """
    a, x, z, clip = 0.7, 2.0, 3.0, 1.5
    losses = IdempotentLosses(20.0, 2.5, clip)
    terms = lambda a: losses.terms(Scale(a), jnp.full(4, x), jnp.full(4, z))
    q, most = (a * (a - 1) * z) ** 2, clip * ((a - 1) * x) ** 2
    wanted = [((a - 1) * x) ** 2, q, -np.tanh(q / most) * most]
    slopes = [
        2 * (a - 1) * x**2,
        2 * a * (a - 1) ** 2 * z**2,
        -(1 - np.tanh(q / most) ** 2) * 2 * (a - 1) * (a * z) ** 2,
    ]
    total = lambda a: losses(Scale(a), jnp.full(4, x), jnp.full(4, z))
    found, derivatives, total = eqx.filter_jit(lambda a: (terms(a), jax.jacrev(terms)(a), total(a)))(jnp.asarray(a))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(derivatives, slopes, rtol=1e-12)
    np.testing.assert_allclose(total, np.dot([1, 20, 2.5], wanted), rtol=1e-12)


def test_an_exact_projection_loses_nothing():
    class Drop(eqx.Module):
        def __call__(self, x):
            return x.at[2:].set(0)

    np.testing.assert_allclose(IdempotentLosses()(Drop(), X.at[2:].set(0), Y), 0, atol=1e-15)


def test_projection_has_rank_and_keeps_the_dtype():
    build = lambda key: Projection(7, 2, 8, 1, key=key)
    both = lambda f, x: (jax.jacfwd(f)(x), f(x.astype(np.float32)))
    slopes, single = eqx.filter_jit(both)(eqx.filter_jit(build)(KEY), X)
    assert np.linalg.matrix_rank(slopes, tol=1e-10) == 2
    assert single.dtype == np.float32


def test_bad_arguments_are_told(g):
    with pytest.raises(ValueError, match="size=2"):
        CouplingNetwork(1, 8, 1, key=KEY)
    with pytest.raises(ValueError, match="matrix"):
        Linearizer(g, jnp.ones((3, 4)))
    with pytest.raises(ValueError, match="rank"):
        Projection(7, 7, 8, 1, key=KEY)
