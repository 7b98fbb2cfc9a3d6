"""Elliptic equations and Robin ends: orders by exact solutions, matrices that SciPy assembles, symmetry, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.calculus import d, diffuse
from pdejax.calculus._differential import cross_derivative, upwind
from pdejax.equations import Biharmonic, LinearElasticity, MongeAmpere, SteadyAdvectionDiffusion
from pdejax.equations._elliptic import Darcy, Helmholtz, Poisson
from pdejax.fields import sample
from pdejax.grids._boundary import Robin
from pdejax.solvers._steady import Unknowns

D, N = pj.Dirichlet(0.0), pj.Neumann(0.0)
F = pj.FunctionField.from_function
XY = ("x", "y")


def square(n, lower=D, upper=D, **options):
    """Unequal sizes, so that exchanged axes cannot hide."""
    ends = {"lower": lower, "upper": upper, **options}
    return pj.Grid(x=pj.Uniform(n, **ends), y=pj.Uniform(n + 2, **ends))


def system(equation, grid, dtype=float, channels=1):
    """A function from flat unknowns to their residual and its matrix, one to the field they make, and zeros."""
    unknown = Unknowns(pj.SteadyProblem(equation, grid, channels), np.dtype(dtype))

    def residual(w):
        out = unknown.residual(w.reshape(unknown.shape)).reshape(-1)
        return out, out

    # One compilation for both.
    both = jax.jit(jax.jacfwd(residual, has_aux=True, holomorphic=dtype is complex))
    field = lambda w: np.asarray(unknown.field(jnp.asarray(w).reshape(unknown.shape)).values)
    return lambda w: tuple(map(np.asarray, both(w)[::-1])), field, jnp.zeros(int(np.prod(unknown.shape)), dtype)


def solved(equation, grid, dtype=float, channels=1, steps=1):
    """Newton's method from zero by dense factorisations: what the discrete equations say, whatever the solver."""
    evaluate, field, w = system(equation, grid, dtype, channels)
    for _ in range(steps):
        residual, matrix = evaluate(w)
        w = w - jnp.asarray(np.linalg.solve(matrix, residual))
    return field(w)


def matrix_of(equation, grid, channels=1):
    evaluate, _, zero = system(equation, grid, channels=channels)
    return evaluate(zero)[1]


def order(error, sizes=(10, 20), centred=False):
    """Observed between two numbers of nodes along x."""
    return np.log(error(sizes[0]) / error(sizes[1])) / np.log((sizes[1] - (not centred)) / (sizes[0] - (not centred)))


def with_source(equation, solution):
    """The equation with the source that makes a function its solution."""
    zero = dataclasses.replace(equation, source=0.0)
    return dataclasses.replace(equation, source=zero.residual(solution))


def bump(x, y):
    return jnp.sin(np.pi * x) * jnp.sin(2 * np.pi * y) * jnp.exp(x - y)


TENSOR = F(lambda x, y: (2 + x, 0.7 * jnp.cos(3 * x * y), 0.7 * jnp.cos(3 * x * y), 1 + y**2), XY)
WIND = F(lambda x, y: (3 - 8 * y, 8 * x - 2), XY)
LINEAR = {
    "tensor, centred": (Darcy(TENSOR), True),
    "transport": (SteadyAdvectionDiffusion(WIND, F(lambda x, y: (2 + x, 1 + y**2), XY)), False),
}


@pytest.mark.parametrize("equation,centred", LINEAR.values(), ids=LINEAR)
def test_second_order_on_uniform_axes(equation, centred):
    exact = F(bump, XY)
    equation = with_source(equation, exact)

    def error(n):
        grid = square(n, centred=centred)
        truth = np.asarray(sample(exact, grid).values)
        return np.linalg.norm(solved(equation, grid) - truth) / np.linalg.norm(truth)

    assert abs(order(error, centred=centred) - 2) < 0.3


