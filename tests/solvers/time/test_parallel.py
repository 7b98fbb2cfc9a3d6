"""Sequences in parallel over time: the trajectory and the gradients of a plain scan, honest codes, time steppers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pdejax as pj
from pdejax.solvers import RESULTS, SolveError
from pdejax.solvers.time.parallel import (
    DEER,
    GaussSeidel,
    Jacobi,
    MultipleShooting,
    ParallelInTime,
    Parareal,
    QuasiDEER,
    evaluate,
)
from pdejax.solvers.time.parallel._affine import diagonal_recurrence, matrix_recurrence

T, WIDTH = 13, 2  # no multiple of the blocks


def coarse(h, x):
    return 0.5 * h


METHODS = [
    Jacobi(),
    DEER(),
    pytest.param(QuasiDEER(), marks=pytest.mark.slow),
    Parareal(coarse),
    GaussSeidel(5),
    pytest.param(GaussSeidel(50, DEER()), marks=pytest.mark.slow),
    pytest.param(MultipleShooting(3), marks=pytest.mark.slow),
    pytest.param(MultipleShooting(4, DEER()), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def sequence():
    cell = eqx.nn.GRUCell(2, WIDTH, key=jax.random.key(0))
    inputs = jax.random.normal(jax.random.key(1), (T, 2))
    return cell, jnp.array([1.0, -2.0]), inputs


def scanned(cell, h0, xs):
    return jax.lax.scan(lambda h, x: (cell(x, h),) * 2, h0, xs)[1]


def functional(h):
    return jnp.sum(jnp.sin(3 * h) * jnp.arange(T)[:, None].astype(h.dtype))


@pytest.fixture(scope="module")
def expected(sequence):
    gradient = eqx.filter_jit(jax.grad(lambda args: functional(scanned(*args))))(sequence)
    return scanned(*sequence), gradient


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_trajectory_and_gradients_are_those_of_the_scan(method, sequence, expected):
    def value(args):
        cell, h0, xs = args
        solution = evaluate(lambda h, x: cell(x, h), h0, xs, method, throw=False)
        return functional(solution.value), solution

    gradient, solution = eqx.filter_jit(jax.grad(value, has_aux=True))(sequence)
    assert solution.ok
    assert solution.error <= 1e-10
    assert 0 < solution.stats["num_steps"] <= T
    np.testing.assert_allclose(solution.value, expected[0], atol=1e-9)
    for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected[1]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7 * float(jnp.max(jnp.abs(theirs))))


@pytest.mark.parametrize(
    "method", [Jacobi(), DEER(), QuasiDEER(np.full(WIDTH, 0.4)), Parareal(coarse), GaussSeidel(13)]
)
def test_one_sweep_is_no_success(method, sequence):
    cell, h0, xs = sequence
    solution = evaluate(lambda h, x: cell(x, h), h0, xs, method, max_steps=1, throw=False)
    assert not solution.ok
    assert solution.stats["num_steps"] == 1
    previous = jnp.concatenate([h0[None], solution.value[:-1]])
    images = jax.vmap(cell)(xs, previous)
    wanted = jnp.max(jnp.abs(images - solution.value)) / jnp.max(jnp.abs(images))
    np.testing.assert_allclose(solution.error, wanted, rtol=1e-9)


@pytest.mark.parametrize("method", [DEER(), pytest.param(Jacobi(), marks=pytest.mark.slow)])
def test_forward_derivative(method, sequence):
    cell, h0, xs = sequence
    run = lambda h0: evaluate(lambda h, x: cell(x, h), h0, xs, method).value
    _, tangent = jax.jvp(run, (h0,), (jnp.ones(WIDTH),))
    _, wanted = jax.jvp(lambda h0: scanned(cell, h0, xs), (h0,), (jnp.ones(WIDTH),))
    np.testing.assert_allclose(tangent, wanted, atol=1e-9)


def test_jacobi_is_exact_after_as_many_sweeps_as_steps_and_not_before():
    xs = np.arange(1.0, 12.0)
    add = lambda h, x: h + x
    solution = evaluate(add, 0.0, xs, Jacobi())
    np.testing.assert_array_equal(solution.value, np.cumsum(xs))
    assert solution.stats["num_steps"] == len(xs)
    assert not evaluate(add, 0.0, xs, Jacobi(), max_steps=len(xs) - 1, throw=False).ok
    with pytest.raises(SolveError, match="maximum number of steps"):
        evaluate(add, 0.0, xs, Jacobi(), max_steps=3)


def test_affine_recurrences_against_a_loop():
    random = np.random.default_rng(0)
    G, b = random.normal(size=(6, 2, 2)), random.normal(size=(6, 2))
    d, e, wanted, diagonal = np.zeros(2), np.zeros(2), [], []
    for g, c in zip(G, b, strict=True):
        d, e = g @ d + c, np.diag(g) * e + c
        wanted.append(d)
        diagonal.append(e)
    np.testing.assert_allclose(matrix_recurrence(jnp.asarray(G), jnp.asarray(b)), wanted, rtol=1e-10)
    found = diagonal_recurrence(jnp.asarray(np.diagonal(G, axis1=1, axis2=2)), jnp.asarray(b))
    np.testing.assert_allclose(found, diagonal, rtol=1e-10)


@pytest.mark.parametrize("real", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_complex_states_in_a_tree_keep_their_precision_and_a_known_diagonal_solves_at_once(real):
    turn = np.exp(0.3j * np.arange(1, 5)).astype(np.result_type(real, np.complex64))
    h0 = {"wave": np.ones_like(turn), "decay": real(2)}
    step = lambda h, _: {"wave": h["wave"] * turn, "decay": h["decay"] * real(0.9)}
    known = {"wave": jnp.asarray(turn), "decay": jnp.asarray(real(0.9))}
    for method in (QuasiDEER(known), DEER()):
        solution = evaluate(step, h0, method=method, length=6)
        assert solution.stats["num_steps"] <= 2
        assert solution.value["wave"].dtype == turn.dtype
        assert solution.value["decay"].dtype == real
        tolerance = 1e-4 if real is np.float32 else 1e-12
        np.testing.assert_allclose(solution.value["wave"][-1], turn**6, atol=tolerance)
        np.testing.assert_allclose(solution.value["decay"][-1], 2 * 0.9**6, atol=tolerance)


def test_states_that_overflow_on_the_way_do_no_harm_but_a_solution_that_does_is_told():
    step = lambda h, x: h + 0.1 * (x - h**3)
    xs = np.linspace(-1, 1, 9)
    far = evaluate(step, 0.5, xs, DEER(), guess=np.full(9, 1e200))
    np.testing.assert_allclose(far.value, evaluate(step, 0.5, xs, Jacobi()).value, atol=1e-9)
    blown = evaluate(lambda h, _: h * h, 10.0, length=12, throw=False)
    assert blown.result == RESULTS.nonfinite


def test_lanes_stop_and_count_for_themselves():
    step = lambda rate: lambda h, x: jnp.tanh(rate * h + x)
    xs = np.sin(np.arange(30.0))
    run = lambda rate: evaluate(step(rate), 0.3, xs, Jacobi(1e-8), throw=False, max_steps=20)
    rates = jnp.array([0.01, 0.5, 3.0])
    together = jax.vmap(run)(rates)
    assert list(together.ok) == [True, True, False]
    alone = [run(rate) for rate in rates]
    assert [int(s.stats["num_steps"]) for s in alone] == list(map(int, together.stats["num_steps"]))
    np.testing.assert_allclose(together.value[0], alone[0].value, atol=1e-14)


def test_a_second_call_does_not_compile():
    traced = []

    def step(h, x):
        traced.append(1)
        return 0.5 * h + x

    evaluate(step, 0.0, np.ones(5))
    count = len(traced)
    evaluate(step, 1.0, np.zeros(5))
    assert len(traced) == count


def test_discretised_differential_equation_against_scipy():
    pendulum = lambda y: jnp.stack([y[1], -jnp.sin(y[0])])

    def step(y, dt):
        a = pendulum(y)
        b = pendulum(y + dt / 2 * a)
        c = pendulum(y + dt / 2 * b)
        return y + dt / 6 * (a + 2 * b + 2 * c + pendulum(y + dt * c))

    times = np.linspace(0, 4, 81)
    wanted = solve_ivp(lambda t, y: [y[1], -np.sin(y[0])], (0, 4), [2.0, 0.0], t_eval=times, rtol=1e-11, atol=1e-11).y.T
    slopes = lambda y, dts: y + jnp.sum(dts) * pendulum(y)
    for method in (DEER(), MultipleShooting(10, Parareal(slopes))):
        solution = evaluate(step, np.array([2.0, 0.0]), np.diff(times), method)
        np.testing.assert_allclose(solution.value, wanted[1:], atol=1e-5)
        assert solution.stats["num_steps"] <= 8


def burgers(viscosity, n=8):
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x) + 0.3 * jnp.cos(2 * x), pj.Grid(x=pj.Fourier(n)))
    return pj.EvolutionProblem(pj.equations.Burgers(viscosity), u0, t1=0.12)


def test_an_exponential_stepper_in_parallel_is_the_stepper():
    stepper, times = pj.solvers.ETDRK2(0.01), np.array([0, 0.04, 0.12])
    ours = pj.solve(burgers(0.1), ParallelInTime(stepper), save_at=times)
    theirs = pj.solve(burgers(0.1), stepper, save_at=times)
    np.testing.assert_allclose(ours.value.values, theirs.value.values, atol=1e-8)
    np.testing.assert_allclose(ours.ts, theirs.ts)
    assert ours.stats["num_steps"] == 12
    assert 0 < ours.stats["num_sweeps"] < 12
    assert ours.stats["dealias"] == "1.5"


@pytest.mark.slow
def test_gradient_of_a_stepping_in_parallel():
    stepper = pj.solvers.ETDRK2(0.01)
    run = lambda viscosity, method: jnp.sum(pj.solve(burgers(viscosity), method).value.values ** 4)
    slope = jax.grad(run)(0.1, ParallelInTime(stepper, GaussSeidel(5, QuasiDEER())))
    np.testing.assert_allclose(slope, jax.grad(run)(0.1, stepper), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("stepper", [pj.solvers.RK4(0.02), pj.solvers.SBDF2(0.02)], ids=["nodal", "multistep"])
def test_other_steppers_in_parallel(stepper):
    ours = pj.solve(burgers(0.1), ParallelInTime(stepper, DEER()))
    theirs = pj.solve(burgers(0.1), stepper)
    np.testing.assert_allclose(ours.value.values, theirs.value.values, atol=1e-9)
    with pytest.raises(ValueError, match="QuasiDEER needs a diagonal"):
        pj.solve(burgers(0.1), ParallelInTime(stepper))


def test_a_stepping_in_parallel_that_has_not_converged_says_so():
    with pytest.raises(SolveError, match="maximum number of steps"):
        pj.solve(burgers(0.1), ParallelInTime(pj.solvers.ETDRK2(0.01), max_sweeps=2))
    with pytest.raises(ValueError, match="leave both out"):
        pj.solve(burgers(0.1), ParallelInTime(pj.solvers.ETDRK2(0.01)), adjoint=pj.solvers.ImplicitAdjoint())
    with pytest.raises(TypeError, match="write ETDRK4"):
        ParallelInTime(Jacobi())


def test_errors_say_what_to_write():
    step = lambda h, x: h
    with pytest.raises(ValueError, match="or length=T"):
        evaluate(step, 1.0)
    with pytest.raises(ValueError, match="one length"):
        evaluate(step, 1.0, np.ones(4), length=5)
    with pytest.raises(TypeError, match="keeps structure"):
        evaluate(lambda h, x: (h, h), 1.0, length=4)
    with pytest.raises(TypeError, match="floating-point"):
        evaluate(step, 1, length=4)
    with pytest.raises(TypeError, match="write e.g. DEER"):
        evaluate(step, 1.0, length=4, method="deer")
    with pytest.raises(ValueError, match="write size=32"):
        GaussSeidel(0)
