"""The full approximation scheme: cycles that do not depend on the grid, Newton's solution, gradients, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj

E, S, D = pj.equations, pj.solvers, pj.Dirichlet(0.0)
SLOW = pytest.mark.slow
RESULTS = S.RESULTS


def grid_of(n, lower=D, upper=D):
    return pj.Grid(x=pj.Uniform(n, lower=D, upper=D), y=pj.Uniform(n, lower=lower, upper=upper))


def cubic(n, strength=10.0):
    """`-lap u + c u^3 = f` with a source that bends the solution."""
    grid = grid_of(n)
    source = pj.GridField.from_function(lambda x, y: 200 * jnp.exp(x) * jnp.sin(3 * y), grid)
    return pj.SteadyProblem(E.SemilinearPoisson(source, strength), grid)


@SLOW
@pytest.mark.parametrize("sizes", [(17, 33, 65, 129)], ids=str)
def test_cycles_do_not_depend_on_the_grid(sizes):
    """And its solution is Newton's."""
    steps = []
    for n in sizes:
        solution = pj.solve(cubic(n), S.FullApproximation())
        steps.append(int(solution.stats["num_steps"]))
        history = np.asarray(solution.stats["residual_history"])
        assert history[steps[-1]] == solution.error <= 1e-8 and np.all(np.isnan(history[steps[-1] + 1 :]))
        if n == 17:
            newton = pj.solve(cubic(n), S.Newton(rtol=1e-12)).value.values
            np.testing.assert_allclose(solution.value.values, newton, atol=1e-7 * float(jnp.abs(newton).max()))
    assert max(steps) <= 16 and max(steps) - min(steps) <= 3, steps


@SLOW
@pytest.mark.parametrize("cycle", ["V", "W"])
@pytest.mark.parametrize(
    "ends", [(D, pj.Neumann(0.5)), (pj.Robin(2.0, 0.3), pj.Dirichlet(0.2))], ids=["slope", "robin"]
)
def test_other_ends_and_cycles(cycle, ends):
    problem = pj.SteadyProblem(E.SemilinearPoisson(30.0, 5.0), grid_of(17, *ends))
    found, newton = (
        pj.solve(problem, m).value.values for m in (S.FullApproximation(cycle=cycle), S.Newton(rtol=1e-12))
    )
    np.testing.assert_allclose(found, newton, atol=1e-6 * float(jnp.abs(newton).max()))


@SLOW
def test_gradient_triple_over_a_batch():
    """Forward and reverse derivatives and differences, with respect to the source and the cubic term."""
    grid, generator = grid_of(17), np.random.default_rng(0)
    weights = jnp.asarray(generator.uniform(size=(17, 17)))
    points = {"f": 50 + 50 * generator.uniform(size=(2, 1, 17, 17)), "c": np.array([5.0, 20.0])}
    step = {"f": 10 * generator.standard_normal((1, 17, 17)), "c": np.array(2.0)}

    @eqx.filter_jit
    def everything(method, points):
        def target(point):
            equation = E.SemilinearPoisson(pj.GridField(point["f"], grid), point["c"])
            solution = pj.solve(pj.SteadyProblem(equation, grid), method, throw=False)
            return jnp.sum(weights * solution.value.values[0]), solution.ok

        pushed = jax.jvp(lambda p: target(p)[0], (jax.tree.map(lambda x: x[1], points),), (step,))[1]
        return pushed, jax.vmap(jax.value_and_grad(target, has_aux=True))(points)

    method, h = S.FullApproximation(rtol=1e-12), 1e-3
    at = lambda t: jax.tree.map(lambda x, d: jnp.asarray(x + t * d), points, step)
    pushed, ((_, fine), slope) = everything(method, at(0.0))
    up, down = (everything(method, at(t))[1][0][0] for t in (h, -h))
    central = (up - down) / (2 * h)
    pulled = np.sum(np.asarray(slope["f"]) * step["f"], axis=(1, 2, 3)) + np.asarray(slope["c"]) * step["c"]
    assert np.all(fine)
    np.testing.assert_allclose(pulled, central, rtol=1e-6)
    np.testing.assert_allclose(pushed, central[1], rtol=1e-6)


def test_one_cycle_is_never_success():
    solution = pj.solve(cubic(17), S.FullApproximation(), max_steps=1, throw=False)
    assert not bool(solution.ok) and solution.result == RESULTS.nonlinear_max_steps_reached
    assert int(solution.stats["num_steps"]) == 1 and 1e-8 < float(solution.error) < 1


@pytest.mark.parametrize(
    "axis,advice",
    [
        (pj.Uniform(16, lower=D, upper=D), r"write Uniform\(17"),
        (pj.Uniform(17, lower=pj.Periodic(), upper=pj.Periodic()), "even if periodic"),
        (pj.Uniform(17, lower=D, upper=D, centred=True), "every second node"),
        (pj.Sine(17), r"Sine\(17\)"),
    ],
    ids=["even", "odd ring", "centred", "sine"],
)
def test_axes_that_do_not_nest_are_refused(axis, advice):
    grid = pj.Grid(x=pj.Uniform(17, lower=D, upper=D), y=axis)
    with pytest.raises(ValueError, match=advice):
        pj.solve(pj.SteadyProblem(E.SemilinearPoisson(1.0), grid), S.FullApproximation())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="next neighbours"):
        far = pj.Grid(x=pj.Uniform(17, lower=D, upper=D, order=4))
        pj.solve(pj.SteadyProblem(E.SemilinearPoisson(1.0), far), S.FullApproximation())
    with pytest.raises(ValueError, match='"V" and "W"'):
        S.FullApproximation(cycle="F")
    with pytest.raises(TypeError, match="SteadyProblem"):
        ring = pj.Grid(x=pj.Fourier(16))
        pj.solve(pj.EvolutionProblem(E.AllenCahn(), pj.GridField(jnp.zeros((1, 16)), ring)), S.FullApproximation())
