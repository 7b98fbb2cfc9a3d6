"""Newton-Krylov methods against SciPy, exact solutions and finite differences, and how they fail."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest
import scipy.optimize

import pdejax as pj
from pdejax.calculus import laplacian
from pdejax.fields import stack
from pdejax.solvers import nonlinear as N
from pdejax.solvers._steady import unknowns
from pdejax.solvers.linear import FGMRES, PCG

E, S, D = pj.equations, pj.solvers, pj.Dirichlet(0.0)


class Exponential(E.AbstractSteady):
    """Bratu's equation with a source."""

    rate: jax.Array
    source: pj.GridField | float = 0.0

    def residual(self, u):
        return -laplacian(u) - self.rate * u.map(jnp.exp, "even") - self.source


def bratu(x, c):
    """The small solution on [0, 1] for zero ends (Bratu 1914)."""
    theta = scipy.optimize.brentq(lambda t: t - np.sqrt(2 * c) * np.cosh(t / 4), 0, 4.5)
    return -2 * np.log(np.cosh((x - 0.5) * theta / 2) / np.cosh(theta / 4))


LINE = pj.Grid(x=pj.Uniform(17, lower=D, upper=D))
SYMMETRIC, ANY = PCG(1e-2), FGMRES(1e-2, max_steps=200)
METHODS = {
    "newton": N.Newton(rtol=1e-11),
    "line search": N.NewtonKrylov(ANY, rtol=1e-11),
    "model forcing": N.NewtonKrylov(ANY, forcing=N.ModelForcing(), globalisation=N.FullStep(), rtol=1e-11),
    "dogleg": N.NewtonKrylov(ANY, globalisation=N.Dogleg(), rtol=1e-11),
    "trust region": N.NewtonKrylov(SYMMETRIC, globalisation=N.TrustRegion(), rtol=1e-11),
    "damped": N.NewtonKrylov(SYMMETRIC, globalisation=N.Damped(), rtol=1e-11),
    "transient": N.NewtonKrylov(ANY, N.ModalAverage(), globalisation=N.PseudoTransient(), rtol=1e-11),
}


ZERO = pj.GridField(jnp.zeros((1, 17)), LINE)
FEW = ("newton", "line search")
SLOW = pytest.mark.slow


def rows(names, few):
    """The others take seconds to compile each."""
    return [name if name in few else pytest.param(name, marks=SLOW) for name in names]


def on_line(rate, guess=ZERO):
    return pj.SteadyProblem(Exponential(jnp.asarray(rate)), LINE, guess=guess)


@pytest.mark.parametrize("name", rows(METHODS, FEW))
def test_bratu_agrees_with_scipy(name):
    """The same discrete equations by SciPy's hybrid Powell method, which forms the Jacobian."""
    problem = on_line(2.0)
    system = unknowns(problem)
    residual = lambda w: np.asarray(system.residual(jnp.asarray(w).reshape(system.shape))).ravel()
    truth = scipy.optimize.root(residual, np.zeros(17), tol=1e-13).x
    solution = pj.solve(problem, METHODS[name])
    np.testing.assert_allclose(solution.value.values[0], truth, atol=1e-10)
    stats, steps = solution.stats, int(solution.stats["num_steps"])
    history = np.asarray(stats["residual_history"])
    assert history[0] == 1 and history[steps] == solution.error <= 1.1e-11 and np.all(np.isnan(history[steps + 1 :]))
    assert steps <= stats["linear_steps"] <= stats["num_matvecs"] and steps < stats["num_residuals"]


@SLOW
def test_bratu_spectrally():
    grid = pj.Grid(x=pj.Chebyshev(20, length=1.0, start=0.0, lower=D, upper=D))
    u = pj.solve(pj.SteadyProblem(Exponential(jnp.asarray(3.0)), grid), N.NewtonKrylov(rtol=1e-12)).value
    np.testing.assert_allclose(u.values[0], bratu(grid.axis("x").points, 3.0), atol=1e-10)


