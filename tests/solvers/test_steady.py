"""Steady problems: exact solutions on every kind of axis, the default choice, SciPy, gradients, batches,
honest failure.
"""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.calculus import laplacian, norm
from pdejax.fields import sample
from pdejax.verify import taylor_test

E, S = pj.equations, pj.solvers
D = pj.Dirichlet(0.0)
GRIDS = {
    "sine": pj.Grid(x=pj.Sine(20), y=pj.Sine(22)),
    "fourier": pj.Grid(x=pj.Fourier(20, length=2.0), y=pj.Fourier(21, length=2.0)),
    "uniform": pj.Grid(x=pj.Uniform(40, lower=D, upper=D), y=pj.Uniform(41, lower=D, upper=D)),
    "uniform-4": pj.Grid(x=pj.Uniform(30, lower=D, upper=D, order=4), y=pj.Uniform(31, lower=D, upper=D, order=4)),
    "chebyshev": pj.Grid(x=pj.Chebyshev(22, length=1.0, start=0.0, lower=D, upper=D), y=pj.Sine(20)),
    "mixed": pj.Grid(x=pj.Sine(40), y=pj.Uniform(40, lower=D, upper=D)),
}
# Discretisation errors at these sizes (second and fourth order); spectral ones are solved to the solver's tolerance.
ACCURACY = {"uniform": 2e-3, "mixed": 2e-3, "uniform-4": 2e-5}
CHOICE = {
    E.Poisson: lambda grid: "FastTransform",
    E.Helmholtz: lambda grid: "FastTransform",
    E.Darcy: lambda grid: "GMRES" if grid in ("chebyshev", "uniform-4") else "ConjugateGradient",
    E.SemilinearPoisson: lambda grid: "Newton",
}


# One row a choice and a basis; the others are slow.
FEW = {("Poisson", "sine"), ("Helmholtz", "fourier"), ("Darcy", "mixed"), ("Darcy", "chebyshev")}
FEW |= {("SemilinearPoisson", "uniform"), ("Poisson", "uniform-4")}
ROWS = [
    pytest.param(cls, name, id=f"{cls.__name__}-{name}", marks=() if (cls.__name__, name) in FEW else pytest.mark.slow)
    for cls in CHOICE
    for name in GRIDS
]


@pytest.mark.parametrize("cls,name", ROWS)
def test_exact_solution_and_default_method(cls, name):
    example, grid = cls.example(), GRIDS[name]
    solution = pj.solve(pj.SteadyProblem(example.equation, grid))
    exact = sample(example.solution, grid)
    assert solution.ok and solution.stats["method"] == CHOICE[cls](name) and solution.stats["reason"]
    error = float(norm(exact.with_values(solution.value.values - exact.values)) / norm(exact))
    assert error < ACCURACY.get(name, 2e-8) * (4 if cls is E.Helmholtz else 1)
    assert float(solution.error) < 2e-8


def darcy_matrix(a, h):
    """Five-point flux form with arithmetic face means on the inner nodes, assembled by SciPy."""
    n, m = a.shape
    number = np.arange((n - 2) * (m - 2)).reshape(n - 2, m - 2)
    rows, columns, entries = [], [], []
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                face = (a[i, j] + a[i + di, j + dj]) / 2 / h**2
                rows.append(number[i - 1, j - 1]), columns.append(number[i - 1, j - 1]), entries.append(face)
                if 0 < i + di < n - 1 and 0 < j + dj < m - 1:
                    (
                        rows.append(number[i - 1, j - 1]),
                        columns.append(number[i - 1 + di, j - 1 + dj]),
                        entries.append(-face),
                    )
    return sp.csc_matrix((entries, (rows, columns)))


@pytest.mark.parametrize("dtype,tolerance", [(jnp.float64, 1e-7), (jnp.float32, 2e-4)])
def test_darcy_agrees_with_a_sparse_direct_solve(dtype, tolerance):
    n = 33
    a = np.where(np.random.default_rng(0).standard_normal((n, n)) > 0, 12.0, 3.0)
    grid = pj.Grid(x=pj.Uniform(n, lower=D, upper=D), y=pj.Uniform(n, lower=D, upper=D))
    solution = pj.solve(pj.SteadyProblem(E.Darcy(pj.GridField(jnp.asarray(a, dtype)[None], grid), 1.0), grid))
    exact = spla.spsolve(darcy_matrix(a, 1 / (n - 1)), np.ones((n - 2) ** 2)).reshape(n - 2, n - 2)
    got = np.asarray(solution.value.values[0])
    assert solution.value.dtype == dtype and np.all(got[0] == 0) and np.all(got[:, -1] == 0)
    assert np.linalg.norm(got[1:-1, 1:-1] - exact) < tolerance * np.linalg.norm(exact)


