"""The suite that every Krylov method passes: one row per solver and problem class, against SciPy's direct solution."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from pdejax.solvers import linear as L

N = 6
UNKNOWNS = N * N
DEFINITE = lx.positive_semidefinite_tag


def difference(size: int) -> np.ndarray:
    """Differences across the `size - 1` inner edges of a row of nodes."""
    return np.diff(np.eye(size), axis=0)


def incidence() -> np.ndarray:
    """Differences `D` along the edges of the grid; `D^T D` is the Neumann Laplacian."""
    d, one = difference(N), np.eye(N)
    return np.concatenate([np.kron(d, one), np.kron(one, d)])


LAPLACE = 4 * np.eye(UNKNOWNS) - sum(
    np.kron(*pair)
    for pair in ((np.eye(N), np.eye(N, k=1) + np.eye(N, k=-1)), (np.eye(N, k=1) + np.eye(N, k=-1), np.eye(N)))
)
SKEW = np.kron(np.eye(N), np.eye(N, k=1) - np.eye(N, k=-1)) / 2
EDGES = incidence()


class Problem(NamedTuple):
    """`A(theta)` for any array library, how it is tagged, its null vectors, and whether it is complex."""

    matrix: Callable
    parameters: int
    tags: frozenset = frozenset()
    singular: bool = False
    complex: bool = False


def shifted(base: np.ndarray) -> Callable:
    """`base + diag(theta)` in the precision of `theta`."""

    def matrix(theta, xp):
        dtype = np.result_type(theta.dtype, np.complex64) if np.iscomplexobj(base) else theta.dtype
        return xp.asarray(base.astype(dtype)) + xp.diag(theta).astype(dtype)

    return matrix


def weighted(theta, xp):
    edges = xp.asarray(EDGES.astype(theta.dtype))
    return edges.T @ (theta[:, None] * edges)


SYMMETRIC = frozenset({lx.symmetric_tag})
PROBLEMS = {
    "poisson": Problem(shifted(LAPLACE), UNKNOWNS, frozenset({DEFINITE})),
    "neumann": Problem(weighted, len(EDGES), frozenset({DEFINITE}), singular=True),
    "helmholtz": Problem(shifted(LAPLACE - 1.3 * np.eye(UNKNOWNS)), UNKNOWNS, SYMMETRIC),
    "convection": Problem(shifted(LAPLACE + SKEW), UNKNOWNS),
    "damped": Problem(shifted(LAPLACE + (0.4j - 1.3) * np.eye(UNKNOWNS)), UNKNOWNS, SYMMETRIC, complex=True),
    "hermitian": Problem(shifted(LAPLACE + 0.3j * SKEW), UNKNOWNS, frozenset({DEFINITE}), complex=True),
    "indefinite": Problem(
        shifted(LAPLACE + 0.3j * SKEW - 1.3 * np.eye(UNKNOWNS)), UNKNOWNS, frozenset({L.hermitian_tag}), complex=True
    ),
}
LOW_MODES = np.linalg.eigh(LAPLACE)[1][:, :4].T
SOLVERS = {
    "PCG": lambda rtol, **k: L.PCG(rtol, **k),
    "FlexibleCG": lambda rtol, **k: L.FlexibleCG(rtol, **k),
    "DeflatedCG": lambda rtol, dtype=np.float64, **k: L.DeflatedCG(jnp.asarray(LOW_MODES.astype(dtype)), rtol, **k),
    "BlockCG": lambda rtol, **k: L.BlockCG(rtol, **k),
    "MINRES": lambda rtol, **k: L.MINRES(rtol, **k),
    "FGMRES": lambda rtol, **k: L.FGMRES(rtol, restart=15, **k),
}
FITS = {
    **dict.fromkeys(("PCG", "FlexibleCG", "DeflatedCG", "BlockCG"), ("poisson", "neumann", "hermitian")),
    "MINRES": ("poisson", "neumann", "helmholtz", "indefinite"),
    "FGMRES": tuple(PROBLEMS),
}


def some_slow(rows, *quick):
    """The table in full for slow runs (it is compilation for the most part), a few of its rows always."""
    return [
        pytest.param(*((r,) if isinstance(r, str) else r), marks=() if r in quick else pytest.mark.slow) for r in rows
    ]


ALWAYS = ("PCG", "neumann"), ("FlexibleCG", "poisson"), ("BlockCG", "hermitian"), ("MINRES", "indefinite")
TABLE = some_slow([(s, p) for s, problems in FITS.items() for p in problems], *ALWAYS, ("FGMRES", "convection"))


def setting(solver: str, problem: str, real=np.float64):
    """The solver, `theta -> operator`, parameters, their direction, right-hand side and cotangent."""
    p, rng = PROBLEMS[problem], np.random.default_rng(0)
    theta = rng.uniform(0.5, 1, p.parameters).astype(real)
    direction = rng.standard_normal(p.parameters).astype(real)
    block = (3,) if solver == "BlockCG" else ()
    dtype = np.result_type(real, np.complex64) if p.complex else real
    b, w = (rng.standard_normal((*block, UNKNOWNS)) for _ in range(2))
    if p.complex:
        b = b + 1j * rng.standard_normal(b.shape)
    if p.singular:
        b, w = (x - x.mean(-1, keepdims=True) for x in (b, w))
    single = real == np.float32
    given = {"dtype": dtype} if solver == "DeflatedCG" else {}
    chosen = SOLVERS[solver](2e-5 if single else 1e-10, **given)

    def operator(theta):
        a = lx.MatrixLinearOperator(p.matrix(theta, jnp), p.tags)
        return L.repeat_operator(a, *block) if block else a

    return chosen, operator, theta, direction, b.astype(dtype), w.astype(real)


def direct(problem: str, theta: np.ndarray, b: np.ndarray) -> np.ndarray:
    p = PROBLEMS[problem]
    a = p.matrix(theta.astype(np.float64), np)
    if p.singular:  # the solution of mean zero
        a = a + np.full_like(a, 1 / UNKNOWNS)
    return spla.spsolve(sp.csc_matrix(a), b.T.astype(a.dtype)).T


def tangent(problem: str, theta: np.ndarray, direction: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Derivative of the direct solution."""
    p = PROBLEMS[problem]
    wide = theta.astype(np.float64)
    change = p.matrix(wide + direction, np) - p.matrix(wide, np)
    return direct(problem, theta, -(change @ x.T).T)