def test_the_guess_decides_which_solution_is_found():
    """Bratu's equation has two; a guess at the solution costs no step, whatever it says at the ends."""
    high = pj.GridField.from_function(lambda x: 5 * jnp.sin(np.pi * x), LINE)
    method = METHODS["line search"]
    low, up = (pj.solve(on_line(2.0, guess), method) for guess in (ZERO, high))
    assert float(jnp.max(low.value.values)) < 0.4 < 2.5 < float(jnp.max(up.value.values))
    shifted = up.value.with_values(up.value.values.at[:, 0].set(7.0))
    again = pj.solve(on_line(2.0, shifted), method)
    assert again.stats["num_steps"] == 0 and again.ok
    np.testing.assert_array_equal(again.value.values, up.value.values)


@pytest.mark.parametrize(
    "guess,error,word",
    [
        (np.zeros((1, 17)), TypeError, "GridField"),
        (pj.GridField(jnp.zeros((2, 17)), LINE), ValueError, "channels=2"),
        (pj.GridField(jnp.full((1, 17), jnp.nan), LINE), ValueError, "not finite"),
    ],
)
def test_bad_guesses_are_refused(guess, error, word):
    with pytest.raises(error, match=word):
        pj.SteadyProblem(E.Poisson(), LINE, guess=guess)


# At the level of arrays, without any problem

FAR = {
    "line search": (ANY, N.LineSearch()),
    "dogleg": (ANY, N.Dogleg()),
    "energy search": (SYMMETRIC, N.EnergySearch()),
    "trust region": (SYMMETRIC, N.TrustRegion()),
    "damped": (SYMMETRIC, N.Damped()),
    "transient": (ANY, N.PseudoTransient(first=0.5)),
}


def solve(fn, solver, start, args=None, steps=60):
    tags = frozenset([lx.positive_semidefinite_tag] if isinstance(solver.linear, PCG | lx.Cholesky) else [])
    adjoint = solver.adjoint(1e-12)
    return optx.root_find(fn, solver, start, args, max_steps=steps, throw=False, tags=tags, adjoint=adjoint)


def saturated(y, args):
    """Newton's method diverges on the arc tangent from 1.4 on; on a pytree of arrays."""
    return {"a": jnp.arctan(y["a"] - jnp.arange(3.0)), "b": 5 * jnp.arctan(y["b"])}


@pytest.mark.parametrize("name", rows(FAR, ("line search", "trust region", "damped")))
def test_far_starts_under_vmap(name):
    linear, globalisation = FAR[name]
    solver = N.InexactNewton(0.0, 1e-10, linear, globalisation=globalisation, history=60)
    start = lambda size: {"a": jnp.full(3, size), "b": -size}
    run = jax.jit(jax.vmap(lambda size: solve(saturated, solver, start(size))))
    out = run(jnp.asarray([0.1, 3.0, 20.0]))
    assert np.all(np.asarray(out.result == optx.RESULTS.successful))
    np.testing.assert_allclose(out.value["a"], np.tile(np.arange(3.0), (3, 1)), atol=1e-9)
    np.testing.assert_allclose(out.value["b"], 0, atol=1e-9)
    assert out.stats["num_steps"][0] < out.stats["num_steps"][2]
    # A lane stops on its own: the same counts as alone.
    alone = run(jnp.asarray([0.1, 0.1, 0.1]))
    for key in ("num_steps", "linear_steps", "num_matvecs", "num_residuals"):
        assert out.stats[key][0] == alone.stats[key][0]


@SLOW
def test_full_steps_diverge_where_the_others_converge():
    out = solve(
        saturated, N.InexactNewton(0.0, 1e-10, ANY, globalisation=N.FullStep()), {"a": jnp.full(3, 20.0), "b": 20.0}
    )
    assert out.result != optx.RESULTS.successful


