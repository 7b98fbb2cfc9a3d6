"""A solve that starts where a related one ended takes fewer steps, and finds the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.solvers import Anderson, Broyden, NewtonKrylov, fixed_point

SIZE = 4
RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((SIZE, SIZE))
MATRIX = jnp.asarray(0.9 * MATRIX / np.linalg.norm(MATRIX, 2))
RIGHT = jnp.asarray(RNG.standard_normal((2, SIZE)))


def affine(y, right):
    return MATRIX @ y + right


@pytest.mark.parametrize(("solver", "saved"), [(Anderson(1e-10, window=SIZE + 1), SIZE - 1), (Broyden(1e-10), 1)])
def test_the_memory_of_a_linear_map_serves_another_right_side(solver, saved):
    first = fixed_point(affine, jnp.zeros(SIZE), RIGHT[0], solver)
    cold = fixed_point(affine, first.value, RIGHT[1], solver)
    warm = fixed_point(affine, first.value, RIGHT[1], solver, memory=first.state)
    # Anderson knows the derivative after the first solve; Broyden needs two evaluations for each unknown to know it.
    assert warm.stats["num_steps"] <= cold.stats["num_steps"] - saved
    exact = np.linalg.solve(np.eye(SIZE) - MATRIX, RIGHT[1])
    np.testing.assert_allclose(warm.value, exact, rtol=1e-8, atol=1e-8)


def test_a_warm_start_does_not_change_the_gradient():
    solver = Broyden(1e-11)

    def bent(y, right):
        return jnp.tanh(MATRIX @ y + right)

    first = fixed_point(bent, jnp.zeros(SIZE), RIGHT[0], solver)

    def warm(right):
        return jnp.sum(fixed_point(bent, first.value, right, solver, memory=first.state).value ** 2)

    warm = jax.jit(warm)
    gradient, h = jax.grad(warm)(RIGHT[1]), 1e-5
    for i in range(0, SIZE, 2):
        ends = [warm(RIGHT[1].at[i].add(s)) for s in (h, -h)]
        np.testing.assert_allclose(gradient[i], (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_the_solution_before_is_a_guess_for_newton():
    axis = pj.Uniform(17, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0))
    grid, method = pj.Grid(x=axis, y=axis), NewtonKrylov(rtol=1e-9)

    def solved(rate, guess):
        problem = pj.SteadyProblem(pj.equations.Bratu(jnp.asarray(rate)), grid, guess=guess)
        return pj.solve(problem, method)

    zero = pj.GridField(jnp.zeros((1, *grid.shape)), grid)
    before = solved(6.0, zero).value
    cold, warm = solved(6.1, zero), solved(6.1, before)
    assert warm.stats["linear_steps"] < cold.stats["linear_steps"]
    np.testing.assert_allclose(warm.value.values, cold.value.values, atol=1e-7)