def test_clamped_plate():
    """Deflection under a uniform load: 0.00126532 of load times length^4 (Timoshenko & Woinowsky-Krieger 1959, table
    35, with the digits of Evans 1939), by extrapolation of two sizes: of second order. The matrix is symmetric.
    """

    def middle(n):
        axis = pj.Uniform(n, lower=D, upper=D)
        return solved(Biharmonic(1.0, clamped=True), pj.Grid(x=axis, y=axis))[0, n // 2, n // 2]

    coarse, fine = middle(13), middle(25)
    assert abs((4 * fine - coarse) / 3 - 0.00126532) < 2e-6 < abs(fine - 0.00126532)
    matrix = matrix_of(Biharmonic(clamped=True), square(7))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > 0.9


def test_supported_plate_is_two_poisson_problems_and_diagonal_on_sines():
    exact, grid = Biharmonic.example(), pj.Grid(x=pj.Sine(16), y=pj.Sine(17))
    solution = pj.solve(pj.SteadyProblem(exact.equation, grid))
    assert solution.stats["method"] == "FastTransform"
    np.testing.assert_allclose(solution.value.values, sample(exact.solution, grid).values, atol=1e-12)
    grid = square(12)
    moment = solved(Poisson(1.0), grid)
    twice = solved(Poisson(pj.GridField(jnp.asarray(moment), grid)), grid)
    np.testing.assert_allclose(solved(Biharmonic(1.0), grid), twice, rtol=1e-9, atol=1e-12)


def difference(n, h):
    """Central first differences on `n` nodes, zero rows at the ends, where no equation stands."""
    out = sp.diags([-0.5 / h, 0.5 / h], [-1, 1], shape=(n, n)).tolil()
    out[[0, -1]] = 0
    return out.tocsr()


def test_full_tensor_against_an_assembled_matrix():
    """Faces by edge gradients, mixed terms by central differences, built from Kronecker products."""
    n, m = 14, 16
    generator = np.random.default_rng(0)
    root = generator.standard_normal((n, m, 2, 2))
    a = root @ np.swapaxes(root, -1, -2) + 0.05 * np.eye(2)
    hx, hy = 1 / (n - 1), 1 / (m - 1)
    gx = sp.kron(sp.diags([-1 / hx, 1 / hx], [0, 1], shape=(n - 1, n)), sp.eye(m))
    gy = sp.kron(sp.eye(n), sp.diags([-1 / hy, 1 / hy], [0, 1], shape=(m - 1, m)))
    ax = (a[1:, :, 0, 0] + a[:-1, :, 0, 0]) / 2
    ay = (a[:, 1:, 1, 1] + a[:, :-1, 1, 1]) / 2
    cx, cy = sp.kron(difference(n, hx), sp.eye(m)), sp.kron(sp.eye(n), difference(m, hy))
    mixed = sp.diags(a[..., 0, 1].ravel())
    whole = gx.T @ sp.diags(ax.ravel()) @ gx + gy.T @ sp.diags(ay.ravel()) @ gy - cx @ mixed @ cy - cy @ mixed @ cx
    inside = np.zeros((n, m), bool)
    inside[1:-1, 1:-1] = True
    keep = np.flatnonzero(inside)
    matrix = whole.tocsr()[keep][:, keep]
    expected = spla.spsolve(matrix.tocsc(), np.ones(len(keep)))
    grid = square(n)
    channels = jnp.asarray(np.moveaxis(a.reshape(n, m, 4), -1, 0))
    got = solved(Darcy(pj.GridField(channels, grid), 1.0), grid)
    np.testing.assert_allclose(got[0][inside], expected, rtol=1e-9)
    assert np.linalg.eigvalsh(matrix.toarray()).min() > 0


@pytest.mark.parametrize("ends", [(N, N), (D, N), (pj.Periodic(), pj.Periodic())])
def test_full_tensors_are_symmetric_and_positive(ends):
    """Also where they jump: constants alone have no energy, and only without a given value."""
    grid = square(6, *ends)
    root = np.random.default_rng(1).standard_normal((*grid.shape, 2, 2))
    a = np.moveaxis((root @ np.swapaxes(root, -1, -2) + 0.01 * np.eye(2)).reshape(*grid.shape, 4), -1, 0)
    matrix = matrix_of(Darcy(pj.GridField(jnp.asarray(a), grid)), grid)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12 * np.abs(matrix).max())
    values = np.linalg.eigvalsh(matrix)
    assert values[1] > 1e-6
    assert values[0] > 1e-6 if D in ends else abs(values[0]) < 1e-10 * values[-1]