def test_no_root_is_reported():
    """From -1 the curvature is negative at once, and no step reduces the Newton decrement."""
    solver = N.InexactNewton(1e-8, 0.0, SYMMETRIC, globalisation=N.Damped())
    out = solve(lambda y, args: y**2 + 1, solver, -jnp.ones(2))
    assert out.result == optx.RESULTS.nonlinear_divergence and out.stats["stuck"] and out.stats["indefinite"]
    np.testing.assert_array_equal(out.value, -1)


def double_well(y, args):
    """`-eps y'' + y^3 - y` on a line: zero is a root, and no minimum."""
    wide = jnp.pad(y, 1)
    return 0.5 * (2 * y - wide[2:] - wide[:-2]) + y**3 - y


@pytest.mark.parametrize(
    "globalisation", [N.EnergySearch(), pytest.param(N.TrustRegion(), marks=SLOW)], ids=["search", "region"]
)
def test_minima_of_nonconvex_energies(globalisation):
    start = 0.01 * jnp.asarray(np.random.default_rng(0).standard_normal(30))
    out = solve(double_well, N.InexactNewton(0.0, 1e-10, SYMMETRIC, globalisation=globalisation), start)
    assert out.result == optx.RESULTS.successful
    hessian = jax.jacfwd(double_well)(out.value, None)
    assert np.linalg.eigvalsh(jax.jacfwd(double_well)(start, None))[0] < 0 < np.linalg.eigvalsh(hessian)[0]
    assert float(jnp.abs(out.value).max()) > 0.9


def test_direct_solvers_inside():
    solver = N.InexactNewton(0.0, 1e-12, lx.Cholesky(), globalisation=N.EnergySearch())
    out = solve(double_well, solver, jnp.ones(6))
    np.testing.assert_allclose(double_well(out.value, None), 0, atol=1e-12)


# Differentiation


class Through(optx.AbstractAdjoint):
    """Forward mode through the loop itself."""

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        return primal_fn((*inputs, functools.partial(eqx.internal.while_loop, kind="lax")))


def test_gradient_triple():
    """Implicit in both modes, through the loop, and finite differences."""
    direction = jnp.asarray(np.random.default_rng(1).standard_normal(6))
    source = jnp.linspace(1.0, 3.0, 6)
    solver = N.InexactNewton(0.0, 1e-13, FGMRES(1e-2), forcing=N.ConstantForcing(1e-10))
    fn = lambda y, args: double_well(y, None) + 2 * y - args + 0.3 * jnp.roll(y, 1)

    def value(source, adjoint):
        return jnp.sum(optx.root_find(fn, solver, jnp.zeros(6), source, adjoint=adjoint).value ** 3)

    along = lambda adjoint: jax.jit(lambda s: jax.jvp(lambda s: value(s, adjoint), (s,), (direction,)))
    implicit = along(solver.adjoint(1e-13))
    reverse = jnp.vdot(jax.jit(jax.grad(lambda s: value(s, solver.adjoint(1e-13))))(source), direction)
    forward, through = implicit(source)[1], along(Through())(source)[1]
    h = 1e-4
    central = (implicit(source + h * direction)[0] - implicit(source - h * direction)[0]) / (2 * h)
    np.testing.assert_allclose([reverse, forward, through], central, rtol=1e-7)


@SLOW
@pytest.mark.parametrize("name", FEW)
def test_problems_are_differentiable(name):
    """With respect to a field and a number, both modes, under vmap."""
    source = pj.GridField(jnp.ones((1, 17)), LINE)

    def size(values, rate):
        problem = pj.SteadyProblem(Exponential(rate, source.with_values(values)), LINE)
        return jnp.sum(pj.solve(problem, METHODS[name]).value.values ** 2)

    values = jnp.stack([source.values, 2 * source.values])
    direction = jnp.asarray(np.random.default_rng(2).standard_normal((1, 17)))
    gradients, slopes = jax.jit(jax.vmap(jax.grad(size, (0, 1)), in_axes=(0, None)))(values, jnp.asarray(1.5))
    one = jax.jit(lambda v, r: jax.jvp(size, (v, r), (direction, jnp.asarray(0.0))))
    h = 1e-4
    central = (one(values[1] + h * direction, 1.5)[0] - one(values[1] - h * direction, 1.5)[0]) / (2 * h)
    np.testing.assert_allclose(jnp.vdot(gradients[1], direction), central, rtol=1e-6)
    np.testing.assert_allclose(one(values[1], 1.5)[1], central, rtol=1e-6)
    central = (one(values[1], 1.5 + h)[0] - one(values[1], 1.5 - h)[0]) / (2 * h)
    np.testing.assert_allclose(slopes[1], central, rtol=1e-6)


