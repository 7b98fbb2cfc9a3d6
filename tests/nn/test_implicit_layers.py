"""Penalties, norms, certificates and parametrisations around `nn.FixedPoint`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import pdejax as pj
from pdejax import nn, solvers
from pdejax.nn._contraction import contraction
from pdejax.nn._jacobian_penalty import jacobian_penalty
from pdejax.nn._lipschitz import SpectralNorm, lipschitz_bound
from pdejax.nn._monotone import Monotone, proximal
from pdejax.nn._subhomogeneous import Subhomogeneous, subhomogeneity

KEY = jax.random.key(0)
N = 6


class Tanh(eqx.Module):
    """`tanh(W z + x)` with dropout of the state, if there is a key."""

    linear: eqx.Module
    dropout: eqx.nn.Dropout = eqx.nn.Dropout(0.0)

    def __call__(self, z, x, *, key=None):
        return jnp.tanh(self.linear(self.dropout(z, key=key, inference=key is None)) + x)


def tanh_body(norm=0.5, rate=0.0):
    linear = eqx.nn.Linear(N, N, use_bias=False, key=KEY)
    weight = linear.weight * (norm / jnp.linalg.norm(linear.weight, 2))
    return Tanh(eqx.tree_at(lambda m: m.weight, linear, weight), eqx.nn.Dropout(rate))


def test_penalty_has_the_mean_of_the_frobenius_norm():
    body, x = tanh_body(2.0), jax.random.normal(KEY, (N,))
    z = jax.random.normal(jax.random.key(1), (N,))
    exact = jnp.sum(jax.jacfwd(body)(z, x) ** 2) / N
    estimate = eqx.filter_jit(jacobian_penalty)(body, z, x, key=KEY, samples=4000)
    np.testing.assert_allclose(estimate, exact, rtol=0.05)
    of_layer = eqx.filter_jit(jacobian_penalty)(nn.FixedPoint(body), z, x, key=KEY, samples=4000)
    np.testing.assert_allclose(of_layer, estimate, rtol=1e-12)
    with pytest.raises(ValueError, match="samples=0"):
        jacobian_penalty(body, z, x, key=KEY, samples=0)


def test_penalty_is_differentiable_in_the_parameters_and_not_in_the_point():
    body, x = tanh_body(2.0), jax.random.normal(KEY, (N,))
    z, way = (jax.random.normal(jax.random.key(i), (N,)) for i in (1, 2))
    step = jax.random.normal(jax.random.key(3), (N, N))

    @jax.jit
    def at(t, s):
        moved = eqx.tree_at(lambda b: b.linear.weight, body, body.linear.weight + t * step)
        return jacobian_penalty(moved, z + s * way, x, key=KEY)

    numerical = (at(1e-5, 0.0) - at(-1e-5, 0.0)) / 2e-5
    gradient = jax.jit(jax.grad(at, argnums=(0, 1)))(0.0, 0.0)
    np.testing.assert_allclose(gradient[0], numerical, rtol=1e-7)
    assert gradient[1] == 0 and at(0.0, 1.0) != at(0.0, 0.0)


def test_penalty_of_fields_in_single_precision():
    field = pj.GridField(jnp.ones((2, 8), jnp.float32), pj.Grid(x=pj.Fourier(8, length=1.0)))
    scale = jnp.float32(0.5)
    penalty = jacobian_penalty(lambda z, x: z.with_values(scale * z.values + x.values), field, field, key=KEY)
    assert penalty.dtype == jnp.float32
    np.testing.assert_allclose(penalty, 0.25, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-25), (np.float32, 1e25), (np.float64, 1.0)])
def test_gram_iteration_bounds_the_norm_and_overflows_nowhere(dtype, size):
    rng = np.random.default_rng(0)
    bound = jax.jit(lipschitz_bound, static_argnums=1)
    for shape in ((5, 8), (8, 5)):
        matrix = rng.normal(size=shape).astype(dtype) * np.asarray(size, dtype)
        norm = np.linalg.norm(matrix.astype(np.float64), 2)
        excess = np.array([float(bound(jnp.asarray(matrix), k)) / norm for k in (1, 2, 4, 8)])
        assert np.all(excess >= 1) and np.all(excess <= 5.0 ** (0.5 ** np.array([2, 3, 5, 9])) * (1 + 1e-5))


def test_gram_iteration_is_differentiable_and_knows_zero():
    matrix = jax.random.normal(KEY, (4, 3))
    derivative = jax.jit(jax.value_and_grad(lambda m: lipschitz_bound(m, 12)))
    _, gradient = derivative(matrix)
    u, _, vt = np.linalg.svd(matrix)
    np.testing.assert_allclose(gradient, np.outer(u[:, 0], vt[0]), atol=1e-6)
    value, gradient = derivative(jnp.zeros((4, 3)))
    assert value == 0 and jnp.all(gradient == 0)


@pytest.mark.parametrize("kinds", [("Sine",), ("Fourier", "Cosine"), ("Cosine", "Fourier")])
def test_bound_of_a_spectral_layer(kinds):
    axes = {n: getattr(pj, k)(9, length=1.0) for n, k in zip("xy", kinds, strict=False)}
    grid = pj.Grid(**axes)
    layer = nn.SpectralConv(2, 3, 2, len(kinds), key=KEY)
    matrix = jax.jit(jax.jacfwd(lambda v: layer.on_values(v, grid).ravel()))(jnp.zeros((2, *grid.shape)))
    matrix = np.asarray(matrix).reshape(3 * 9 ** len(kinds), -1)
    # The 2-norm of node values with the weights of the quadrature.
    root = np.ones(1)
    for kind in kinds:
        end = np.ones(9) if kind == "Fourier" else np.r_[0.5, np.ones(7), 0.5]
        root = np.kron(root, np.sqrt(end))
    norm = np.linalg.norm(np.tile(root, 3)[:, None] * matrix / np.tile(root, 2), 2)
    bound, normed = eqx.filter_jit(
        lambda m: (lipschitz_bound(m, 10), lipschitz_bound(SpectralNorm(m, 0.1, 10).normalised, 10))
    )(layer)
    assert norm <= bound * (1 + 1e-12)
    assert bound <= (1.5 if len(kinds) > 1 else 1.2) * norm
    np.testing.assert_allclose(normed, 0.1, rtol=1e-6)


def test_bounds_are_of_linear_layers():
    with pytest.raises(TypeError, match="multiply the bounds"):
        lipschitz_bound(eqx.nn.Lambda(jnp.tanh))
    with pytest.raises(ValueError, match="iterations=0"):
        lipschitz_bound(jnp.eye(2), 0)
    with pytest.raises(ValueError, match=r"bound=0\.0"):
        SpectralNorm(jnp.eye(2), 0.0)


def test_spectral_norm_makes_any_weight_contract():
    wild = eqx.tree_at(lambda m: m.weight, eqx.nn.Linear(N, N, use_bias=False, key=KEY), 9 * jnp.ones((N, N)))
    normalised = SpectralNorm(wild, 0.8)
    np.testing.assert_allclose(np.linalg.norm(normalised.weight, 2), 0.8, rtol=1e-6)
    mild = SpectralNorm(nn.Pointwise(N, N, key=KEY), 1e3)
    np.testing.assert_array_equal(mild.weight, mild.layer.weight)
    x, z0 = jax.random.normal(KEY, (N,)), jnp.zeros(N)
    solve = eqx.filter_jit(lambda body: nn.FixedPoint(body, solvers.Picard(1e-10), max_steps=200).solve(x, z0))
    assert solve(Tanh(normalised)).ok and contraction(normalised).holds


@pytest.mark.slow
def test_gradient_through_the_norm():
    x, z0 = jax.random.normal(KEY, (N,)), jnp.zeros(N)

    def loss(body, adjoint):
        return jnp.sum(nn.FixedPoint(body, solvers.Picard(1e-12), adjoint, 200)(x, z0) ** 2)

    body = Tanh(SpectralNorm(eqx.nn.Linear(N, N, use_bias=False, key=KEY), 0.5))
    one, other = (
        eqx.filter_jit(eqx.filter_grad(loss))(body, adjoint)
        for adjoint in (solvers.ImplicitAdjoint(), solvers.UnrolledAdjoint())
    )
    np.testing.assert_allclose(one.linear.layer.weight, other.linear.layer.weight, atol=1e-9)


def test_weight_norm_of_equinox_serves_inside_a_fixed_point():
    body = Tanh(eqx.nn.WeightNorm(tanh_body(0.5).linear))
    x, z0 = jax.random.normal(KEY, (N,)), jnp.zeros(N)
    solve = eqx.filter_jit(lambda body: nn.FixedPoint(body, solvers.Picard(1e-12), max_steps=100).solve(x, z0))
    found = solve(body)
    assert found.ok
    np.testing.assert_allclose(found.value, tanh_body(0.5)(found.value, x), atol=1e-10)


def test_certificate_and_its_bound_of_the_error():
    a, b = (jax.random.normal(k, (N, N)) / 20 for k in jax.random.split(KEY))
    body = lambda z, x: jnp.tanh(a @ (b @ z) + b @ z + x)
    certificate = contraction((a, b), b)
    assert certificate.holds
    lipschitz = np.linalg.norm(a, 2) * np.linalg.norm(b, 2) + np.linalg.norm(b, 2)
    assert lipschitz <= certificate.factor <= 1.05 * lipschitz
    x, z = jax.random.normal(KEY, (N,)), jnp.zeros(N)
    exact = jax.jit(lambda z: jax.lax.fori_loop(0, 200, lambda _, z: body(z, x), z))(z)
    for _ in range(3):
        residual = jnp.linalg.norm(body(z, x) - z)
        assert residual / 2 <= jnp.linalg.norm(z - exact) <= certificate.distance(residual)
        z = body(z, x)
    without = contraction(3 * jnp.eye(2), slope=1.13)
    assert not without.holds and without.distance(jnp.ones(())) == jnp.inf and without.factor > 3 * 1.13 * 0.999


def test_degrees_of_subhomogeneity():
    np.testing.assert_allclose(subhomogeneity(jnp.tanh, 1.2), 0.9991, atol=5e-5)
    np.testing.assert_allclose(subhomogeneity(jnp.tanh, 1.603), 0.4992, atol=5e-5)
    assert subhomogeneity(jnp.tanh, 0.9) == np.inf
    # max of x / (sinh x cosh x + s cosh^2 x), by another search.
    x = np.linspace(0.01, 5, 100001)
    np.testing.assert_allclose(
        subhomogeneity(jnp.tanh, 0.3, signed=False), np.max(x / np.cosh(x) ** 2 / (np.tanh(x) + 0.3)), rtol=1e-7
    )


@pytest.mark.parametrize("normalise", [False, True])
def test_subhomogeneous_layers_forget_their_start_whatever_the_weights(normalise):
    body = Subhomogeneous(3, 20, normalise=normalise, key=KEY)
    body = eqx.tree_at(lambda b: b.weight, body, 1e3 * body.weight * jax.random.uniform(KEY, (20, 20)) ** 8)
    layer = nn.FixedPoint(body, solvers.Picard(1e-13), max_steps=300)
    x = jax.random.normal(KEY, (3,))
    starts = jnp.exp(3 * jax.random.normal(KEY, (8, 20)))
    found = eqx.filter_jit(lambda s: jax.vmap(lambda z0: layer.solve(x, z0))(s))(starts)
    assert jnp.all(found.ok) and jnp.ptp(found.value, axis=0).max() < 1e-10 and jnp.all(found.value > 0)
    # The rate that the degree promises, in the metric it promises it for.
    one, two = (starts / jnp.max(starts, axis=1, keepdims=True) if normalise else starts)[:2]
    spread = lambda r: jnp.ptp(r) if normalise else jnp.max(jnp.abs(r))
    before, after = (spread(jnp.log(a / b)) for a, b in ((one, two), (body(one, x), body(two, x))))
    assert after <= body.degree * before * (1 + 1e-12)


def test_subhomogeneity_certifies_nothing_for_weights_of_both_signs():
    body = Subhomogeneous(1, 2, signed=True, shift=1.603, key=KEY)
    body = eqx.tree_at(lambda b: b.weight, body, jnp.array([[2.0, -2.0], [-2.0, 2.0]]))
    assert body.degree < 0.5
    layer = nn.FixedPoint(body, solvers.Picard(1e-12), max_steps=100)
    one, two = (layer.solve(jnp.zeros(1), z0) for z0 in (jnp.array([2.0, 1.0]), jnp.array([1.0, 2.0])))
    assert one.ok and two.ok and jnp.max(jnp.abs(one.value - two.value)) > 1


@pytest.mark.parametrize("options", [{"shift": 0.0}, {"signed": True}, {"signed": True, "normalise": True}])
def test_shifts_that_are_too_small_are_refused(options):
    shift = {"shift": 1.1 if not options.get("normalise") else 1.5}
    with pytest.raises(ValueError, match="too much for a unique"):
        Subhomogeneous(2, 3, **(shift | options), key=KEY)


def test_proximal_operators():
    v, steps = jnp.linspace(-4, 4, 401), jnp.array([1e-4, 1e-2, 0.3, 1.0, 5.0])
    relu, tanh = (jax.jit(jax.vmap(lambda a, f=f: proximal(f, a, v)))(steps) for f in (jax.nn.relu, jnp.tanh))
    np.testing.assert_allclose(relu, np.broadcast_to(np.maximum(v, 0), relu.shape), atol=1e-14)
    assert np.all(np.diff(tanh) >= 0) and np.max(np.abs(tanh)) <= 1
    # z + a (atanh(z) - z) = v, where atanh is well conditioned.
    z = np.where(np.abs(tanh) < 0.999, tanh, 0)
    left = z + np.asarray(steps)[:, None] * (np.arctanh(z) - z) - np.asarray(v)
    np.testing.assert_allclose(np.where(z == tanh, left, 0), 0, atol=1e-12)
    f = jax.jit(lambda a, v: proximal(jnp.tanh, a, v))
    check_grads(f, (jnp.asarray(0.2), jnp.asarray(0.7)), order=1, modes=("fwd", "rev"))


@pytest.mark.parametrize("activation", [jnp.tanh, pytest.param(jax.nn.relu, marks=pytest.mark.slow)])
def test_monotone_bodies_converge_from_everywhere(activation):
    body = Monotone(3, N, activation=activation, key=KEY)
    body = eqx.tree_at(lambda b: (b.a, b.b), body, (4 * body.a, 6 * body.b))
    assert np.linalg.norm(body.weight, 2) > 5
    x, starts = jax.random.normal(KEY, (3,)), 10 * jax.random.normal(KEY, (4, N))
    layer = nn.FixedPoint(body, solvers.Picard(1e-12), max_steps=20000)
    found = eqx.filter_jit(lambda s: jax.vmap(lambda z0: layer.solve(x, z0))(s))(starts)
    assert jnp.all(found.ok)
    np.testing.assert_allclose(found.value, jnp.broadcast_to(found.value[0], (4, N)), atol=1e-8)
    z = np.asarray(found.value[0])
    wanted = activation(body.weight @ z + body.inputs @ x + body.bias)
    np.testing.assert_allclose(z, wanted, atol=1e-7)
    fast = eqx.filter_jit(lambda z0: nn.FixedPoint(body, solvers.Anderson(1e-10), max_steps=2000).solve(x, z0))(
        starts[0]
    )
    assert fast.ok and 3 * fast.stats["num_steps"] < found.stats["num_steps"].min()
    np.testing.assert_allclose(fast.value, z, atol=1e-6)


@pytest.mark.slow
def test_monotone_gradient_is_that_of_the_equation_it_solves():
    body, x = Monotone(3, N, key=KEY), jax.random.normal(KEY, (3,))

    def loss(body):
        return jnp.sum(nn.FixedPoint(body, solvers.Anderson(1e-12), max_steps=500)(x, jnp.zeros(N)) ** 2)

    def plain(body):
        direct = lambda z, _: jnp.tanh(body.weight @ z + body.inputs @ x + body.bias)
        return jnp.sum(nn.FixedPoint(direct, solvers.Anderson(1e-12), max_steps=500)(x, jnp.zeros(N)) ** 2)

    one, other = (eqx.filter_jit(eqx.filter_grad(f))(body) for f in (loss, plain))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
    with pytest.raises(ValueError, match=r"margin=0\.0"):
        Monotone(3, N, margin=0.0, key=KEY)


def test_dropout_takes_one_mask_a_solve():
    """Variational dropout: without a mask that stays, there would be no fixed point."""
    body, x, z0 = tanh_body(0.9, rate=0.5), jax.random.normal(KEY, (N,)), jnp.zeros(N)
    layer = nn.FixedPoint(body, solvers.Picard(1e-10), max_steps=400)
    solve = eqx.filter_jit(lambda key: layer.solve(x, z0, key=key))
    one, again, other = (solve(jax.random.key(i)) for i in (1, 1, 2))
    assert one.ok and other.ok and jnp.all(one.value == again.value)
    assert jnp.max(jnp.abs(one.value - other.value)) > 1e-3
    mask = body.dropout(jnp.ones(N), key=jax.random.key(1))
    assert 0 < jnp.sum(mask > 0) < N
    np.testing.assert_allclose(one.value, jnp.tanh(body.linear(mask * one.value) + x), atol=1e-9)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_bodies_keep_the_dtype(dtype):
    """And are built inside of a compiled function."""
    x, z0 = jnp.ones(3, dtype), jnp.ones(4, dtype)
    for kind in (Monotone, Subhomogeneous):
        out = eqx.filter_eval_shape(lambda key, kind=kind: kind(3, 4, key=key)(z0, x), KEY)
        assert out.shape == (4,) and out.dtype == dtype