@pytest.mark.slow
def test_no_flow_through_the_walls_of_a_tensor_medium():
    """At Neumann ends of zero the conormal derivative vanishes: second order for a solution that has it so."""
    a = jnp.asarray(((2.0, 0.5), (0.5, 1.0)))
    # Flat enough at all walls for any tensor.
    exact = F(lambda x, y: (x * (1 - x) * y * (1 - y)) ** 2 * jnp.exp(x), XY)
    equation = Darcy(a)

    def error(n):
        grid = square(n, N, N)
        evaluate, field, zero = system(with_source(equation, exact), grid)
        truth = np.asarray(sample(exact, grid).values)
        residual, matrix = evaluate(zero)
        u = field(np.linalg.lstsq(matrix, -residual, rcond=1e-10)[0])
        gap = u - truth
        return np.linalg.norm(gap - gap.mean()) / np.linalg.norm(truth)

    assert order(error, (14, 27)) > 1.75


@pytest.mark.parametrize(
    "alpha,accuracy,centred",
    [(2.0, 2, False), (1.0 - 3.0j, 2, True), (1.0 - 3.0j, 4, False), (2.0, 4, True)],
)
def test_robin_ends_have_the_order_of_the_axis(alpha, accuracy, centred):
    dtype = complex if isinstance(alpha, complex) else float
    rate = 0.7 + (1j if dtype is complex else 0.0)
    wave = lambda x: np.exp(rate * x).astype(dtype)

    def error(n):
        ends = {
            "lower": Robin(alpha, (alpha - rate) * wave(np.zeros(()))),
            "upper": Robin(alpha, (alpha + rate) * wave(np.ones(()))),
        }
        grid = pj.Grid(x=pj.Uniform(n, order=accuracy, centred=centred, **ends))
        exact = wave(grid.axis("x").points)
        source = pj.GridField(jnp.asarray(-(rate**2) * exact)[None], grid)
        return np.abs(solved(Poisson(source), grid, dtype)[0] - exact).max()

    assert abs(order(error, (20, 40), centred) - accuracy) < 0.25


def test_flux_through_a_robin_end_carries_the_coefficient():
    """`-((1 + x) u')' = 0` with u(0) = 0 and `u' + u = 1` at 1: `u = c log(1 + x)`, `c = 1 / (1/2 + log 2)`."""

    def error(n, centred=False):
        grid = pj.Grid(x=pj.Uniform(n, lower=D, upper=Robin(1.0, 1.0), centred=centred))
        x = grid.axis("x").points
        exact = np.log(1 + x) / (0.5 + np.log(2))
        return np.abs(solved(Darcy(F(lambda x: 1 + x, ("x",)), 0.0), grid)[0] - exact).max()

    assert abs(order(error) - 2) < 0.2
    assert abs(order(lambda n: error(n, True), centred=True) - 2) < 0.2


K = 7.0
IMPEDANCE = Robin(-1j * K)