def centred(problem: str, x):
    return x - x.mean(-1, keepdims=True) if PROBLEMS[problem].singular else x


def check_row(solver: str, problem: str, real) -> None:
    chosen, operator, theta, direction, b, w = setting(solver, problem, real)
    b, w = jnp.asarray(b), jnp.asarray(w)

    def solve(theta):
        out = lx.linear_solve(operator(theta), b, chosen, throw=False)
        return centred(problem, out.value), out.result == lx.RESULTS.successful

    def loss(theta):
        x, met = solve(theta)
        return jnp.sum(w * x.real), (x, met)

    forward = jax.jit(lambda t, d: jax.jvp(lambda s: solve(s)[0], (t,), (d,)))
    batch = jax.jit(jax.vmap(jax.value_and_grad(loss, has_aux=True)))
    lanes = np.stack([theta, 2 * theta])
    _, slope = forward(theta, direction)
    (_, (x, met)), gradient = batch(lanes)
    tolerance = 1e-3 if real == np.float32 else 1e-7
    assert bool(jnp.all(met))
    for lane, parameters in enumerate(lanes):
        exact = direct(problem, parameters, np.asarray(b))
        change = tangent(problem, parameters, direction, exact)
        size = np.abs(exact).max()
        np.testing.assert_allclose(x[lane], exact, atol=tolerance * size)
        along, sizes = np.sum(np.asarray(w) * change.real), np.sum(np.abs(np.asarray(w) * change))
        np.testing.assert_allclose(gradient[lane] @ direction, along, atol=tolerance * sizes)
        if lane == 0:
            np.testing.assert_allclose(slope, change, atol=tolerance * np.abs(change).max())


@pytest.mark.parametrize(("solver", "problem"), TABLE)
def test_solves_like_the_direct_solver_with_derivatives_under_vmap(solver, problem):
    check_row(solver, problem, np.float64)


@pytest.mark.slow
@pytest.mark.parametrize(("solver", "problem"), TABLE)
def test_the_same_in_single_precision(solver, problem):
    check_row(solver, problem, np.float32)


