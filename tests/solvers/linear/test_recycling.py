"""GCRO-DR and sequences of problems: SciPy's direct solutions, fewer products than fresh solves, transformations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.solvers._sequence import solve_sequence, sort_by_parameters
from pdejax.solvers.linear import GCRODR

N = 24
H = 1 / (N + 1)


def convection(c, u):
    """Five-point `-lap u + c u_x + c / 2 u_y` with upwind differences, zero outside."""
    u = jnp.pad(u, 1)
    x = u[1:-1, 1:-1]
    west, east, south, north = u[:-2, 1:-1], u[2:, 1:-1], u[1:-1, :-2], u[1:-1, 2:]
    return (4 * x - west - east - south - north) / H**2 + c * ((x - west) + (x - south) / 2) / H


def convection_matrix(c):
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)) / H**2
    upwind = sp.diags_array([-1.0, 1.0], offsets=[-1, 0], shape=(N, N)) / H
    eye = sp.eye_array(N)
    return sp.csc_array(sp.kron(line + c * upwind, eye) + sp.kron(eye, line + c / 2 * upwind))


def operator(c, dtype=jnp.float64):
    return lx.FunctionLinearOperator(lambda u: convection(c, u), jax.ShapeDtypeStruct((N, N), dtype))


def sources(count, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((count, N, N)).astype(dtype)


def test_sequence_in_one_scan_against_scipy():
    solver, speeds, right = GCRODR(1e-10, restart=16, recycled=8), jnp.linspace(10.0, 12.0, 6), sources(6)

    def run(solver, carried, speeds, right):
        def step(recycle, system):
            out, kept = solver.solve(operator(system[0]), system[1], recycle)
            done = out.result == lx.RESULTS.successful
            return (kept if carried else recycle), (out.value, out.stats["num_matvecs"], done)

        return jax.lax.scan(step, solver.empty(right[0]), (speeds, right))[1]

    run = jax.jit(run, static_argnums=(1,))
    values, counts, done = run(solver, True, speeds, jnp.asarray(right))
    for c, b, x in zip(speeds, right, values, strict=True):
        exact = spla.spsolve(convection_matrix(float(c)), b.ravel())
        np.testing.assert_allclose(np.ravel(x), exact, atol=1e-8 * np.abs(exact).max())
    fresh = run(solver, False, speeds, jnp.asarray(right))[1]
    plain = [gmres_products(float(c), b, 16) for c, b in zip(speeds, right, strict=True)]
    assert bool(jnp.all(done))
    # After the first system, recycling saves what deflation over restarts alone does not; both beat GMRES(16).
    assert np.mean(counts[1:]) < 0.85 * np.mean(fresh[1:]) and np.mean(fresh) < 0.85 * np.mean(plain)


def gmres_products(c, b, restart):
    count = []
    spla.gmres(
        convection_matrix(c),
        b.ravel(),
        rtol=1e-10,
        restart=restart,
        maxiter=1000,
        callback=count.append,
        callback_type="pr_norm",
    )
    return len(count)


@pytest.mark.parametrize("dtype", [pytest.param(jnp.float32, marks=pytest.mark.slow), jnp.complex128])
def test_dtypes_preconditioner_guess_and_history(dtype):
    rtol = 1e-5 if dtype == jnp.float32 else 1e-10
    matrix = np.asarray(convection_matrix(30.0).todense())
    right = sources(2)[0]
    if dtype == jnp.complex128:
        matrix, right = matrix + 200j * np.eye(N * N), right + 1j * sources(2)[1]
    inverse = np.diag(1 / np.diag(matrix)).astype(dtype)
    system, steer = (lx.MatrixLinearOperator(jnp.asarray(a, dtype)) for a in (matrix, inverse))
    exact = np.linalg.solve(matrix, right.ravel())
    options = {"preconditioner": steer, "y0": jnp.asarray(0.5 * exact, dtype)}
    solver = GCRODR(rtol, restart=20, recycled=8, history=60)
    out, _ = solver.solve(system, jnp.asarray(right.ravel(), dtype), None, options)
    assert out.result == lx.RESULTS.successful and out.value.dtype == dtype
    np.testing.assert_allclose(np.asarray(out.value), exact, atol=30 * rtol * np.abs(exact).max())
    norms = np.asarray(out.stats["residual_history"])
    steps = int(out.stats["num_steps"])
    assert norms.shape == (61,) and norms[0] == pytest.approx(0.5, rel=1e-4)
    assert np.all(np.diff(norms[: min(steps, 60) + 1]) <= 1e-6) and np.all(np.isnan(norms[steps + 1 :]))


def test_lanes_stop_on_their_own_and_agree_with_single_solves():
    solver, right, speeds = GCRODR(1e-9, restart=20, recycled=8), jnp.asarray(sources(2)), jnp.asarray([0.0, 80.0])

    def one(c, b):
        out, recycle = solver.solve(operator(c), b)
        out, _ = solver.solve(operator(c + 1), b, recycle)
        return out.value, out.stats["num_steps"]

    one = jax.jit(one)
    values, steps = jax.jit(jax.vmap(one))(speeds, right)
    for i in range(2):
        alone, count = one(speeds[i], right[i])
        assert abs(int(steps[i]) - int(count)) <= 1
        np.testing.assert_allclose(values[i], alone, atol=1e-7 * float(jnp.abs(alone).max()))
    assert steps[0] != steps[1]


def test_derivative_through_a_sequence_is_the_implicit_one():
    solver, right, weight = GCRODR(1e-12, restart=20, recycled=8), jnp.asarray(sources(2)), sources(3)[2]

    def total(c):
        def step(recycle, b):
            out, recycle = solver.solve(operator(c), b, recycle)
            return recycle, jnp.sum(weight * out.value)

        return jnp.sum(jax.lax.scan(step, solver.empty(right[0]), right)[1])

    def exact(c):
        return sum(weight.ravel() @ spla.spsolve(convection_matrix(c), b.ravel()) for b in np.asarray(right))

    slope = (exact(25 + 1e-3) - exact(25 - 1e-3)) / 2e-3
    assert float(jax.jit(jax.grad(total))(25.0)) == pytest.approx(slope, rel=1e-6)
    assert float(jax.jit(lambda c: jax.jvp(total, (c,), (1.0,))[1])(25.0)) == pytest.approx(slope, rel=1e-6)


def test_says_how_it_failed():
    b, solve = jnp.asarray(sources(1)[0]), eqx.filter_jit(lambda solver, b: solver.solve(operator(20.0), b))
    assert solve(GCRODR(1e-30), b)[0].result == lx.RESULTS.stagnation
    out, _ = solve(GCRODR(1e-10), jnp.zeros_like(b))
    assert out.result == lx.RESULTS.successful and not np.any(out.value) and int(out.stats["num_matvecs"]) == 0
    # The shift moves no component forward within a cycle: no progress, and no claim of any.
    shift = lx.FunctionLinearOperator(lambda u: jnp.roll(u, 1), jax.ShapeDtypeStruct((64,), jnp.float64))
    out, _ = GCRODR(1e-10, restart=12, recycled=4).solve(shift, jnp.zeros(64).at[0].set(1.0))
    assert out.result == lx.RESULTS.stagnation


def test_refusals():
    b = {"u": jnp.ones((N, N))}
    with pytest.raises(ValueError, match="restart=30"):
        GCRODR(1e-8, restart=20, recycled=15)
    with pytest.raises(ValueError, match="solver.empty"):
        GCRODR(1e-8).solve(operator(1.0), b["u"], GCRODR(1e-8, recycled=4).empty(b["u"]))
    with pytest.raises(TypeError, match="FGMRES"):
        GCRODR(1e-8).solve(operator(1.0), b["u"], None, {"preconditioner": jnp.tanh})


def test_chain_goes_to_the_nearest():
    points = np.array([0.0, 10.0, 1.0, 3.0, -2.5])
    assert sort_by_parameters(points).tolist() == [0, 2, 3, 4, 1]
    assert sort_by_parameters({"a": points[:, None], "b": np.zeros((5, 2, 2))}, block=2).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="jax.vmap"):
        sort_by_parameters({"a": np.zeros(3), "b": np.zeros(4)})


def darcy_problems(count, n=17):
    zero = pj.Dirichlet(0.0)
    grid = pj.Grid(x=pj.Uniform(n, lower=zero, upper=zero), y=pj.Uniform(n, lower=zero, upper=zero))
    nodes = pj.Grid(x=pj.Uniform(n), y=pj.Uniform(n))
    x, y = grid.mesh()
    powers = np.random.default_rng(0).standard_normal((count, 2, 1, 1, 1))
    media = jnp.asarray(np.exp(powers[:, 0] * np.sin(3 * x) + powers[:, 1] * y))
    return media, jax.vmap(lambda a: pj.SteadyProblem(pj.equations.Darcy(pj.GridField(a, nodes)), grid))(media)


def five_point(a):
    """Flux form with arithmetic face means on the inner nodes, by SciPy."""
    n = a.shape[0]
    inner = np.pad(np.arange((n - 2) ** 2).reshape(n - 2, n - 2), 1, constant_values=-1)
    matrix = sp.lil_array(((n - 2) ** 2, (n - 2) ** 2))
    for i, j in np.argwhere(inner >= 0):
        for k, m in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            face = (a[i, j] + a[k, m]) / 2 * (n - 1) ** 2
            matrix[inner[i, j], inner[i, j]] += face
            if inner[k, m] >= 0:
                matrix[inner[i, j], inner[k, m]] -= face
    return sp.csc_array(matrix)


def test_sequence_of_problems_comes_back_in_its_own_order():
    media, problems = darcy_problems(4)
    solution = solve_sequence(problems)
    assert bool(jnp.all(solution.ok)) and solution.value.values.shape == (4, 1, 17, 17)
    assert np.all(np.asarray(solution.error) < 1e-7) and solution.stats["num_matvecs"].shape == (4,)
    for a, u in zip(np.asarray(media)[:, 0], np.asarray(solution.value.values)[:, 0], strict=True):
        exact = spla.spsolve(five_point(a), np.ones(15 * 15)).reshape(15, 15)
        np.testing.assert_allclose(u[1:-1, 1:-1], exact, atol=1e-7 * exact.max())
    with pytest.raises(pj.solvers.SolveError, match="problem 0 of the sequence: The maximum number"):
        solve_sequence(problems, GCRODR(1e-8, max_steps=1))
