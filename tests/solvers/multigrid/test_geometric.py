"""Geometric multigrid: its parts as dense matrices on tiny grids, and steady problems whose iterations do not grow."""

import itertools

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import pdejax as pj
from pdejax.fields import sample
from pdejax.solvers import multigrid as M
from pdejax.solvers._multigrid import Cycle
from pdejax.solvers._steady import unknowns
from pdejax.solvers.multigrid import _hierarchy
from pdejax.solvers.multigrid._interpolation import black_box, galerkin

E, S, D = pj.equations, pj.solvers, pj.Dirichlet(0.0)
SLOW = pytest.mark.slow


@pytest.fixture(autouse=True)
def coarse_grids(monkeypatch):
    """Several levels even on tiny grids."""
    monkeypatch.setattr(_hierarchy, "_COARSEST", 30)


def dense(apply, shape):
    """The matrix of a linear map of arrays, column by column."""
    size = int(np.prod(shape))
    return np.asarray(jax.jit(jax.vmap(lambda e: apply(e.reshape(shape)).ravel()))(jnp.eye(size))).T


def random_operator(shape, wraps, channels=1, seed=0):
    """A matrix with random entries wherever two nodes are next neighbours."""
    nodes, generator = list(np.ndindex(*shape)), np.random.default_rng(seed)
    near = np.zeros((len(nodes), len(nodes)), bool)
    for (i, a), (j, b) in itertools.product(enumerate(nodes), repeat=2):
        gaps = [(x - y) % n if w else x - y for x, y, n, w in zip(a, b, shape, wraps, strict=True)]
        near[i, j] = all(g in (-1, 0, 1) or (w and g == n - 1) for g, n, w in zip(gaps, shape, wraps, strict=True))
    near = np.tile(near, (channels, channels))
    return np.where(near, generator.standard_normal(near.shape), 0.0)


def stencil_of(matrix, shape, wraps, channels=1):
    matrix = jnp.asarray(matrix)
    product = lambda v: (matrix @ v.ravel()).reshape(v.shape)
    return M.probe(product, channels, shape, wraps, M.box(len(shape)), np.dtype(float))


GRIDS = [
    ((9, 10), (False, False), 1),
    ((7, 8), (True, True), 1),
    ((11, 5), (True, False), 2),
    ((5, 4, 7), (False, False, True), 1),
    ((11,), (True,), 1),
]


@pytest.mark.parametrize("shape,wraps,channels", GRIDS, ids=str)
def test_probe_recovers_any_operator_of_next_neighbours_and_galerkin_is_the_triple_product(shape, wraps, channels):
    matrix = random_operator(shape, wraps, channels)
    stencil = stencil_of(matrix, shape, wraps, channels)
    np.testing.assert_array_equal(dense(stencil.mv, (channels, *shape)), matrix)
    transfer = black_box(stencil)
    coarse = (channels, *transfer.coarse_shape)
    p = dense(transfer.prolong, coarse)
    np.testing.assert_allclose(dense(transfer.restrict, (channels, *shape)), p.T, atol=1e-12 * np.abs(p).max())
    product = p.T @ matrix @ p
    np.testing.assert_allclose(
        dense(galerkin(stencil, transfer).mv, coarse), product, atol=1e-11 * np.abs(product).max()
    )


def diffusion(shape, along=(1.0, 1.0), contrast=1.0, seed=0):
    """Five-point differences of `-div(a grad u)` with zero beyond the ends, `a` lognormal at the faces."""
    n, m = shape
    generator, total = np.random.default_rng(seed), np.zeros((n * m, n * m))
    for i, (size, weight) in enumerate(zip(shape, along, strict=True)):
        d = np.eye(size + 1, size) - np.eye(size + 1, size, -1)
        d = np.kron(d, np.eye(m)) if i == 0 else np.kron(np.eye(n), d)
        total += weight * d.T @ (contrast ** generator.uniform(size=len(d))[:, None] * d)
    return total


SMOOTHERS = {
    "jacobi": M.Jacobi(),
    "chebyshev": M.Chebyshev(),
    "gauss-seidel": M.GaussSeidel(),
    "line": M.Line((0, 1), sweeps=1),
}
# What a cycle leaves of the error in the energy norm; on these grids 0.24, 0.19, 0.37 and 0.14 with two grids.
BOUNDS = {"jacobi": 0.3, "chebyshev": 0.25, "gauss-seidel": 0.45, "line": 0.2}
CYCLES = [("jacobi", "V"), ("gauss-seidel", "F"), ("chebyshev", "W"), ("line", "V")]