@pytest.mark.parametrize("solver", some_slow(SOLVERS, "PCG", "MINRES"))
def test_gradient_triple(solver):
    """Implicit (lineax), unrolled (forward mode through `compute`) and finite differences agree."""
    chosen, operator, theta, direction, b, _ = setting(solver, "poisson")
    b = jnp.asarray(b)

    def implicit(t):
        return lx.linear_solve(operator(t), b, chosen).value

    def unrolled(t):
        a = operator(t)
        return chosen.compute(chosen.init(a, {}), b, {})[0]

    both = jax.jit(lambda t, d: [jax.jvp(f, (t,), (d,)) for f in (implicit, unrolled)])
    h = 1e-4
    central = (both(theta + h * direction, direction)[0][0] - both(theta - h * direction, direction)[0][0]) / (2 * h)
    size = float(jnp.abs(central).max())
    for _, slope in both(theta, direction):
        np.testing.assert_allclose(slope, central, atol=1e-6 * size)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_step_is_no_success(solver):
    chosen, operator, theta, _, b, _ = setting(solver, "poisson")
    short = dataclasses.replace(chosen, max_steps=1)
    out = lx.linear_solve(operator(theta), jnp.asarray(b), short, throw=False)
    assert out.result == lx.RESULTS.max_steps_reached
    assert int(out.stats["num_steps"]) == 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_counts_are_those_of_a_host_counter(solver):
    chosen, operator, theta, _, b, _ = setting(solver, "poisson")
    matrix, b, calls = operator(theta), jnp.asarray(b), []

    def product(x):
        calls.append(x)
        return matrix.mv(x)

    counted = lx.FunctionLinearOperator(product, matrix.in_structure(), DEFINITE, closure_convert=False)
    state = chosen.init(matrix, {})
    state = jax.tree.map(
        lambda x: counted if isinstance(x, lx.AbstractLinearOperator) else x,
        state,
        is_leaf=lambda x: isinstance(x, lx.AbstractLinearOperator),
    )
    calls.clear()  # the operator looked at its structure
    with jax.disable_jit():
        _, result, stats = chosen.compute(state, b, {"y0": jnp.ones_like(b)})
    applications = len(calls) * (len(b) if solver == "BlockCG" else 1)
    applications += len(LOW_MODES) if solver == "DeflatedCG" else 0
    assert result == lx.RESULTS.successful
    assert int(stats["num_matvecs"]) == applications


@pytest.mark.parametrize(
    ("solver", "problem", "peer"),
    [
        ("PCG", "poisson", lambda a, b, count: spla.cg(a, b, rtol=1e-10, callback=count)),
        ("FlexibleCG", "hermitian", lambda a, b, count: spla.cg(a, b, rtol=1e-10, callback=count)),
        (
            "FGMRES",
            "convection",
            lambda a, b, count: spla.gmres(a, b, rtol=1e-10, restart=15, callback=count, callback_type="pr_norm"),
        ),
        (
            "FGMRES",
            "damped",
            lambda a, b, count: spla.gmres(a, b, rtol=1e-10, restart=15, callback=count, callback_type="pr_norm"),
        ),
    ],
)
def test_steps_are_those_of_scipy(solver, problem, peer):
    chosen, operator, theta, _, b, _ = setting(solver, problem)
    calls = []
    peer(PROBLEMS[problem].matrix(theta, np), b, calls.append)
    out = lx.linear_solve(operator(theta), jnp.asarray(b), chosen)
    assert abs(int(out.stats["num_steps"]) - len(calls)) <= 1


def test_residuals_of_minres_are_minimal():
    """Step by step the norm is that of the least-squares problem over the Krylov space."""
    _, operator, theta, _, b, _ = setting("MINRES", "helmholtz")
    a = PROBLEMS["helmholtz"].matrix(theta, np)
    out = lx.linear_solve(operator(theta), jnp.asarray(b), L.MINRES(1e-10, history=60))
    steps, norms = int(out.stats["num_steps"]), out.stats["residual_history"]
    assert norms.shape == (61,) and bool(jnp.all(jnp.isnan(norms[steps + 1 :])))
    for k in (1, 5, 10):
        space, _ = np.linalg.qr(np.stack([np.linalg.matrix_power(a, j) @ b for j in range(k)], axis=1))
        best = b - a @ space @ np.linalg.lstsq(a @ space, b)[0]
        np.testing.assert_allclose(norms[k], np.linalg.norm(best) / np.linalg.norm(b), rtol=1e-6)