def test_impedance_against_an_assembled_matrix():
    """Reflected second differences with half weights at the ends and `-i k` on the boundary, as in finite elements."""
    n, m, eps = 13, 15, 0.4

    def line(n):
        h = 1 / (n - 1)
        stiffness = sp.diags([-1 / h, 2 / h, -1 / h], [-1, 0, 1], shape=(n, n)).tolil()
        mass, edge = np.full(n, h), np.zeros(n)
        stiffness[0, 0] = stiffness[-1, -1] = 1 / h
        mass[[0, -1]], edge[[0, -1]] = h / 2, 1
        return stiffness.tocsr(), sp.diags(mass), sp.diags(edge)

    (kx, mx, ex), (ky, my, ey) = line(n), line(m)
    mass = sp.kron(mx, my)
    matrix = sp.kron(kx, my) + sp.kron(mx, ky) - (K**2 + 1j * eps) * mass
    matrix = matrix - 1j * K * (sp.kron(ex, my) + sp.kron(mx, ey))
    f = np.random.default_rng(0).standard_normal((n, m))
    expected = spla.spsolve(matrix.tocsc(), mass @ f.ravel()).reshape(n, m)
    grid = square(n, IMPEDANCE, IMPEDANCE)
    got = solved(Helmholtz(K, pj.GridField(jnp.asarray(f)[None], grid), damping=eps), grid, complex)
    np.testing.assert_allclose(got[0], expected, rtol=1e-10, atol=1e-13)


def test_waves_leave_through_an_impedance():
    """A wave sent in at one end leaves at the other: `u = exp(i k x)`, second order, in 2D with a free side."""

    def error(n):
        grid = pj.Grid(x=pj.Uniform(n, lower=pj.Dirichlet(1.0 + 0.0j), upper=IMPEDANCE), y=pj.Fourier(4))
        return np.abs(solved(Helmholtz(K, 0.0), grid, complex)[0] - np.exp(1j * K * grid.mesh()[0])).max()

    assert abs(order(error, (21, 41)) - 2) < 0.1


def test_damped_helmholtz_on_periodic_axes():
    """`u = exp(i (2x + y))` has the symbol `5 - k^2 - i eps`; the residual of a real field is complex."""
    grid, eps = pj.Grid(x=pj.Fourier(8), y=pj.Fourier(9)), F(lambda x, y: 0.3 + 0.1 * jnp.cos(x), XY)
    turn = grid.mesh()[0] * 2 + grid.mesh()[1]
    u = pj.GridField(jnp.asarray(np.exp(1j * turn))[None], grid)
    got = Helmholtz(2.0, 0.0, damping=eps).residual(u).values
    np.testing.assert_allclose(got[0], (1 - 1j * (0.3 + 0.1 * np.cos(grid.mesh()[0]))) * np.exp(1j * turn), atol=1e-12)
    assert jnp.iscomplexobj(Helmholtz(2.0, 0.0, damping=eps).residual(u.real).values)


def test_upwind_against_an_assembled_monotone_matrix():
    n, m, diffusion = 12, 14, 1e-3
    grid = square(n)
    wind = np.asarray(sample(WIND, grid).values)

    def line(n):
        h = 1 / (n - 1)
        back = sp.diags([-1 / h, 1 / h], [-1, 0], shape=(n, n))
        return back, -back.T, sp.diags([-1 / h**2, 2 / h**2, -1 / h**2], [-1, 0, 1], shape=(n, n))

    (bx, fx, lx), (by, fy, ly) = line(n), line(m)
    matrix = diffusion * (sp.kron(lx, sp.eye(m)) + sp.kron(sp.eye(n), ly))
    for c, back, ahead in ((wind[0], sp.kron(bx, sp.eye(m)), sp.kron(fx, sp.eye(m))),
                           (wind[1], sp.kron(sp.eye(n), by), sp.kron(sp.eye(n), fy))):  # fmt: skip
        matrix = matrix + sp.diags(np.maximum(c, 0).ravel()) @ back + sp.diags(np.minimum(c, 0).ravel()) @ ahead
    inside = np.zeros((n, m), bool)
    inside[1:-1, 1:-1] = True
    keep = np.flatnonzero(inside)
    expected = spla.spsolve(matrix.tocsr()[keep][:, keep].tocsc(), np.ones(len(keep)))
    equation = SteadyAdvectionDiffusion(WIND, diffusion, 1.0, upwind=True)
    np.testing.assert_allclose(solved(equation, grid)[0][inside], expected, rtol=1e-10)
    matrix = matrix_of(equation, grid)
    assert np.all(matrix - np.diag(np.diag(matrix)) <= 0) and np.all(np.linalg.inv(matrix) >= -1e-15)


