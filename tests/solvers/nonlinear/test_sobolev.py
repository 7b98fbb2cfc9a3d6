"""Sobolev descent: steps that do not depend on the grid, convergence from zero, gradients, batches, honest failure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.calculus import grad, integrate
from pdejax.solvers import SobolevDescent

E, S = pj.equations, pj.solvers
D = pj.Dirichlet(0.0)


def square(n):
    axis = pj.Uniform(n + 2, lower=D, upper=D)
    return pj.Grid(x=axis, y=axis)


def medium(x, y):
    return 2.5 + 1.5 * jnp.sin(2 * jnp.pi * x) * jnp.sin(2 * jnp.pi * y)


class Medium(E.AbstractVariational):
    """`-div(k grad u) + u^3 = f`, k in [1, 4]."""

    coefficient: pj.fields.AbstractField
    source: jax.Array

    def energy(self, u):
        slope = grad(u)
        return integrate(0.5 * self.coefficient * (slope[0] ** 2 + slope[1] ** 2) + 0.25 * u**4 - self.source * u)


K = pj.FunctionField.from_function(medium, ("x", "y"))


@pytest.mark.parametrize(
    "n", [15, 31, pytest.param(63, marks=pytest.mark.slow), pytest.param(127, marks=pytest.mark.slow)]
)
def test_steps_do_not_depend_on_the_grid(n):
    solution = pj.solve(pj.SteadyProblem(Medium(K, jnp.asarray(10.0)), square(n)), SobolevDescent(step=0.4))
    steps, history = int(solution.stats["num_steps"]), solution.stats["residual_history"]
    assert abs(steps - 27) <= 2 and solution.ok
    assert history[steps] <= 1e-8 < history[steps - 1] and history[0] == 1 and np.isnan(history[steps + 1 :]).all()


@pytest.mark.parametrize(
    "exponent", [1.5, 3.0, pytest.param(4.0, marks=pytest.mark.slow), pytest.param(8.0, marks=pytest.mark.slow)]
)
def test_p_laplace_from_zero(exponent):
    """Secant steps and steps on which the energy falls end in the same minimiser."""
    problem = pj.SteadyProblem(E.PLaplace(exponent, 0.1), square(11))
    secant = pj.solve(problem, SobolevDescent(rtol=1e-10))
    fixed = pj.solve(problem, SobolevDescent(step=1.0, rtol=1e-10), max_steps=5000)
    np.testing.assert_allclose(secant.value.values, fixed.value.values, atol=1e-8)
    assert int(secant.stats["num_steps"]) <= int(fixed.stats["num_steps"])
    assert int(secant.stats["num_residuals"]) > int(secant.stats["num_steps"])


def by_scipy(n, f):
    """Newton's method with sparse direct solves on the five-point equations of `-lap u + u^3 = f`."""
    one = sp.diags([-1.0, 2.0, -1.0], [-1, 0, 1], (n, n)) * (n + 1) ** 2
    matrix = sp.kronsum(one, one, format="csc")
    u = spla.spsolve(matrix, np.full(n * n, f))
    for _ in range(30):
        u -= spla.spsolve(matrix + sp.diags(3 * u**2, format="csc"), matrix @ u + u**3 - f)
    return u.reshape(n, n)


def test_strong_reaction_agrees_with_scipy_and_lanes_stop_alone():
    problem = lambda f: pj.SteadyProblem(E.SemilinearPoisson(f, 1.0), square(11))
    batch = jax.vmap(lambda f: pj.solve(problem(f), SobolevDescent()))(jnp.asarray([1.0, 3e3]))
    single = [int(pj.solve(problem(f), SobolevDescent()).stats["num_steps"]) for f in (1.0, 3e3)]
    assert batch.stats["num_steps"].tolist() == single and single[1] > 2 * single[0]
    for f, got in zip((1.0, 3e3), batch.value.values, strict=True):
        exact = by_scipy(11, f)
        np.testing.assert_allclose(got[0, 1:-1, 1:-1], exact, atol=1e-6 * exact.max())


