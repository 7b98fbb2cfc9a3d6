"""TASE steppers: conditions on the coefficients, stability, observed orders, gradients, precision, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.solvers.time._tase import MODIFIED, SINGLY
from pdejax.verify import observed_order

S = pj.solvers
TABLEAUS = [*MODIFIED.items(), *SINGLY.items()]


def growth(tableau, z):
    """`R(z)` for `v' = lambda v` with `J = lambda`, from what a step does with the tableau."""
    resolvent, rates = 1 / (1 - tableau.alpha * z), []
    for row, powers in zip(((), *tableau.rows), tableau.powers, strict=True):
        damped = z * sum(beta * resolvent ** (j + 1) for j, beta in enumerate(powers))
        rates.append(damped * (1 + sum(a * k for a, k in zip(row, rates, strict=True))))
    return 1 + sum(b * k for b, k in zip(tableau.weights, rates, strict=True))


def allen_cahn(diffusivity=0.01, axis=None, dtype=float):
    """Recipe 5.1: 63 unknown nodes, Dirichlet ends; the stiffest mode has `dt lambda` = -8 at 20 steps."""
    grid = pj.Grid(x=axis or pj.Uniform(65, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0), order=2))
    wave = lambda x: jnp.sin(np.pi * x) + 0.4 * jnp.sin(3 * np.pi * x)
    u0 = pj.GridField(wave(jnp.asarray(grid.axis("x").points, dtype))[None], grid)
    return pj.EvolutionProblem(pj.equations.AllenCahn(diffusivity, 5.0), u0)


@pytest.mark.parametrize("order,tableau", TABLEAUS)
def test_order_conditions_of_w_methods_hold_for_any_matrix(order, tableau):
    """The explicit method has order p, and the operators are `I` up to a power of J whose weighted sum vanishes."""
    assert len(tableau.weights) == order
    explicit = np.zeros((order, order))
    for i, row in enumerate(tableau.rows):
        explicit[i + 1, : i + 1] = row
    b, c = np.array(tableau.weights), explicit.sum(1)
    trees = [(b.sum(), 1), (b @ c, 1 / 2), (b @ c**2, 1 / 3), (b @ explicit @ c, 1 / 6), (b @ c**3, 1 / 4)]
    trees += [(b @ (c * (explicit @ c)), 1 / 8), (b @ explicit @ c**2, 1 / 12), (b @ explicit @ explicit @ c, 1 / 24)]
    for got, wanted in trees[: {2: 2, 3: 4, 4: 8}[order]]:
        assert abs(got - wanted) < 1e-14
    # T_i = sum_j beta_ij (1 - x)^-j = 1 + O(x^(p-1)), and the weighted sum of the x^(p-1) vanishes.
    series = np.array([[sum(w * _binomial(j, q) for j, w in enumerate(row, 1)) for q in range(order)]
                       for row in tableau.powers])  # fmt: skip
    np.testing.assert_allclose(series[:, 0], 1, atol=1e-13)
    np.testing.assert_allclose(series[:, 1:-1], 0, atol=1e-12)
    assert abs(b @ series[:, -1]) < 1e-12


def _binomial(j, q):
    """Coefficient of `x^q` in `(1 - x)^-j`."""
    return np.prod([(j + m) / (m + 1) for m in range(q)])


@pytest.mark.parametrize("order,tableau", TABLEAUS)
def test_stable_on_the_negative_axis(order, tableau):
    assert np.abs(growth(tableau, -np.logspace(-4, 6, 4000))).max() <= 1


@pytest.mark.parametrize("order,angle", [(2, 90), (3, 89), (4, 85)])
def test_modified_methods_are_stable_in_sectors_and_damp_what_is_stiffest(order, angle):
    ray = np.logspace(-4, 6, 4000) * np.exp(1j * np.deg2rad(angle))
    assert np.abs(growth(MODIFIED[order], -ray)).max() < 1 + 1e-6
    assert abs(growth(MODIFIED[order], -1e9)) < 1e-6 < abs(growth(SINGLY[order], -1e9))


@pytest.mark.parametrize("order,sizes,least", [(2, (40, 80), 1.9), (3, (40, 80), 2.7), (4, (40, 80), 3.5)])
def test_orders_on_stiff_allen_cahn(order, sizes, least):
    problem = allen_cahn()
    exact = pj.solve(problem, S.ETDRK4(dt=1 / 640)).value
    error = lambda n: norm(pj.solve(problem, S.TASE(dt=1 / n, order=order)).value - exact)
    assert least < observed_order(error, sizes) < order + 0.6


def test_modified_errors_are_at_most_half_of_plain_ones():
    problem = allen_cahn()
    exact = pj.solve(problem, S.ETDRK4(dt=1 / 640)).value
    error = lambda method: norm(pj.solve(problem, method).value - exact)
    assert error(S.TASE(dt=1 / 160, order=2)) <= 0.5 * error(S.SinglyTASE(dt=1 / 160, order=2))


def test_gradient_triple():
    value = lambda nu: norm(pj.solve(allen_cahn(nu), S.TASE(dt=0.1)).value)
    nu, step = jnp.asarray(0.02), 1e-5
    reverse, forward = jax.grad(value)(nu), jax.jvp(value, (nu,), (jnp.ones_like(nu),))[1]
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    np.testing.assert_allclose(reverse, (value(nu + step) - value(nu - step)) / (2 * step), rtol=1e-6)


def test_single_precision_jit_and_batches():
    problem = allen_cahn(axis=pj.Sine(65), dtype=jnp.float32)
    run = lambda v: pj.solve(pj.EvolutionProblem(problem.equation, problem.u0.with_values(v)), S.TASE(dt=0.05)).value
    values = problem.u0.values
    batch = jax.jit(jax.vmap(run))(jnp.stack([values, -0.5 * values]))
    assert batch.dtype == jnp.float32
    double = pj.solve(allen_cahn(axis=pj.Sine(65)), S.TASE(dt=0.05)).value.values
    np.testing.assert_allclose(batch.values[0], double, atol=2e-5)
    np.testing.assert_allclose(batch.values[1], run(-0.5 * values).values, atol=1e-5)


@pytest.mark.parametrize("method", [S.TASE, S.SinglyTASE])
def test_other_orders_are_refused(method):
    with pytest.raises(ValueError, match=f"{method.__name__}\\(dt, order=3\\)"):
        method(dt=0.1, order=5)
