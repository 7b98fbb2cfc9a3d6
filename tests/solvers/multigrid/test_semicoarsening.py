"""Domain splitting: exact where theory says so, small errors and few iterations elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import inverse_laplacian
from pdejax.fields import FunctionField, sample
from pdejax.solvers.multigrid._semicoarsening import restrict, semicoarsen_merge, semicoarsened

ZERO = pj.Dirichlet(0.0)


def square(*shape):
    return pj.Grid(**{name: pj.Uniform(n, lower=ZERO, upper=ZERO) for name, n in zip("xyz", shape, strict=False)})


def poisson(source):
    """The solution operator of `-lap u = f`, zero at the ends; direct and uncompiled."""
    return lambda grid: -inverse_laplacian(sample(source, grid))


@pytest.mark.parametrize("dims", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_merged_guess_is_far_better_than_the_coarse_solution(dims):
    grid, names = square(*(33, 31, 29)[:dims]), ("x", "y", "z")[:dims]
    source = FunctionField.from_function(lambda *x: jnp.exp(-20 * sum((c - 0.4) ** 2 for c in x)), names)
    solve = poisson(source)

    @jax.jit
    def distances():
        fine, coarse = solve(grid).values, solve(grid.with_shape((9,) * dims)).resample(grid).values
        return [jnp.linalg.norm((u - fine).ravel()) for u in (semicoarsen_merge(solve, grid, 9).values, coarse)]

    merged, coarse = distances()
    assert merged < coarse / 10


def test_exact_where_one_axis_needs_no_nodes():
    # Linear in y: the grid that is coarse along y has the fine solution, the other two cancel.
    linear = pj.Uniform(17, lower=ZERO, upper=pj.Dirichlet(1.0))
    grid = pj.Grid(x=pj.Uniform(19, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0)), y=linear)
    problem = lambda g: pj.SteadyProblem(pj.equations.Poisson(0.0), g)
    merged = semicoarsen_merge(lambda g: pj.solve(problem(g), pj.solvers.ConjugateGradient()).value, grid, 5)
    np.testing.assert_allclose(merged.values[0], np.broadcast_to(grid.mesh()[1], grid.shape), atol=1e-6)


def test_correction_inverts_on_what_the_coarse_grids_see():
    grid = square(25, 23)
    smooth = sample(FunctionField.from_function(lambda x, y: jnp.sin(np.pi * x) * jnp.sin(np.pi * y), ("x", "y")), grid)
    inverse = lambda g: lambda r: -inverse_laplacian(r)
    u = jax.jit(lambda r: semicoarsened(inverse, grid, 9)(r))(smooth)
    assert float(jnp.abs(u.values + inverse_laplacian(smooth).values).max() / jnp.abs(u.values).max()) < 1e-3


def test_restriction_is_the_transpose_of_interpolation():
    fine, coarse = square(13, 11), square(7, 5)
    rng = np.random.default_rng(0)
    u, v = (pj.GridField(jnp.asarray(rng.standard_normal((2, *g.shape))), g) for g in (fine, coarse))
    v = pj.GridField(jnp.pad(v.values[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1))), coarse)
    left = jnp.sum(u.values * v.resample(fine).values * fine.weights()[None])
    right = jnp.sum(restrict(u, coarse).values * v.values * coarse.weights()[None])
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_refuses_grids_that_are_not_coarser():
    with pytest.raises(ValueError, match="coarse=3"):
        semicoarsen_merge(poisson(1.0), square(9, 10), 9)