def test_gradients_agree_with_finite_differences_and_the_unrolled_descent():
    grid = square(7)
    a = pj.GridField.from_function(medium, grid).values

    def loss(values, method=SobolevDescent(rtol=1e-11)):
        equation = Medium(pj.GridField(values, grid), jnp.asarray(30.0))
        return jnp.sum(pj.solve(pj.SteadyProblem(equation, grid), method).value.values ** 2)

    direction = jnp.asarray(np.random.default_rng(0).standard_normal(a.shape)) * 0.1
    value, gradient = jax.jit(jax.value_and_grad(loss))(a)
    forward = jax.jvp(loss, (a,), (direction,))[1]
    h, value = 1e-4, jax.jit(loss)
    central = (value(a + h * direction) - value(a - h * direction)) / (2 * h)
    np.testing.assert_allclose(jnp.sum(gradient * direction), forward, rtol=1e-7)
    np.testing.assert_allclose(central, forward, rtol=1e-6)

    def unrolled(values):
        # The same fixed point by plain iteration with the library's residual, differentiated through.
        equation = Medium(pj.GridField(values, grid), jnp.asarray(30.0))
        basis = pj.fields.Eigenbasis(grid)
        inverse = jnp.asarray(1 / (1 - basis.laplacian()))[None]

        def step(w, _):
            r = equation.residual(pj.GridField(w, grid))
            inner_nodes = jnp.pad(r.values[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1)))
            return w - 0.4 * basis.backward(basis.forward(pj.GridField(inner_nodes, grid)) * inverse).values, None

        return jnp.sum(jax.lax.scan(step, jnp.zeros_like(values), length=60)[0] ** 2)

    np.testing.assert_allclose(jax.jvp(unrolled, (a,), (direction,))[1], forward, rtol=1e-7)


def test_saddle_points_are_left():
    """From zero, where the gradient of the double well is small, to the minimum beside it."""
    grid = pj.Grid(x=pj.Uniform(17, lower=D, upper=D))
    for method in (SobolevDescent(), SobolevDescent(step=1.0)):
        problem = pj.SteadyProblem(E.GinzburgLandauSteady(0.1, 0.01), grid)
        solution = pj.solve(problem, method, max_steps=600, throw=False)
        assert float(solution.value.values.max()) > 0.9


def test_failures_say_so():
    problem = pj.SteadyProblem(E.SemilinearPoisson(50.0), square(7))
    one = pj.solve(problem, SobolevDescent(), max_steps=1, throw=False)
    assert one.result == S.RESULTS.nonlinear_max_steps_reached and int(one.stats["num_steps"]) == 1
    # No solution: the energy is unbounded below, and its exponential overflows at last.
    supercritical = pj.solve(pj.SteadyProblem(E.Bratu(8.0), square(7)), SobolevDescent(), throw=False)
    assert supercritical.result == S.RESULTS.stagnation and float(supercritical.error) > 1
    nonfinite = pj.solve(pj.SteadyProblem(E.Bratu(jnp.inf), square(7)), SobolevDescent(), throw=False)
    assert nonfinite.result == S.RESULTS.nonfinite
    with pytest.raises(TypeError, match="NewtonKrylov"):
        pj.solve(pj.SteadyProblem(E.Poisson(), square(7)), SobolevDescent())
    with pytest.raises(ValueError, match="step=0.4"):
        SobolevDescent(step=0.0)


def test_single_precision_and_other_boundaries():
    """Against 64 bits; a centred axis with a value and a slope, which zero does not satisfy."""
    grid = pj.Grid(x=pj.Uniform(12, lower=pj.Dirichlet(0.2), upper=pj.Neumann(0.5), centred=True))
    sources = {t: pj.GridField(jnp.ones((1, 12), t), grid) for t in (jnp.float32, jnp.float64)}
    solve = lambda f: pj.solve(pj.SteadyProblem(E.PLaplace(4.0, 0.0, f), grid), SobolevDescent())
    single, double = solve(sources[jnp.float32]), solve(sources[jnp.float64])
    assert single.value.dtype == jnp.float32
    np.testing.assert_allclose(single.value.values, double.value.values, atol=2e-4)
    # u_x^3 = 1 - x + 1 / 8, u(0) = 0.2.
    exact = 0.2 + 0.75 * ((9 / 8) ** (4 / 3) - (9 / 8 - grid.axis("x").points) ** (4 / 3))
    np.testing.assert_allclose(double.value.values[0], exact, atol=2e-3)