def test_constant_coefficients_are_fields_of_them_and_functions_are_exact():
    u, wind, tensor = F(bump, XY), jnp.asarray((1.5, -2.0)), jnp.asarray(((2.0, 0.7), (0.7, 1.0)))
    constant = lambda numbers: F(lambda x, y: tuple(v + 0 * x for v in np.ravel(numbers)), XY)

    @jax.jit
    def pairs(points):
        on_grid = sample(u, square(7))
        exact = d(u, "x") * 1.5 + d(u, "y") * -2.0
        return (
            (upwind(wind, on_grid).values, upwind(constant(wind), on_grid).values),
            (diffuse(tensor, on_grid).values, diffuse(constant(tensor), on_grid).values),
            (diffuse(jnp.diag(tensor), on_grid).values, diffuse(constant(np.diag(tensor)), on_grid).values),
            (upwind(wind, u)(points), exact(points)),
        )

    for got, wanted in pairs(jnp.asarray([[0.2, 0.3]])):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-10)


SOLID = LinearElasticity(F(lambda x, y: 1 + x * y, XY), F(lambda x, y: 1 + 0.5 * x, XY))


@pytest.mark.parametrize("ends", [(D, D), (D, N)])
def test_elasticity_is_symmetric_and_positive_also_beside_free_surfaces(ends):
    matrix = matrix_of(SOLID, square(6, *ends), channels=2)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-11 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > 1e-3


@pytest.mark.slow
def test_elasticity_is_of_second_order():
    exact = F(lambda x, y: (bump(x, y), jnp.sin(2 * np.pi * x) * jnp.sin(np.pi * y)), XY)
    equation = with_source(SOLID, exact)

    def error(n):
        grid = square(n)
        truth = np.asarray(sample(exact, grid).values)
        return np.linalg.norm(solved(equation, grid, channels=2) - truth) / np.linalg.norm(truth)

    assert abs(order(error) - 2) < 0.3


def test_stretched_bar_with_free_sides():
    """Uniaxial plane stress is linear in the coordinates, hence exact: strain 1 along x, `-lambda / (lambda + 2 mu)`
    across it; no traction on the sides, where the slope given is zero and that of the solution is not.
    """
    lame, shear, n = 1.5, 0.8, 7
    free = pj.Uniform(9, lower=N, upper=N)
    x, y = pj.Grid(x=pj.Uniform(n), y=free).mesh()
    exact = np.stack([x, -lame / (lame + 2 * shear) * (y - 0.5)])
    ends = {"lower": pj.Dirichlet(jnp.asarray(exact[:, 0])), "upper": pj.Dirichlet(jnp.asarray(exact[:, -1]))}
    grid = pj.Grid(x=pj.Uniform(n, **ends), y=free)
    np.testing.assert_allclose(solved(LinearElasticity(lame, shear, 0.0), grid, channels=2), exact, atol=1e-12)


