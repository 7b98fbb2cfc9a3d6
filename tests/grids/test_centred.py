"""Uniform axes whose nodes are cell centres: conditions at the outer faces."""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import d, diffuse, harmonic_mean, inner, integrate, norm
from pdejax.fields import sample
from pdejax.verify import observed_order

W = 2 * np.pi
VALUE, SLOPE = np.sin(0.3), W * np.cos(0.3)
ENDS = {
    "periodic": (pj.Periodic(), pj.Periodic()),
    "free": (pj.Free(), pj.Free()),
    "dirichlet": (pj.Dirichlet(VALUE), pj.Dirichlet(VALUE)),
    "neumann": (pj.Neumann(SLOPE), pj.Neumann(SLOPE)),
    "mixed": (pj.Neumann(SLOPE), pj.Dirichlet(VALUE)),
}
U = pj.FunctionField.from_function(lambda x: jnp.sin(W * x + 0.3), ("x",))
A = pj.FunctionField.from_function(lambda x: 2 + jnp.cos(W * x), ("x",))
OPERATIONS = {
    "first": lambda u: d(u, "x"),
    "second": lambda u: d(u, "x", 2),
    "third": lambda u: d(u, "x", 3),
    "flux": lambda u: diffuse(A, u),
}


def grid_of(n, ends, order=2, **axis):
    return pj.Grid(x=pj.Uniform(n, lower=ends[0], upper=ends[1], order=order, centred=True, **axis))


@pytest.mark.parametrize("order", [2, 4, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_design_order(order, ends, operation):
    apply = OPERATIONS[operation]
    if operation == "flux" and order > 2 and ends != "periodic":
        with pytest.raises(ValueError, match="has order 2"):
            apply(sample(U, grid_of(32, ENDS[ends], order)))
        return

    def error(n):
        grid = grid_of(n, ENDS[ends], order)
        exact = sample(apply(U), grid)
        return norm(exact.with_values(apply(sample(U, grid)).values - exact.values))

    # Reflection is exact to first order at a Neumann end and to none at a Dirichlet end (Uniform's docstring): in the
    # mean square one such node costs half an order less than that.
    expected = order
    if order == 2 and operation in ("second", "flux"):
        expected = {"neumann": 1.5, "dirichlet": 0.5, "mixed": 0.5}.get(ends, 2)
    assert observed_order(error, (32, 64, 128) if order == 6 else (48, 96, 192)) > expected - 0.15


@pytest.mark.parametrize("ends", ["dirichlet", "neumann", "mixed"])
def test_cells_agree_with_centred_waves_on_the_geometry(ends):
    axis = grid_of(7, ENDS[ends], length=3.0, start=-1.0).axis("x")
    wave = pj.Cosine(7, 3.0, -1.0, centred=True)
    np.testing.assert_allclose(axis.points, wave.points, rtol=1e-15)
    np.testing.assert_allclose(axis.weights, wave.weights, rtol=1e-15)
    assert axis.with_size(9).centred and axis.free.centred and axis.refined(3).n == 21
    assert np.all(np.isclose(axis.refined(3).points[1::3], axis.points))
    with pytest.raises(ValueError, match="odd factors"):
        axis.refined(2)


def test_closed_and_centred_axes_do_not_mix():
    closed, centred = pj.Grid(x=pj.Uniform(8)), grid_of(8, ENDS["free"])
    with pytest.raises(ValueError, match="different grids"):
        pj.GridField(jnp.ones((1, 8)), closed) + pj.GridField(jnp.ones((1, 8)), centred)


def test_interpolation_reaches_the_faces():
    grid = grid_of(7, ENDS["free"], length=2.0, start=1.0)
    square = pj.GridField(jnp.asarray(grid.mesh() ** 2), grid)
    np.testing.assert_allclose(square(jnp.asarray([[1.0], [1.9], [3.0]]))[:, 0], [1.0, 3.61, 9.0], rtol=1e-12)


@pytest.mark.parametrize("mean", [None, harmonic_mean])
def test_flux_form_is_symmetric_and_keeps_heat_between_insulating_walls(mean):
    rng, options = np.random.default_rng(0), {} if mean is None else {"mean": mean}
    flat = grid_of(24, (pj.Neumann(0.0), pj.Neumann(0.0)))
    held = grid_of(24, (pj.Dirichlet(0.0), pj.Neumann(0.0)))
    for grid in (flat, held):
        a, u, v = (pj.GridField(jnp.asarray(rng.uniform(1, 9, (1, 24))), grid) for _ in range(3))
        np.testing.assert_allclose(inner(diffuse(a, u, **options), v), inner(u, diffuse(a, v, **options)), rtol=1e-12)
    np.testing.assert_allclose(integrate(diffuse(a, u.on(flat), **options)), 0, atol=1e-9)


@pytest.mark.parametrize("ends", ["dirichlet", "mixed"])
@pytest.mark.parametrize("order", [2, 4])
def test_steady_solutions_have_the_design_order(ends, order):
    source = pj.FunctionField.from_function(lambda x: W**2 * jnp.sin(W * x + 0.3), ("x",))

    def error(n):
        grid = grid_of(n, ENDS[ends], order)
        solution = pj.solve(pj.SteadyProblem(pj.equations.Poisson(source=sample(source, grid)), grid))
        return norm(solution.value.with_values(solution.value.values - sample(U, grid).values))

    assert observed_order(error, (128, 256)) > order - 0.15


@pytest.mark.parametrize("ends,wave", [("dirichlet", jnp.sin), ("neumann", jnp.cos)])
def test_heat_decays_at_the_rate_of_the_reflected_wave(ends, wave):
    # The centred sines and cosines are eigenfunctions of the reflected second difference.
    condition = {"dirichlet": pj.Dirichlet(0.0), "neumann": pj.Neumann(0.0)}[ends]
    grid = grid_of(16, (condition, condition))
    u0 = pj.GridField.from_function(lambda x: wave(3 * jnp.pi * x), grid)
    rate = -4 * 16**2 * np.sin(3 * np.pi / 32) ** 2
    out = pj.solve(pj.EvolutionProblem(pj.equations.Diffusion(), u0, t1=0.01), pj.solvers.ETDRK4(dt=0.005)).value
    np.testing.assert_allclose(out.values, u0.values * np.exp(rate * 0.01), rtol=1e-10, atol=1e-12)
