"""Function fields: joint derivatives against nested AD, algebra, evaluation counts, symbolic variations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import curl, d, div, functional_derivative, grad, inner, integrate, laplacian
from pdejax.fields import sample


def mlp(ins, outs, seed=0):
    return eqx.nn.MLP(ins, outs, 16, 2, activation=jnp.tanh, key=jax.random.key(seed), dtype=jnp.float64)


@pytest.fixture
def points():
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (6, 3)))


def test_all_derivatives_to_third_order_agree_with_nested_ad(points):
    net = mlp(3, 2)
    u = pj.FunctionField(net, ("t", "x", "y"))
    jacobian = jax.vmap(jax.jacfwd(net))(points)
    hessian = jax.vmap(jax.jacfwd(jax.jacfwd(net)))(points)
    third = jax.vmap(jax.jacfwd(jax.jacfwd(jax.jacfwd(net))))(points)
    names = ("t", "x", "y")
    for i, a in enumerate(names):
        np.testing.assert_allclose(d(u, a)(points), jacobian[..., i], atol=1e-13)
        np.testing.assert_allclose(d(u, a, 3)(points), third[..., i, i, i], atol=1e-11)
        for j, b in enumerate(names):
            np.testing.assert_allclose(d(d(u, a), b)(points), hessian[..., i, j], atol=1e-12)
            np.testing.assert_allclose(d(d(u, a), b, 2)(points), third[..., i, j, j], atol=1e-11)
    everything = d(u, "t") + d(u, "x", 2) + d(d(u, "x"), "y") + d(d(u, "y", 2), "t")
    expected = jacobian[..., 0] + hessian[..., 1, 1] + hessian[..., 1, 2] + third[..., 0, 2, 2]
    np.testing.assert_allclose(everything(points), expected, atol=1e-11)


def test_products_quotients_powers_and_maps_differentiate(points):
    net = mlp(3, 1)
    u = pj.FunctionField(net, ("t", "x", "y"))
    f = lambda p: jnp.sin(net(p)) * net(p) ** 3 / (2 + net(p) ** 2) - 2 / (3 + net(p))
    field = u.map(jnp.sin) * u**3 / (2 + u**2) - 2 / (3 + u)
    np.testing.assert_allclose(field(points), jax.vmap(f)(points), atol=1e-13)
    np.testing.assert_allclose(
        d(field, "x", 2)(points), jax.vmap(jax.jacfwd(jax.jacfwd(f)))(points)[..., 1, 1], atol=1e-11
    )


def test_vector_identities(points):
    v = pj.FunctionField(mlp(3, 3), ("x", "y", "z"))
    np.testing.assert_allclose(div(curl(v))(points), 0, atol=1e-13)
    np.testing.assert_allclose(curl(grad(v[0]))(points), 0, atol=1e-13)
    np.testing.assert_allclose(div(grad(v[1]))(points), laplacian(v[1])(points), atol=1e-13)


def test_residual_evaluates_the_network_once():
    """The Burgers residual needs u, u_t, u_x, u_xx: two nested passes and one linearisation, not four networks."""
    net = mlp(2, 1)
    residual = pj.equations.Burgers(1e-2).residual(pj.FunctionField(net, ("t", "x")))
    point = jnp.ones(2)

    def by_hand(p):
        along = lambda q: jax.jvp(net, (q,), (jnp.array([0.0, 1.0]),))
        (u, u_x), push = jax.linearize(along, p)
        u_t = push(jnp.array([1.0, 0.0]))[0]
        u_xx = push(jnp.array([0.0, 1.0]))[1]
        return u_t + u * u_x - 1e-2 * u_xx

    np.testing.assert_allclose(residual(point[None])[0], by_hand(point), atol=1e-13)
    cost = lambda f: jax.jit(f).lower(point).compile().cost_analysis()["flops"]
    assert cost(lambda p: residual.at_point(p)) <= 1.15 * cost(by_hand)


def test_gradients_reach_the_network(points):
    u = pj.FunctionField(mlp(3, 1), ("t", "x", "y"))
    loss = lambda u: jnp.mean((d(u, "t") - laplacian(u))(points) ** 2)
    gradient = eqx.filter_grad(loss)(u)
    leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    # The last bias moves no derivative.
    assert sum(bool(jnp.any(leaf != 0)) for leaf in leaves) == len(leaves) - 1


def test_fixing_and_sampling():
    u = pj.FunctionField.from_function(lambda t, x: jnp.sin(x - t), ("t", "x"))
    grid = pj.Grid(x=pj.Fourier(16))
    np.testing.assert_allclose(sample(u.at(t=0.5), grid).values[0], np.sin(grid.axis("x").points - 0.5), atol=1e-14)
    with pytest.raises(ValueError, match="at\\(t=value\\)"):
        sample(u, grid)
    with pytest.raises(ValueError, match="'z'"):
        d(u, "z")


def test_float32_stays_float32():
    u = pj.FunctionField.from_function(lambda x: jnp.sin(x), ("x",))
    assert (2.0 * d(u, "x", 2) + jnp.float64(0.5) * u)(jnp.ones((3, 1), jnp.float32)).dtype == jnp.float32


def test_functional_derivative_agrees_with_hand_and_with_the_discrete_gradient():
    grid = pj.Grid(x=pj.Fourier(24), y=pj.Fourier(25))
    u = pj.GridField.from_function(lambda x, y: jnp.sin(x) * jnp.cos(2 * y) + 0.3 * jnp.cos(x), grid)
    f = pj.GridField.from_function(lambda x, y: jnp.cos(x + y), grid)

    def energy(u):
        slope = grad(u)
        return 0.5 * integrate(slope[0] ** 2 + slope[1] ** 2) + integrate(u**4) * 0.25 - inner(f, u)

    got = functional_derivative(energy, u)
    np.testing.assert_allclose(got.values, (-laplacian(u) + u**3 - f).values, atol=1e-10)
    discrete = jax.grad(lambda v: energy(u.with_values(v))[0])(u.values) / grid.weights()[None]
    np.testing.assert_allclose(got.values, discrete, atol=1e-10)


def test_functional_derivative_of_a_system_and_of_second_derivatives():
    points = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (5, 2)))
    u = pj.FunctionField(mlp(2, 2), ("x", "y"))
    energy = lambda u: integrate(0.5 * laplacian(u[0]) ** 2 + u[0] * u[1] ** 2)
    got = functional_derivative(energy, u)
    expected = pj.stack([laplacian(laplacian(u[0])) + u[1] ** 2, 2.0 * u[0] * u[1]])
    np.testing.assert_allclose(got(points), expected(points), atol=1e-9)
