"""Implicit Runge-Kutta steppers: tableaus, observed orders, stiff decay, gradients, precision, honest failure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.verify import observed_order

S = pj.solvers
METHODS = {
    "backward Euler": (lambda dt: S.Theta(dt, theta=1.0), 1),
    "Crank-Nicolson": (S.Theta, 2),
    "SDIRK2": (S.SDIRK2, 2),
    "SDIRK3": (S.SDIRK3, 3),
    "ESDIRK4": (S.ESDIRK4, 4),
}
L_STABLE = [name for name in METHODS if name != "Crank-Nicolson"]


def tableau(name):
    """`A` and `b` of a method whose last stage is the new state."""
    rows = METHODS[name][0](1.0).rows
    matrix = np.array([np.pad(row, (0, len(rows) - len(row))) for row in rows])
    return matrix, matrix[-1]


def growth(name, z):
    """`R(z) = 1 + z b (I - z A)^-1 1`."""
    matrix, b = tableau(name)
    ones = np.ones(len(b))
    return np.array([1 + x * b @ np.linalg.solve(np.eye(len(b)) - x * matrix, ones) for x in z])


def allen_cahn(diffusivity=0.02, reaction=2.0, dtype=float):
    grid = pj.Grid(x=pj.Sine(33))
    u0 = pj.GridField(0.8 * jnp.sin(np.pi * jnp.asarray(grid.axis("x").points, dtype))[None], grid)
    return pj.EvolutionProblem(pj.equations.AllenCahn(diffusivity, reaction), u0)


@pytest.mark.parametrize("name", METHODS)
def test_order_conditions_of_the_tableau(name):
    matrix, b = tableau(name)
    c = matrix.sum(1)
    trees = [(b.sum(), 1), (b @ c, 1 / 2), (b @ c**2, 1 / 3), (b @ matrix @ c, 1 / 6), (b @ c**3, 1 / 4)]
    trees += [(b @ (c * (matrix @ c)), 1 / 8), (b @ matrix @ c**2, 1 / 12), (b @ matrix @ matrix @ c, 1 / 24)]
    for got, wanted in trees[: {1: 1, 2: 2, 3: 4, 4: 8}[METHODS[name][1]]]:
        assert abs(got - wanted) < 1e-14


@pytest.mark.parametrize("name", METHODS)
def test_stable_in_the_left_half_plane(name):
    # Analytic there, so the imaginary axis bounds it.
    assert np.abs(growth(name, -np.logspace(-3, 6, 500))).max() <= 1
    assert np.abs(growth(name, 1j * np.logspace(-3, 6, 500))).max() < 1 + 1e-13
    at_infinity = abs(growth(name, [-1e9])[0])
    assert at_infinity < 1e-8 if name in L_STABLE else at_infinity > 0.99


@pytest.mark.parametrize("name", METHODS)
def test_observed_order(name):
    method, order = METHODS[name]
    exact = pj.solve(allen_cahn(), S.ETDRK4(dt=1 / 1024)).value
    stepper = method(1 / 16 if order > 1 else 1 / 64)

    def error(m):
        # m runs of the equation slowed down by m have steps m times shorter, and compile once.
        u = allen_cahn().u0
        for _ in range(m):
            u = pj.solve(pj.EvolutionProblem(allen_cahn(0.02 / m, 2.0 / m).equation, u), stepper).value
        return norm(u - exact)

    assert abs(observed_order(error, (1, 2)) - order) < 0.15


def test_stiff_modes_decay_in_one_large_step_and_linear_equations_need_one_newton_step():
    grid = pj.Grid(x=pj.Sine(33))
    u0 = pj.GridField.from_function(lambda x: jnp.sin(31 * np.pi * x), grid)
    solution = pj.solve(pj.EvolutionProblem(pj.equations.Diffusion(1e3), u0), S.SDIRK2(dt=1.0, newton_steps=1))
    assert solution.ok and norm(solution.value) < 1e-6 * norm(u0)


def test_gradient_triple():
    value = lambda r: norm(pj.solve(allen_cahn(reaction=r), S.Theta(dt=0.25, theta=1.0)).value)
    r, step = jnp.asarray(2.0), 1e-5
    reverse, forward = jax.grad(value)(r), jax.jvp(value, (r,), (jnp.ones_like(r),))[1]
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    np.testing.assert_allclose(reverse, (value(r + step) - value(r - step)) / (2 * step), rtol=1e-6)


def test_single_precision_jit_and_batches():
    problem, method = allen_cahn(dtype=jnp.float32), S.Theta(dt=1 / 16)
    run = lambda v: pj.solve(pj.EvolutionProblem(problem.equation, problem.u0.with_values(v)), method)
    values = problem.u0.values
    batch = jax.jit(jax.vmap(run))(jnp.stack([values, 0.1 * values]))
    assert batch.value.dtype == jnp.float32 and bool(jnp.all(batch.ok))
    np.testing.assert_allclose(batch.value.values[0], pj.solve(allen_cahn(), method).value.values, atol=2e-5)
    np.testing.assert_allclose(batch.value.values[1], run(0.1 * values).value.values, atol=1e-5)


def test_too_few_newton_steps_are_reported():
    problem = allen_cahn()
    solution = pj.solve(problem, S.Theta(dt=1.0, theta=1.0, newton_steps=2), throw=False)
    assert not solution.ok and bool(solution.result == S.RESULTS.nonlinear_max_steps_reached)
    assert np.isfinite(solution.value.values).all()


@pytest.mark.parametrize("theta", [0.4, 1.1])
def test_unstable_weights_are_refused(theta):
    with pytest.raises(ValueError, match="between 1/2 and 1"):
        S.Theta(dt=0.1, theta=theta)