@pytest.mark.parametrize(
    "smoother,cycle",
    [pytest.param(s, c, marks=() if (s, c) in CYCLES else SLOW) for s in SMOOTHERS for c in ("V", "W", "F", "full")],
)
def test_every_cycle_reduces_the_error_and_is_symmetric_positive(smoother, cycle, monkeypatch):
    monkeypatch.setattr(_hierarchy, "_COARSEST", 5)  # Four grids: the least for which no two cycles are the same.
    shape = (9, 10)
    matrix = diffusion(shape, contrast=12.0)
    levels = M.hierarchy(stencil_of(matrix, shape, (False, False)), SMOOTHERS[smoother], cycle)
    assert len(levels.levels) == 3
    inverse = dense(levels.apply, (1, *shape))
    root = np.linalg.cholesky(matrix).T  # The energy norm of v is that of root @ v.
    left = np.linalg.norm(np.eye(90) - root @ inverse @ root.T, 2)
    assert left < BOUNDS[smoother], left
    if cycle != "full":
        # An F-cycle visits the coarse grid first by itself, then by a V-cycle, and is symmetric only nearly so.
        allowed = 1e-3 if cycle == "F" else 1e-12
        np.testing.assert_allclose(inverse, inverse.T, atol=allowed * np.abs(inverse).max())
        assert np.linalg.eigvalsh(inverse + inverse.T).min() > 0
    else:
        assert np.abs(inverse - inverse.T).max() > 1e-6 * np.abs(inverse).max()
        one = Cycle(levels, jax.ShapeDtypeStruct((1, *shape), np.dtype(float)), False)
        np.testing.assert_allclose(one.transpose().as_matrix(), inverse.T, atol=1e-12 * np.abs(inverse).max())


@SLOW
def test_strong_coupling_along_one_axis_needs_lines():
    shape = (17, 17)
    matrix = diffusion(shape, along=(1e-3, 1.0))

    def factor(smoother):
        levels = M.hierarchy(stencil_of(matrix, shape, (False, False)), smoother)
        return np.abs(np.linalg.eigvals(np.eye(289) - dense(levels.apply, (1, *shape)) @ matrix)).max()

    points, across, lines = factor(M.Jacobi()), factor(M.Line((0,))), factor(M.Line((1,)))
    assert points > 0.5 and across > 0.5 and lines < 0.2, (points, across, lines)


def square(n, values):
    grid = pj.Grid(x=pj.Uniform(n, lower=D, upper=D), y=pj.Uniform(n, lower=D, upper=D))
    return pj.SteadyProblem(E.Darcy(pj.GridField(jnp.asarray(values)[None], grid), 1.0), grid)


def smooth_noise(n):
    """A Gaussian field of unit variance whose modes do not depend on the grid, correlated over a quarter."""
    generator, x = np.random.default_rng(1), np.linspace(0, 1, n)
    waves = np.stack([np.cos(np.pi * k * x) for k in range(17)]) * (1 + (np.arange(17)[:, None] / 4) ** 2) ** -1
    field = np.einsum("kl,kx,ly->xy", generator.standard_normal((17, 17)), waves, waves)
    return field / field.std()


MEDIA = {
    "12|3": lambda n: np.where(smooth_noise(n) > 0, 12.0, 3.0),
    "1e4|1": lambda n: np.where(smooth_noise(n) > 0, 1e4, 1.0),
    "lognormal": lambda n: np.exp(1.5 * smooth_noise(n)),
}


@pytest.mark.parametrize(
    "medium,sizes,spread",
    [
        pytest.param("12|3", (33, 65, 129), 2, marks=SLOW),
        pytest.param("1e4|1", (33, 65, 129), 3, marks=SLOW),
        pytest.param("lognormal", (33, 65, 129), 3, marks=SLOW),
    ],
)
def test_iterations_do_not_depend_on_the_grid(medium, sizes, spread):
    steps = [int(pj.solve(square(n, MEDIA[medium](n)), S.MultigridCG()).stats["num_steps"]) for n in sizes]
    assert max(steps) - min(steps) <= spread and max(steps) <= 14, steps


def line_problem():
    grid = pj.Grid(x=pj.Uniform(66, lower=D, upper=pj.Neumann(0.3)))
    a = np.random.default_rng(0).uniform(1, 9, (1, 66))
    return pj.SteadyProblem(E.Darcy(pj.GridField(jnp.asarray(a), grid), 1.0), grid)