# Honesty


@pytest.mark.parametrize("name", rows(METHODS, ("newton",)))
def test_one_step_never_succeeds(name):
    solution = pj.solve(on_line(3.0), METHODS[name], max_steps=1, throw=False)
    assert not solution.ok and solution.error > 1e-11 and "maximum number of steps" in S.RESULTS[solution.result]


def test_beyond_the_fold_there_is_no_solution():
    with pytest.raises(S.SolveError):
        pj.solve(on_line(4.0), METHODS["line search"])


@SLOW
def test_single_precision():
    values = jnp.ones((1, 17), jnp.float32)
    problem = pj.SteadyProblem(Exponential(jnp.asarray(2.0, jnp.float32), pj.GridField(values, LINE)), LINE)
    solution = pj.solve(problem, N.NewtonKrylov(ANY))
    assert solution.value.dtype == jnp.float32 and solution.ok and solution.error < 1.1e-5


# Parts


def test_forcing_terms():
    """Eisenstat & Walker's formulas and safeguards, worked out by hand."""
    number = lambda *x: map(jnp.asarray, x)
    term = lambda forcing, eta, before, after, predicted: float(forcing(*number(eta, before, after), lambda: predicted))
    assert np.isclose(term(N.RatioForcing(), 0.1, 1.0, 0.5, 0.0), 0.9 * 0.25)
    assert np.isclose(term(N.RatioForcing(), 0.8, 1.0, 0.5, 0.0), 0.9 * 0.64)
    assert np.isclose(term(N.ModelForcing(), 0.1, 2.0, 0.5, 0.3), 0.1)
    assert np.isclose(term(N.ModelForcing(), 0.9, 2.0, 0.5, 0.3), 0.9 ** ((1 + np.sqrt(5)) / 2))


@SLOW
def test_forcing_saves_products():
    problem = on_line(3.4)
    exact = N.NewtonKrylov(ANY, forcing=N.ConstantForcing(1e-10), rtol=1e-10)
    inexact = N.NewtonKrylov(ANY, rtol=1e-10)
    products = [int(pj.solve(problem, method).stats["num_matvecs"]) for method in (exact, inexact)]
    assert products[1] < 0.8 * products[0]


class Coupled(E.AbstractSteady):
    def residual(self, u):
        return stack([-laplacian(u[0]) * 2.0 + u[1] * 3.0 - u[0], -laplacian(u[1]) + u[0] * 0.5])


@pytest.mark.parametrize(
    "axis",
    [
        pj.Uniform(10, lower=D, upper=pj.Neumann(0.0)),
        *(pytest.param(a, marks=SLOW) for a in (pj.Fourier(9), pj.Sine(8))),
    ],
    ids=lambda axis: type(axis).__name__,
)
def test_modal_average_inverts_constant_coefficients(axis):
    system = unknowns(pj.SteadyProblem(Coupled(), pj.Grid(x=axis, y=pj.Cosine(7)), channels=2))

    @jax.jit
    def there_and_back(w):
        product = lx.FunctionLinearOperator(jax.linearize(system.residual, system.guess())[1], system.structure())
        inverse = N.ModalAverage().build(system, product)
        w = inverse.mv(w)  # into the space of the modes
        return w, inverse.mv(product.mv(w))

    w, same = there_and_back(jnp.asarray(np.random.default_rng(3).standard_normal(system.shape)))
    np.testing.assert_allclose(same, w, atol=1e-10)