@pytest.mark.slow
def test_elasticity_by_transforms_on_periodic_axes():
    grid = pj.Grid(x=pj.Fourier(9), y=pj.Fourier(11))
    exact = pj.GridField.from_function(lambda x, y: (jnp.sin(x) * jnp.cos(y), jnp.cos(x + y)), grid)
    source = LinearElasticity(2.0, 1.5, 0.0).residual(exact)
    problem = pj.SteadyProblem(LinearElasticity(2.0, 1.5, pj.GridField(source.values, grid)), grid, channels=2)
    solution = pj.solve(problem)
    assert solution.stats["method"] == "FastTransform"
    # Displacements as a whole are in the null space.
    shift = jnp.mean(solution.value.values, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(solution.value.values - shift, exact.values, atol=1e-12)


@pytest.mark.slow
def test_monge_ampere_converges_from_zero_to_the_convex_branch():
    """`u = exp(|x|^2 / 2)`, `f = (1 + |x|^2) exp(|x|^2)` (Benamou, Froese & Oberman 2010, section 5): second order."""
    exact = F(lambda x, y: jnp.exp((x**2 + y**2) / 2), XY)
    equation = MongeAmpere(F(lambda x, y: (1 + x**2 + y**2) * jnp.exp(x**2 + y**2), XY))

    def error(n):
        ends = lambda m: {
            "lower": pj.Dirichlet(jnp.exp(jnp.linspace(0, 1, m) ** 2 / 2)),
            "upper": pj.Dirichlet(jnp.exp((1 + jnp.linspace(0, 1, m) ** 2) / 2)),
        }
        grid = pj.Grid(x=pj.Uniform(n, **ends(n + 2)), y=pj.Uniform(n + 2, **ends(n)))
        return np.abs(solved(equation, grid, steps=7) - np.asarray(sample(exact, grid).values)).max()

    assert abs(order(error, (8, 15)) - 2) < 0.2


def test_operators_of_second_order_reach_one_node():
    """What multigrid relies on: the response to a unit value stays within its neighbours."""
    grid = square(7, pj.grids.Held(), pj.grids.Held())

    @jax.jit
    def responses(values):
        unit = pj.GridField(values, grid)
        cross = cross_derivative(TENSOR[1], unit, "x", "y")
        return [field.values[0] for field in (diffuse(TENSOR, unit), cross, upwind(WIND, unit))]

    for values in responses(jnp.zeros((1, 7, 9)).at[0, 3, 4].set(1.0)):
        assert np.all(np.abs(np.argwhere(np.asarray(values)) - (3, 4)) <= 1)


def real(equation, grid):
    return equation.residual(sample(F(bump, XY), grid))


@pytest.mark.parametrize(
    "make,word",
    [
        (lambda: Darcy(jnp.asarray(((1.0, 2.0), (2.0, 1.0)))), "positive definite"),
        (lambda: Darcy(jnp.asarray(((1.0, 0.5), (0.2, 1.0)))), "not symmetric"),
        (lambda: Darcy(sample(-TENSOR, square(5))), "positive definite"),
        (lambda: SteadyAdvectionDiffusion(diffusivity=-1.0), "positive diffusivity"),
        (lambda: LinearElasticity(shear=0.0), "positive shear"),
        (lambda: MongeAmpere(-1.0), "positive source"),
        (lambda: real(Darcy(F(lambda x, y: (x, y, x), XY)), square(5)), "1, 2 or 4 entries"),
        (lambda: real(LinearElasticity(), square(5)), "channels=2"),
        (lambda: real(Biharmonic(clamped=True), square(6, centred=True)), "closed Uniform"),
        (lambda: real(Biharmonic(), pj.Grid(x=pj.Chebyshev(9, lower=D, upper=D), y=pj.Sine(9))), "Sine"),
        (lambda: real(Helmholtz(K), square(6, IMPEDANCE, IMPEDANCE)), "as_complex"),
        (lambda: real(Darcy(TENSOR), square(7, N, N, centred=True)), "order 2"),
        (lambda: upwind(1.0, sample(F(bump, XY), pj.Grid(x=pj.Sine(9), y=pj.Sine(9)))), "Uniform axes"),
        (lambda: upwind(jnp.ones(3), sample(F(bump, XY), square(5))), "one channel per space axis"),
        (lambda: cross_derivative(1.0, sample(F(bump, XY), square(5)), "x", "x"), "two axes"),
        (lambda: MongeAmpere().residual(F(lambda x: x, ("x",))), "two space axes"),
    ],
)
def test_bad_input_is_refused_with_advice(make, word):
    with pytest.raises(ValueError, match=word):
        make()