@pytest.mark.parametrize("solver", some_slow([s for s in SOLVERS if s != "BlockCG"], "DeflatedCG", "MINRES", "FGMRES"))
def test_preconditioned_pytrees_on_several_leaves(solver):
    chosen, operator, theta, _, b, _ = setting(solver, "poisson")
    matrix, half = operator(theta).matrix, UNKNOWNS // 2
    split = lambda x: {"upper": x[:half].reshape(2, -1), "lower": x[half:]}
    join = lambda x: jnp.concatenate([x["upper"].ravel(), x["lower"]])
    structure = jax.eval_shape(split, b)
    inverse = jnp.linalg.inv(matrix + 0.3 * jnp.eye(UNKNOWNS))
    wrap = lambda m: lx.FunctionLinearOperator(lambda x: split(m @ join(x)), structure, DEFINITE)
    if solver == "DeflatedCG":
        chosen = L.DeflatedCG(jax.vmap(split)(chosen.basis), 1e-10)
    out = lx.linear_solve(wrap(matrix), split(b), chosen, options={"preconditioner": wrap(inverse)})
    np.testing.assert_allclose(join(out.value), np.linalg.solve(matrix, b), atol=1e-8)
    assert int(out.stats["num_steps"]) < 14


@pytest.mark.parametrize("solver", ["FlexibleCG", "FGMRES"])
def test_flexible_methods_take_a_nonlinear_preconditioner(solver):
    chosen, operator, theta, _, b, _ = setting(solver, "poisson")
    a, b = operator(theta), jnp.asarray(b)
    inverse = jnp.linalg.inv(a.matrix + 0.3 * jnp.eye(UNKNOWNS))
    rough = jax.tree_util.Partial(lambda m, r: m @ (r + 0.2 * jnp.abs(r)), inverse)
    out = lx.linear_solve(a, b, chosen, options={"preconditioner": rough})
    np.testing.assert_allclose(out.value, np.linalg.solve(a.matrix, b), atol=1e-8)
    assert int(out.stats["num_steps"]) < int(lx.linear_solve(a, b, chosen).stats["num_steps"])


def test_what_is_not_linear_is_refused():
    matrix = lx.MatrixLinearOperator(jnp.eye(4), DEFINITE)
    wrap = lambda f: lx.FunctionLinearOperator(f, jax.ShapeDtypeStruct((4,), float), DEFINITE)
    for fake in (wrap(jnp.tanh), wrap(jax.nn.relu), wrap(jax.jit(lambda x: x * jnp.sum(x)))):
        for solver in (L.PCG(1e-6), L.MINRES(1e-6), L.BlockCG(1e-6)):
            with pytest.raises(TypeError, match="nonlinear function"):
                solver.init(fake, {})
            with pytest.raises(TypeError, match="FlexibleCG"):
                solver.init(matrix, {"preconditioner": fake})
    with pytest.raises(TypeError, match="FlexibleCG or FGMRES"):
        L.PCG(1e-6).init(matrix, {"preconditioner": jnp.tanh})
    with pytest.raises(ValueError, match="preconditioner of PCG"):
        L.PCG(1e-6).init(matrix, {"preconditioner": lx.MatrixLinearOperator(jnp.eye(4))})
    with pytest.raises(ValueError, match="MINRES"):
        L.PCG(1e-6).init(lx.MatrixLinearOperator(jnp.eye(4)), {})
    with pytest.raises(ValueError, match="hermitian_tag"):
        L.MINRES(1e-6).init(lx.MatrixLinearOperator(jnp.eye(4).astype(complex), lx.symmetric_tag), {})


def test_what_is_linear_passes():
    wrap = lambda f: lx.FunctionLinearOperator(f, jax.ShapeDtypeStruct((8,), float))
    weights = jnp.arange(8.0)
    sweeps = lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y + 0.1 * (x - weights * y), jnp.zeros_like(x))
    for true in (
        jax.jit(lambda x: jnp.roll(x, 1) * weights),
        lambda x: jnp.fft.irfft(2 * jnp.fft.rfft(x), 8),
        lambda x: x.astype(jnp.float32).astype(float),
        lambda x: lx.linear_solve(lx.DiagonalLinearOperator(1 + weights), x).value,
        lambda x: jnp.where(weights > 3, x, jnp.zeros(())),
        sweeps,
    ):
        L.check_linear(wrap(true))


def test_negative_curvature_is_reported():
    _, operator, theta, _, b, _ = setting("PCG", "helmholtz")
    a = lx.MatrixLinearOperator(operator(theta - 1).matrix, DEFINITE)
    for solver in (L.PCG(1e-8), L.FlexibleCG(1e-8), L.DeflatedCG(jnp.asarray(LOW_MODES[:1]), 1e-8)):
        out = lx.linear_solve(a, jnp.asarray(b), solver, throw=False)
        assert out.result == lx.RESULTS.breakdown and bool(out.stats["indefinite"])