def test_boundary_values_and_slopes():
    """-u'' = 2 with u(0) = 1, u'(1) = -1 has the solution 1 + x - x^2, exact for second-order differences."""
    grid = pj.Grid(x=pj.Uniform(12, lower=pj.Dirichlet(1.0), upper=pj.Neumann(-1.0)))
    u = pj.solve(pj.SteadyProblem(E.Poisson(2.0), grid)).value
    x = grid.axis("x").points
    np.testing.assert_allclose(u.values[0], 1 + x - x**2, atol=1e-12)
    darcy = pj.solve(
        pj.SteadyProblem(E.Darcy(sample(pj.FunctionField.from_function(lambda x: 1 + x, ("x",)), grid), 0.0), grid)
    ).value
    # -((1 + x) u')' = 0 with flux -2 at the end: u = 1 - 2 log(1 + x).
    np.testing.assert_allclose(darcy.values[0], 1 - 2 * np.log(1 + x), atol=2e-3)


def test_periodic_poisson_fixes_the_mean_and_refuses_a_source_with_one():
    grid = pj.Grid(x=pj.Fourier(16), y=pj.Fourier(15))
    source = pj.GridField.from_function(lambda x, y: jnp.sin(x) * jnp.cos(y), grid)
    u = pj.solve(pj.SteadyProblem(E.Poisson(source), grid)).value
    np.testing.assert_allclose(u.values, source.values / 2, atol=1e-13)
    with pytest.raises(S.SolveError, match="null space"):
        pj.solve(pj.SteadyProblem(E.Poisson(1.0), grid))


def square():
    grid = pj.Grid(x=pj.Uniform(12, lower=D, upper=D), y=pj.Uniform(13, lower=D, upper=D))
    return grid, pj.GridField.from_function(lambda x, y: 1 + x * y, grid)


METHODS = {
    "fast": lambda p, g: pj.solve(pj.SteadyProblem(E.Poisson(p), g), S.FastTransform()),
    "cg": lambda p, g: pj.solve(pj.SteadyProblem(E.Darcy(p, 1.0), g), S.ConjugateGradient(rtol=1e-12)),
    "gmres": lambda p, g: pj.solve(pj.SteadyProblem(E.Darcy(p, 1.0), g), S.GMRES(rtol=1e-12)),
    "newton": lambda p, g: pj.solve(pj.SteadyProblem(E.SemilinearPoisson(10.0 * p, 3.0), g), S.Newton(rtol=1e-12)),
}


@pytest.mark.parametrize("method", METHODS)
def test_implicit_gradients_by_taylor_test(method):
    grid, a = square()
    f = lambda v: jnp.sum(METHODS[method](a.with_values(v), grid).value.values ** 2) * 1e3
    assert abs(taylor_test(f, a.values, key=jax.random.key(0), step=3e-2) - 2) < 0.1


def test_gradient_triple_of_conjugate_gradients():
    """Implicit (lineax), unrolled (forward mode through the loop) and finite differences agree."""
    grid, a = square()
    direction = jnp.asarray(np.random.default_rng(0).standard_normal(a.values.shape)) * 0.1
    implicit = jax.jvp(lambda v: METHODS["cg"](a.with_values(v), grid).value.values, (a.values,), (direction,))[1]
    h = 1e-4
    shifted = lambda s: METHODS["cg"](a.with_values(a.values + s * direction), grid).value.values
    central = (shifted(h) - shifted(-h)) / (2 * h)

    def unrolled(v):
        from pdejax.solvers._steady import unknowns

        system = unknowns(pj.SteadyProblem(E.Darcy(a.with_values(v), 1.0), grid))
        start, product = jax.linearize(system.residual, system.guess())
        operator = lx.FunctionLinearOperator(product, system.structure(), lx.positive_semidefinite_tag)
        solver = S.PCG(1e-13)
        options = {"preconditioner": system.preconditioner()}
        return solver.compute(solver.init(operator, options), -start, options)[0]

    through = jax.jvp(unrolled, (a.values,), (direction,))[1]
    size = float(jnp.abs(central).max())
    np.testing.assert_allclose(implicit, central, atol=1e-5 * size)
    np.testing.assert_allclose(through, central, atol=1e-5 * size)


def test_boundary_values_are_differentiable():
    def middle(value):
        grid = pj.Grid(x=pj.Uniform(11, lower=pj.Dirichlet(value), upper=D))
        return pj.solve(pj.SteadyProblem(E.Poisson(1.0), grid)).value.values[0, 5]

    np.testing.assert_allclose(jax.grad(middle)(0.3), 0.5, atol=1e-12)


