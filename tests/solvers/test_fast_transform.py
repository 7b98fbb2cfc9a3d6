"""Direct solves by transforms on every kind and mix of axes, against SciPy's sparse direct solver and transforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.fields import Eigenbasis
from pdejax.solvers import _fast_transform

E, S = pj.equations, pj.solvers
D, N, P = pj.Dirichlet, pj.Neumann, pj.grids.Periodic
KAPPA = 1.5


def differences(axis):
    """Matrix of the second difference on all nodes of a `Uniform` axis of order 2, and what the conditions add."""
    n, h, periodic = axis.n, axis.spacing, axis.is_periodic
    matrix = sp.diags([np.ones(n - 1), np.full(n, -2.0), np.ones(n - 1)], [-1, 0, 1]).tolil()
    given = np.zeros(n)
    if periodic:
        matrix[0, -1] = matrix[-1, 0] = 1.0
    else:
        for at, inner, side, sign in ((0, 1, axis.lower, -1.0), (n - 1, n - 2, axis.upper, 1.0)):
            value = isinstance(side, D)
            if axis.centred:
                matrix[at, at] = -3.0 if value else -1.0
                given[at] = 2 * float(side.value) if value else sign * h * float(side.slope)
            elif not value:
                matrix[at, inner] = 2.0
                given[at] = 2 * sign * h * float(side.slope)
    return matrix.tocsr() / h**2, given / h**2


def by_sparse_solve(grid, source):
    """`-lap u + kappa^2 u = f` on all nodes, rows of known ends replaced by their values."""
    shape = grid.shape
    total, right = sp.identity(int(np.prod(shape))) * KAPPA**2, source.copy()
    for i, axis in enumerate(grid.axes):
        matrix, given = differences(axis)
        parts = [sp.identity(n) for n in shape]
        parts[i] = matrix
        whole = parts[0]
        for part in parts[1:]:
            whole = sp.kron(whole, part)
        total = total - whole
        right = right + given.reshape([-1 if j == i else 1 for j in range(len(shape))])
    known, values = np.zeros(shape, bool), np.zeros(shape)
    for i, axis in enumerate(grid.axes):
        for at, side in axis.known_ends:
            known[(slice(None),) * i + (at,)] = True
            values[(slice(None),) * i + (at,)] = float(side.value)
    free = (~known).reshape(-1)
    total = sp.diags(free.astype(float)) @ total + sp.diags((~free).astype(float))
    return spla.spsolve(total.tocsc(), np.where(known, values, right).reshape(-1)).reshape(shape)


@pytest.mark.parametrize("centred", [False, True], ids=["closed", "centred"])
@pytest.mark.parametrize(
    "lower,upper",
    [(D(0.3), D(-0.2)), (N(0.5), N(1.0)), (D(0.3), N(1.0)), (N(0.5), D(-0.2)), (P(), P())],
    ids=["DD", "NN", "DN", "ND", "PP"],
)
def test_boundary_kinds_with_data_agree_with_a_sparse_solve(lower, upper, centred):
    # The first axis is long enough for FFTs, the second takes dense modes.
    grid = pj.Grid(
        x=pj.Uniform(402, length=1.3, lower=lower, upper=upper, centred=centred and not isinstance(lower, P)),
        y=pj.Uniform(7, lower=N(0.2), upper=D(0.1)),
    )
    source = np.random.default_rng(0).standard_normal(grid.shape)
    problem = pj.SteadyProblem(E.ScreenedPoisson(KAPPA, pj.GridField(jnp.asarray(source)[None], grid)), grid)
    solution = pj.solve(problem, S.FastTransform())
    exact = by_sparse_solve(grid, source)
    np.testing.assert_allclose(solution.value.values[0], exact, atol=1e-9 * np.abs(exact).max())
    assert float(solution.error) < 1e-8


def test_long_dirichlet_axes_agree_with_scipy_transforms():
    n, m = 401, 403
    grid = pj.Grid(x=pj.Uniform(n, lower=D(0.0), upper=D(0.0)), y=pj.Uniform(m, lower=D(0.0), upper=D(0.0)))
    source = np.random.default_rng(0).standard_normal((n, m))
    one, two = ((2 * (k - 1) * np.sin(np.pi * np.arange(1, k - 1) / (2 * (k - 1)))) ** 2 for k in (n, m))
    exact = scipy.fft.idstn(scipy.fft.dstn(source[1:-1, 1:-1], 1) / np.add.outer(one, two), 1)
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 1e-6)):
        f = pj.GridField(jnp.asarray(source, dtype)[None], grid)
        solution = pj.solve(pj.SteadyProblem(E.Poisson(f), grid))
        assert solution.ok and solution.stats["method"] == "FastTransform" and solution.value.dtype == dtype
        difference = np.asarray(solution.value.values)[0, 1:-1, 1:-1] - exact
        assert np.linalg.norm(difference) < tolerance * np.linalg.norm(exact)


AXES = {
    "fourier": pj.Fourier(8, length=1.0),
    "sine": pj.Sine(9),
    "cosine": pj.Cosine(10),
    "sine-centred": pj.Sine(7, centred=True),
    "cosine-centred": pj.Cosine(6, centred=True),
    "chebyshev": pj.Chebyshev(11, length=1.0, start=0.0, lower=D(0.0), upper=D(0.0)),
    "uniform": pj.Uniform(12, lower=D(0.0), upper=N(0.0)),
    "uniform-4": pj.Uniform(13, lower=D(0.0), upper=D(0.0), order=4),
}


@pytest.mark.parametrize("complex_data", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("names", [("fourier", "sine"), ("chebyshev", "cosine-centred"), ("sine-centred", "uniform")])
def test_mixed_axes_solve_their_equations(names, complex_data):
    grid = pj.Grid(**dict(zip("xy", (AXES[name] for name in names), strict=True)))
    generator = np.random.default_rng(0)
    values = generator.standard_normal((1, *grid.shape))
    if complex_data:
        values = values + 1j * generator.standard_normal(values.shape)
    basis = Eigenbasis(grid)
    real = not complex_data
    # A field of the basis, and the source that belongs to it.
    u = basis.backward(basis.from_values(jnp.asarray(values)), real)
    f = -pj.calculus.laplacian(u) + u * KAPPA**2
    solution = pj.solve(pj.SteadyProblem(E.ScreenedPoisson(KAPPA, f.as_values()), grid), S.FastTransform())
    assert solution.ok and solution.value.is_real is real
    np.testing.assert_allclose(solution.value.values, u.values, atol=1e-10)


@pytest.mark.parametrize("names", [("fourier", "cosine"), ("uniform-4", "sine-centred")])
def test_error_is_the_dual_norm_of_the_residual(names):
    grid = pj.Grid(**dict(zip("xy", (AXES[name] for name in names), strict=True)))
    generator = np.random.default_rng(0)
    f = pj.GridField(jnp.asarray(generator.standard_normal((1, *grid.shape))), grid)
    basis, system = Eigenbasis(grid), S._steady.unknowns(pj.SteadyProblem(E.Poisson(f), grid))
    tables = S.FastTransform().prepare(system.problem, None)
    right = -system.residual(system.guess())
    modal = basis.forward(f)
    square = float(_fast_transform._dual_square(basis, tables.dual, f, modal, True))
    exact = float(jnp.sum(right * system.preconditioner().mv(right)))
    np.testing.assert_allclose(square, exact, rtol=1e-5)


def test_a_source_with_a_mean_is_refused_and_one_without_is_solved():
    n = 402
    grid = pj.Grid(x=pj.Uniform(n, lower=N(0.0), upper=N(0.0)))
    x = np.linspace(0, 1, n)
    for shift, ok in ((0.0, True), (0.5, False)):
        f = pj.GridField(jnp.asarray(np.cos(np.pi * x) + shift)[None], grid)
        solution = pj.solve(pj.SteadyProblem(E.Poisson(f), grid), throw=False)
        assert bool(solution.ok) is ok and int(solution.stats["null_modes"]) == 1
        eigenvalue = (2 * (n - 1) * np.sin(np.pi / (2 * (n - 1)))) ** 2
        np.testing.assert_allclose(solution.value.values[0], np.cos(np.pi * x) / eigenvalue, atol=1e-9)
    assert not solution.ok and solution.result == S.RESULTS.null_space


def test_the_operator_is_looked_at_once_for_all_sources(monkeypatch):
    grid = pj.Grid(x=pj.Sine(9), y=pj.Uniform(8, lower=D(0.0), upper=D(0.0)))
    looks, read = [], _fast_transform.read_symbol
    monkeypatch.setattr(_fast_transform, "read_symbol", lambda *a: looks.append(1) or read(*a))
    generator = np.random.default_rng(0)

    def value(values, kappa=KAPPA):
        equation = E.ScreenedPoisson(kappa, pj.GridField(values, grid))
        return jnp.sum(pj.solve(pj.SteadyProblem(equation, grid), S.FastTransform()).value.values)

    v, w = (jnp.asarray(generator.standard_normal((1, *grid.shape))) for _ in range(2))
    value(v), value(w), jax.grad(value)(v), jax.vmap(value)(jnp.stack([v, w]))
    assert len(looks) == 1
    # Linear in the source: the gradient gives the value back.
    np.testing.assert_allclose(jnp.sum(jax.grad(value)(v) * w), value(w), rtol=1e-10)
    value(v, 2.5)
    assert len(looks) == 2
    by_hand = (value(v, KAPPA + 1e-5) - value(v, KAPPA - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(value, 1)(v, jnp.asarray(KAPPA)), by_hand, rtol=1e-6)