def test_a_tolerance_beyond_the_dtype_is_no_success():
    chosen, operator, theta, _, b, _ = setting("PCG", "poisson", np.float32)
    for solver in (L.PCG(1e-12), L.MINRES(1e-12), L.FGMRES(1e-12)):
        out = lx.linear_solve(operator(theta), jnp.asarray(b), solver, throw=False)
        assert out.result == lx.RESULTS.stagnation
        assert int(out.stats["num_matvecs"]) < 150


def test_deflation_removes_the_low_modes_from_the_convergence():
    """As fast as plain conjugate gradients on a system whose right-hand side lacks those modes."""
    b = np.random.default_rng(0).standard_normal(UNKNOWNS)
    rest = b - LOW_MODES.T @ (LOW_MODES @ b)
    plain, without = [], []
    spla.cg(LAPLACE, b, rtol=1e-10, callback=plain.append)
    spla.cg(LAPLACE, rest, rtol=1e-10, callback=without.append)
    a = lx.MatrixLinearOperator(jnp.asarray(LAPLACE), DEFINITE)
    repeated = jnp.asarray(np.concatenate([LOW_MODES, 5 * LOW_MODES[:1], np.zeros((1, UNKNOWNS))]))
    for basis in (jnp.asarray(LOW_MODES), repeated):
        out = lx.linear_solve(a, jnp.asarray(b), L.DeflatedCG(basis, 1e-10))
        assert abs(int(out.stats["num_steps"]) - len(without)) <= 1 and len(without) < len(plain)
        np.testing.assert_allclose(out.value, np.linalg.solve(LAPLACE, b), atol=1e-8)


def test_block_columns_may_depend_on_each_other():
    rng = np.random.default_rng(0)
    b = rng.standard_normal((6, UNKNOWNS))
    b[3], b[4] = b[2], 0
    a = lx.MatrixLinearOperator(jnp.asarray(LAPLACE), DEFINITE)
    inverse = lx.MatrixLinearOperator(jnp.linalg.inv(jnp.asarray(LAPLACE) + 0.3 * jnp.eye(UNKNOWNS)), DEFINITE)
    plain, options = lx.linear_solve(a, jnp.asarray(b[0]), L.PCG(1e-10)), {}
    for most in (int(plain.stats["num_steps"]) * 2 // 3, 10):
        out = lx.linear_solve(L.repeat_operator(a, 6), jnp.asarray(b), L.BlockCG(1e-10), options=options)
        np.testing.assert_allclose(out.value, np.linalg.solve(LAPLACE, b.T).T, atol=1e-8)
        assert int(out.stats["num_steps"]) <= most
        options = {"preconditioner": L.repeat_operator(inverse, 6)}


def test_adjoint_solves_use_the_transposed_preconditioner_without_its_derivative():
    """With the exact inverse three steps suffice forwards, and backwards only for the transposed inverse."""
    _, operator, theta, direction, b, w = setting("FGMRES", "convection")

    def loss(theta):
        a = operator(theta)
        solver = L.Preconditioned(L.FGMRES(1e-8, max_steps=3), lx.MatrixLinearOperator(jnp.linalg.inv(a.matrix)))
        return jnp.sum(w * lx.linear_solve(a, jnp.asarray(b), solver).value)

    x = direct("convection", theta, b)
    along = np.sum(w * tangent("convection", theta, direction, x))
    np.testing.assert_allclose(jax.grad(loss)(theta) @ direction, along, rtol=1e-6)


@pytest.mark.parametrize("solver", some_slow(["PCG", "FlexibleCG", "MINRES", "FGMRES"], "FlexibleCG", "FGMRES"))
def test_lanes_stop_on_their_own(solver):
    chosen, operator, theta, _, b, _ = setting(solver, "poisson")
    count = jax.jit(lambda t: lx.linear_solve(operator(t), jnp.asarray(b), chosen).stats["num_matvecs"])
    lanes = jnp.stack([theta + 20, jnp.asarray(theta)])
    together = jax.jit(jax.vmap(count))(lanes)
    assert together[0] < together[1]
    np.testing.assert_array_equal(together, [count(lane) for lane in lanes])
