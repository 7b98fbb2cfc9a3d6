import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.equations import Burgers
from pdejax.objectives import mean_squared_residual, relative_h1, relative_l2, residual_loss

GRID = pj.Grid(x=pj.Fourier(16), y=pj.Fourier(18))


def field(fn, grid=GRID):
    return pj.GridField.from_function(fn, grid)


def test_relative_errors_in_closed_form():
    target = field(lambda x, y: jnp.sin(x) + 0 * y)
    prediction = field(lambda x, y: jnp.sin(x) + 0.1 * jnp.cos(3 * y))
    assert float(relative_l2(prediction, target)) == pytest.approx(0.1)
    assert float(relative_h1(prediction, target)) == pytest.approx(0.1 * np.sqrt(10 / 2))
    assert float(relative_l2(target, target)) == 0


def test_relative_errors_do_not_depend_on_resolution():
    fine = pj.Grid(x=pj.Fourier(20), y=pj.Fourier(30))
    for loss in (relative_l2, relative_h1):
        values = [
            loss(
                field(lambda x, y: jnp.sin(x) * jnp.cos(y), grid), field(lambda x, y: jnp.sin(x) + jnp.cos(2 * y), grid)
            )
            for grid in (GRID, fine)
        ]
        np.testing.assert_allclose(*values, rtol=1e-12)


def test_channels_must_agree():
    with pytest.raises(ValueError, match="out_channels=1"):
        relative_l2(field(lambda x, y: (x, y)), field(lambda x, y: x))


@pytest.mark.parametrize("nu", (0.1,))
def test_residual_loss_on_points_and_on_grids(nu):
    """u = x / (1 + t) solves Burgers' equation; u + a has the residual a / (1 + t)."""
    equation, a = Burgers(viscosity=nu), 0.5
    points = jnp.asarray(np.random.default_rng(0).uniform(size=(50, 2)))
    exact = pj.FunctionField.from_function(lambda t, x: x / (1 + t), ("t", "x"))
    off = pj.FunctionField.from_function(lambda t, x: x / (1 + t) + a, ("t", "x"))
    loss = residual_loss(equation, points)
    assert float(loss(exact)) < 1e-28
    np.testing.assert_allclose(loss(off), np.mean((a / (1 + points[:, 0])) ** 2), rtol=1e-12)
    grid = pj.Grid(t=pj.Chebyshev(20, length=1.0, start=0.0), x=pj.Chebyshev(12, length=1.0, start=0.0))
    on_grid = mean_squared_residual(equation, field(lambda t, x: x / (1 + t) + a, grid))
    np.testing.assert_allclose(on_grid, a**2 / 2, rtol=1e-8)
    with pytest.raises(ValueError, match="points"):
        mean_squared_residual(equation, off)


def test_residual_loss_trains_a_network():
    net = eqx.nn.MLP(2, "scalar", 8, 1, activation=jnp.tanh, key=jax.random.key(0))
    points = jnp.asarray(np.random.default_rng(0).uniform(size=(20, 2)))
    loss = residual_loss(Burgers(viscosity=0.1), points)

    @eqx.filter_jit
    def value_and_gradient(net, loss):
        return eqx.filter_value_and_grad(lambda net: loss(pj.FunctionField(net, ("t", "x"))))(net)

    value, gradient = value_and_gradient(net, loss)
    step = 1e-4
    lower = eqx.apply_updates(net, jax.tree.map(lambda g: -step * g, gradient))
    slope = sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient))
    np.testing.assert_allclose(value - value_and_gradient(lower, loss)[0], step * slope, rtol=0.05)
