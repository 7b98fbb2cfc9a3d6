"""Lowest modes of self-adjoint equations: exact spectra, SciPy, derivatives, batches, honest failure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.calculus import inner
from pdejax.equations import LinearElasticity, SteadyAdvectionDiffusion
from pdejax.equations._elliptic import Darcy, Poisson, ScreenedPoisson
from pdejax.solvers._eigen import modes

D = pj.Dirichlet(0.0)
SQUARE = np.sort([i**2 + j**2 for i in range(1, 9) for j in range(1, 9)])[:6] * np.pi**2


def problem(equation, n=14, axis=pj.Uniform, channels=1, **ends):
    ends = ends or ({"lower": D, "upper": D} if axis is pj.Uniform else {})
    return pj.SteadyProblem(equation, pj.Grid(x=axis(n, **ends), y=axis(n + 2, **ends)), channels)


def test_laplacian_of_the_square_with_its_multiplicities():
    found = modes(problem(Poisson(1.0), axis=pj.Sine))
    assert found.ok and found.num_steps < 20
    np.testing.assert_allclose(found.eigenvalues, SQUARE, rtol=1e-10)
    lowest = jax.tree.map(lambda leaf: leaf[0], found.value)
    x, y = lowest.grid.mesh()
    exact = 2 * np.sin(np.pi * x) * np.sin(np.pi * y)
    np.testing.assert_allclose(np.abs(lowest.values[0]), np.abs(exact), atol=1e-5)
    gram = jax.vmap(lambda u: jax.vmap(lambda v: inner(u, v)[0])(found.value))(found.value)
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-10)


def test_constants_are_the_lowest_mode_between_walls_of_zero_slope():
    walls = {"lower": pj.Neumann(), "upper": pj.Neumann()}
    found = modes(problem(Poisson(1.0), **walls), 3)
    waves = lambda n: (2 * (n - 1) * np.sin(np.pi / 2 / (n - 1))) ** 2
    np.testing.assert_allclose(found.eigenvalues, [0, waves(14), waves(16)], rtol=1e-9, atol=1e-10)


def darcy_matrix(a):
    """Five-point flux form with arithmetic face means on the inner nodes, by Kronecker products."""
    n, m = a.shape
    gx = sp.kron(sp.diags([-(n - 1.0), n - 1.0], [0, 1], shape=(n - 1, n)), sp.eye(m))
    gy = sp.kron(sp.eye(n), sp.diags([-(m - 1.0), m - 1.0], [0, 1], shape=(m - 1, m)))
    faces = ((a[1:] + a[:-1]) / 2, (a[:, 1:] + a[:, :-1]) / 2)
    whole = sum(g.T @ sp.diags(f.ravel()) @ g for g, f in zip((gx, gy), faces, strict=True))
    inside = np.zeros((n, m), bool)
    inside[1:-1, 1:-1] = True
    keep = np.flatnonzero(inside)
    return whole.tocsr()[keep][:, keep].tocsc(), keep


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_darcy_and_a_well_against_scipy(dtype):
    """A permeability that jumps, and a well in one corner that brings the lowest eigenvalue below zero."""
    shape = (14, 16)
    a = np.where(np.random.default_rng(0).standard_normal(shape) > 0, 12.0, 3.0)
    well = np.where(np.add.outer(np.arange(14), np.arange(16)) < 10, -600.0, 0.0)

    class Both(pj.equations.AbstractSteady):
        flow: Darcy
        potential: pj.GridField

        def residual(self, u):
            return self.flow.residual(u) + self.potential * u

    grid = problem(Poisson(1.0)).grid
    field = lambda values: pj.GridField(jnp.asarray(values, dtype)[None], grid)
    matrix, keep = darcy_matrix(a)
    for potential in (0 * well, well):
        expected = spla.eigsh(matrix + sp.diags(potential.ravel()[keep]), k=4, sigma=-1000, which="LM")[0]
        found = modes(pj.SteadyProblem(Both(Darcy(field(a)), field(potential)), grid), 4)
        assert found.ok and found.eigenvalues.dtype == dtype and bool(found.eigenvalues[0] > 0) == (not potential.any())
        np.testing.assert_allclose(found.eigenvalues, np.sort(expected), rtol=1e-9 if dtype == jnp.float64 else 1e-4)


def test_oscillator():
    """`-u'' + x^2 u` on a long interval: 1, 3, 5, 7 (Schroedinger 1926)."""
    grid = pj.Grid(x=pj.Sine(64, length=16.0, start=-8.0))
    x = pj.FunctionField.from_function(lambda x: x, ("x",))
    found = modes(pj.SteadyProblem(ScreenedPoisson(x), grid), 4)
    np.testing.assert_allclose(found.eigenvalues, [1, 3, 5, 7], rtol=1e-9)


@pytest.mark.slow
def test_vibrations_of_a_periodic_solid():
    """Two waves in each direction at zero stiffness (translations), then shear waves before pressure waves."""
    grid = pj.Grid(x=pj.Fourier(7), y=pj.Fourier(9))
    found = modes(pj.SteadyProblem(LinearElasticity(1.0, 1.0), grid, channels=2), 6)
    np.testing.assert_allclose(found.eigenvalues, [0, 0, 1, 1, 1, 1], atol=1e-9)


def lowest(values, grid):
    return modes(pj.SteadyProblem(Darcy(pj.GridField(values, grid)), grid), 3, rtol=1e-9).eigenvalues


def test_derivatives_and_batches():
    """Against central differences; the rectangle is long enough for simple eigenvalues."""
    grid = pj.Grid(x=pj.Uniform(9, lower=D, upper=D), y=pj.Uniform(12, length=1.5, lower=D, upper=D))
    a = jnp.asarray(1 + np.random.default_rng(0).uniform(size=(1, *grid.shape)))
    way = jnp.asarray(np.random.default_rng(1).standard_normal(a.shape))
    h = 1e-4
    ahead, behind = jax.jit(jax.vmap(lambda v: lowest(v, grid)))(jnp.stack([a + h * way, a - h * way]))
    slopes = jax.jit(jax.jacrev(lambda v: lowest(v, grid)))(a)
    expected = (ahead - behind) / (2 * h)
    np.testing.assert_allclose(jnp.sum(slopes * way[None], axis=(1, 2, 3)), expected, rtol=1e-5)


@pytest.mark.slow
def test_lanes_of_a_batch_stop_by_themselves():
    grid = problem(Poisson(1.0)).grid
    rough = np.where(np.random.default_rng(0).standard_normal(grid.shape) > 0, 100.0, 1.0)
    solve = lambda v: modes(pj.SteadyProblem(Darcy(pj.GridField(v, grid)), grid), 2)
    batch = jax.jit(jax.vmap(solve))(jnp.stack([jnp.ones((1, *grid.shape)), jnp.asarray(rough)[None]]))
    assert batch.num_steps[0] < batch.num_steps[1] and jnp.all(batch.ok)
    matrix, _ = darcy_matrix(rough)
    np.testing.assert_allclose(batch.eigenvalues[1], np.sort(spla.eigsh(matrix, k=2, sigma=0)[0]), rtol=1e-9)


def test_one_step_is_no_success():
    assert not modes(problem(Poisson(1.0)), 2, max_steps=1, throw=False).ok
    with pytest.raises(pj.solvers.SolveError, match="maximum"):
        modes(problem(Poisson(1.0)), 2, max_steps=1)


@pytest.mark.parametrize(
    "make,error,word",
    [
        (lambda: modes(Poisson(1.0)), TypeError, "SteadyProblem"),
        (lambda: modes(problem(Poisson(1.0)), 0), ValueError, "count=1"),
        (lambda: modes(problem(Poisson(1.0), n=5), 20), ValueError, "more nodes"),
        (lambda: modes(problem(Poisson(1.0)), rtol=0.0), ValueError, "rtol=1e-6"),
        (lambda: modes(problem(SteadyAdvectionDiffusion())), ValueError, "self-adjoint"),
    ],
)
def test_bad_input_is_refused_with_advice(make, error, word):
    with pytest.raises(error, match=word):
        make()