def tensor_problem():
    n, m = 15, 16
    root = np.random.default_rng(0).standard_normal((n, m, 2, 2)) * 0.4 + np.array([[1.0, 0.6], [0.0, 1.0]])
    tensor = np.moveaxis(root @ np.swapaxes(root, -1, -2) + 0.2 * np.eye(2), (-2, -1), (0, 1)).reshape(4, n, m)
    grid = pj.Grid(x=pj.Uniform(n, lower=D, upper=D), y=pj.Uniform(m, lower=D, upper=pj.Neumann(0.2)))
    return pj.SteadyProblem(E.Darcy(pj.GridField(jnp.asarray(tensor), grid), 1.0), grid)


def solid_problem():
    shape = (7, 8, 9)
    axes = [pj.Uniform(n, lower=D, upper=end) for n, end in zip(shape, (D, pj.Neumann(0.2), D), strict=True)]
    grid = pj.Grid(x=axes[0], y=axes[1], z=axes[2])
    a = np.random.default_rng(0).choice([12.0, 3.0], (1, *shape))
    return pj.SteadyProblem(E.Darcy(pj.GridField(jnp.asarray(a), grid), 1.0), grid)


def elastic_problem():
    grid = pj.Grid(x=pj.Uniform(11, lower=D, upper=D), y=pj.Uniform(12, lower=D, upper=pj.Neumann(0.0)))
    shear = np.random.default_rng(0).uniform(1, 3, (1, 11, 12))
    return pj.SteadyProblem(E.LinearElasticity(1.0, pj.GridField(jnp.asarray(shear), grid), 1.0), grid, channels=2)


PROBLEMS = {
    "one axis": (line_problem, 10),
    "tensor": (tensor_problem, 16),
    "three axes": (solid_problem, 12),
    "elasticity": (elastic_problem, 20),
}


@pytest.mark.parametrize("name", [n if n == "tensor" else pytest.param(n, marks=SLOW) for n in PROBLEMS])
def test_problems_of_every_kind(name):
    """Against a dense direct solution with the matrix of the discrete equations by differentiation."""
    problem, limit = PROBLEMS[name][0](), PROBLEMS[name][1]
    solution = pj.solve(problem, S.MultigridCG(rtol=1e-10))
    system = unknowns(problem)
    flat = lambda w: system.residual(w.reshape(system.shape)).ravel()
    zero = jnp.zeros(int(np.prod(system.shape)))
    matrix, right = (np.asarray(x) for x in jax.jit(lambda w: (jax.jacfwd(flat)(w), -flat(w)))(zero))
    w = jnp.asarray(np.linalg.solve(matrix, right).reshape(system.shape))
    exact = np.asarray(system.field(w).values)
    np.testing.assert_allclose(solution.value.values, exact, atol=1e-8 * np.abs(exact).max())
    assert 2 <= int(solution.stats["num_steps"]) <= limit, solution.stats["num_steps"]


def test_one_full_cycle_reaches_the_accuracy_of_the_grid():
    example, n = E.Poisson.example(), 33
    grid = pj.Grid(x=pj.Uniform(n, lower=D, upper=D), y=pj.Uniform(n, lower=D, upper=D))
    problem, exact = pj.SteadyProblem(example.equation, grid), sample(example.solution, grid).values

    @jax.jit
    def one_cycle():
        system = unknowns(problem)
        start, product = jax.linearize(system.residual, system.guess())
        operator = lx.FunctionLinearOperator(product, system.structure())
        return S.Multigrid("full").build(system, operator).mv(-start)

    error = lambda u: float(jnp.abs(u - exact).max())
    best = error(pj.solve(problem, S.FastTransform()).value.values)
    assert best / 2 < error(one_cycle()) < 2 * best


@pytest.mark.parametrize("method", [S.MultigridCG(), S.GMRES(preconditioner=S.Multigrid())], ids=["cg", "gmres"])
def test_operators_that_reach_farther_are_refused_with_advice(method):
    grid = pj.Grid(x=pj.Uniform(17, lower=D, upper=D, order=4), y=pj.Uniform(17, lower=D, upper=D))
    with pytest.raises(ValueError, match=r"next neighbours only.*order=2.*ConjugateGradient"):
        pj.solve(pj.SteadyProblem(E.Poisson(1.0), grid), method)


def test_settings_that_do_not_fit_are_refused():
    stencil = stencil_of(random_operator((7, 8), (True, False)), (7, 8), (True, False))
    with pytest.raises(ValueError, match="two ends"):
        M.hierarchy(stencil, M.Line((0,)))
    with pytest.raises(ValueError, match='"V", "W", "F"'):
        M.hierarchy(stencil, M.Jacobi(), "X")
