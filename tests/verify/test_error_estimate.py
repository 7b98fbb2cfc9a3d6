"""The residual in the dual norm says how large the error is: Poisson, Darcy, Helmholtz, on three grids each."""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.fields import sample
from pdejax.verify import error_estimate

E, D = pj.equations, pj.Dirichlet(0.0)
EQUATIONS = {
    "poisson": E.Poisson.example(),
    "darcy": E.Darcy.example(),
    "helmholtz": E.Helmholtz.example(),
}


def square(n):
    return pj.Grid(x=pj.Uniform(n, lower=D, upper=D), y=pj.Uniform(n, lower=D, upper=D))


def h1(u):
    return float(sum(jnp.sum(u.derivative(name).values ** 2) for name in u.names)) ** 0.5


@pytest.mark.parametrize("n", (9, 17, pytest.param(33, marks=pytest.mark.slow)))
@pytest.mark.parametrize("name", EQUATIONS)
def test_discretisation_error_is_seen_from_a_finer_grid(name, n):
    example = EQUATIONS[name]
    u = pj.solve(pj.SteadyProblem(example.equation, square(n))).value
    # Measured against the exact solution on Sine axes, where derivatives are exact.
    fine = pj.Grid(x=pj.Sine(2 * n - 1), y=pj.Sine(2 * n - 1))
    exact = sample(example.solution, fine)
    v = pj.GridField(u.resample(square(2 * n - 1)).values, fine)
    estimate = error_estimate(pj.SteadyProblem(example.equation, square(2 * n - 1)), u)
    effectivity = float(estimate.relative) / (h1(v - exact) / h1(exact))
    assert 0.5 < effectivity < 2


@pytest.mark.parametrize("kind", (pj.Sine, lambda n: pj.Uniform(n, lower=D, upper=D)), ids=("sine", "uniform"))
@pytest.mark.parametrize("name", EQUATIONS)
def test_algebraic_error_of_a_wrong_field(name, kind):
    grid = pj.Grid(x=kind(25), y=kind(25))
    problem = pj.SteadyProblem(EQUATIONS[name].equation, grid)
    u = pj.solve(problem).value
    bump = pj.GridField.from_function(lambda x, y: x * (1 - x) * jnp.sin(2 * jnp.pi * y) * 1e-2, grid)
    wrong = pj.GridField(u.values + bump.values, grid)
    effectivity = float(error_estimate(problem, wrong).relative) / (h1(bump) / h1(wrong))
    assert 0.5 < effectivity < 2
    assert float(error_estimate(problem, u).relative) < 1e-6


def test_functions_are_sampled_and_channels_checked():
    example = EQUATIONS["poisson"]
    grid = pj.Grid(x=pj.Sine(21), y=pj.Sine(21))
    problem = pj.SteadyProblem(example.equation, grid)
    assert float(error_estimate(problem, example.solution).relative) < 1e-10
    with pytest.raises(ValueError, match="channels"):
        error_estimate(problem, pj.GridField(jnp.zeros((2, 21, 21)), grid))
    np.testing.assert_allclose(
        error_estimate(problem, pj.GridField(jnp.zeros((1, 21, 21)), grid)).absolute,
        np.pi * np.sqrt(5) / 2,
        rtol=1e-6,
    )