def test_batches_stop_per_lane():
    grid, a = square()
    rough = jnp.where(jnp.asarray(np.random.default_rng(0).standard_normal(a.values.shape)) > 0, 100.0, 1.0)
    batch = jax.vmap(lambda v: pj.solve(pj.SteadyProblem(E.Darcy(a.with_values(v), 1.0), grid)))(
        jnp.stack([a.values, rough])
    )
    steps = batch.stats["num_steps"]
    assert steps[0] < steps[1] and bool(jnp.all(batch.ok))
    one = pj.solve(pj.SteadyProblem(E.Darcy(a.with_values(rough), 1.0), grid))
    np.testing.assert_allclose(batch.value.values[1], one.value.values, atol=1e-12)


def test_max_steps_never_reports_success():
    grid, a = square()
    problem = pj.SteadyProblem(E.Darcy(a, 1.0), grid)
    for method in (S.ConjugateGradient(), S.GMRES(restart=1)):
        assert not pj.solve(problem, method, max_steps=1, throw=False).ok
    with pytest.raises(S.SolveError, match="max_steps"):
        pj.solve(problem, S.ConjugateGradient(), max_steps=1)
    assert not pj.solve(pj.SteadyProblem(E.SemilinearPoisson(50.0), grid), S.Newton(), max_steps=1, throw=False).ok


def test_conjugate_gradients_report_an_indefinite_operator():
    grid = GRIDS["uniform"]
    k = sample(pj.FunctionField.from_function(lambda x, y: 12 + x, ("x", "y")), grid)
    with pytest.raises(S.SolveError, match="MinimalResidual"):
        pj.solve(pj.SteadyProblem(E.Helmholtz(k, 1.0), grid), S.ConjugateGradient())
    solution = pj.solve(pj.SteadyProblem(E.Helmholtz(k, 1.0), grid))
    assert solution.stats["method"] == "MinimalResidual" and solution.ok


def test_a_system_is_solved_by_small_matrices():
    class Coupled(E.AbstractSteady):
        source: pj.GridField

        def residual(self, u):
            return pj.stack([-laplacian(u[0]) + u[1], -laplacian(u[1]) - u[0]]) - self.source

    grid = GRIDS["sine"]
    exact = pj.GridField.from_function(
        lambda x, y: (jnp.sin(np.pi * x) * jnp.sin(np.pi * y), jnp.sin(2 * np.pi * x) * jnp.sin(np.pi * y)), grid
    )
    zero = pj.GridField(jnp.zeros((2, *grid.shape)), grid)
    source = grid_field(Coupled(zero).residual(exact), grid)
    solution = pj.solve(pj.SteadyProblem(Coupled(source), grid, channels=2))
    assert solution.stats["method"] == "FastTransform"
    np.testing.assert_allclose(solution.value.values, exact.values, atol=1e-12)


def grid_field(u, grid):
    return pj.GridField(u.values, grid)


def test_second_call_does_not_compile(caplog):
    grid, a = square()
    solve = lambda v: pj.solve(pj.SteadyProblem(E.Darcy(a.with_values(v), 1.0), grid)).value.values
    solve(a.values)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        solve(a.values + 1).block_until_ready()
    assert not [r for r in caplog.records if r.getMessage().startswith("Compiling") and "_run" in r.getMessage()]


@pytest.mark.parametrize(
    "make,error,word",
    [
        (lambda: pj.SteadyProblem(E.Burgers(), GRIDS["sine"]), TypeError, "EvolutionProblem"),
        (
            lambda: pj.solve(pj.SteadyProblem(E.Poisson(1.0), GRIDS["sine"]), S.ETDRK4(0.1)),
            TypeError,
            "EvolutionProblem",
        ),
        (lambda: pj.solve(pj.SteadyProblem(E.Poisson(1.0), pj.Grid(x=pj.Uniform(9)))), ValueError, "Dirichlet"),
        (lambda: pj.solve(pj.SteadyProblem(E.Poisson(1.0), GRIDS["sine"]), save_at=[1.0]), ValueError, "time stepping"),
        (
            lambda: pj.solve(pj.SteadyProblem(E.Darcy(square()[1], 1.0), GRIDS["uniform"])),
            ValueError,
            "different grids",
        ),
        (
            lambda: pj.solve(pj.SteadyProblem(E.Darcy(square()[1], 1.0), square()[0]), S.FastTransform()),
            ValueError,
            "ConjugateGradient",
        ),
        (lambda: pj.solve(pj.SteadyProblem(E.Poisson(1.0), GRIDS["sine"]), "cg"), TypeError, "solver object"),
        (
            lambda: pj.solve(pj.SteadyProblem(E.Darcy(square()[1], 1.0), square()[0]), S.ConjugateGradient(rtol=-1.0)),
            ValueError,
            "positive",
        ),
    ],
)
def test_bad_input_is_refused_with_advice(make, error, word):
    with pytest.raises(error, match=word):
        make()
