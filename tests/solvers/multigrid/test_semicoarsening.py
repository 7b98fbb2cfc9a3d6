"""Domain splitting: exact where theory says so, small errors and few iterations elsewhere."""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.fields import FunctionField, sample
from pdejax.solvers.multigrid._semicoarsening import restrict, semicoarsen_merge, semicoarsened

ZERO = pj.Dirichlet(0.0)


def square(*shape):
    return pj.Grid(**{name: pj.Uniform(n, lower=ZERO, upper=ZERO) for name, n in zip("xyz", shape, strict=False)})


def poisson(source):
    return lambda grid: pj.solve(pj.SteadyProblem(pj.equations.Poisson(source), grid)).value


@pytest.mark.parametrize("dims", [2, 3])
def test_merged_guess_is_far_better_than_the_coarse_solution(dims):
    grid, names = square(*(33, 31, 29)[:dims]), ("x", "y", "z")[:dims]
    source = FunctionField.from_function(lambda *x: jnp.exp(-20 * sum((c - 0.4) ** 2 for c in x)), names)
    solve = poisson(source)
    fine = solve(grid).values
    distance = lambda u: float(jnp.linalg.norm((u - fine).ravel()) / jnp.linalg.norm(fine.ravel()))
    coarse = solve(grid.with_shape((9,) * dims)).resample(grid).values
    assert distance(semicoarsen_merge(solve, grid, 9).values) < distance(coarse) / 10


def test_exact_where_one_axis_needs_no_nodes():
    # Linear in y: the grid that is coarse along y has the fine solution, the other two cancel.
    linear = pj.Uniform(17, lower=ZERO, upper=pj.Dirichlet(1.0))
    grid = pj.Grid(x=pj.Uniform(19, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0)), y=linear)
    merged = semicoarsen_merge(poisson(0.0), grid, 5)
    np.testing.assert_allclose(merged.values[0], np.broadcast_to(grid.mesh()[1], grid.shape), atol=1e-6)


def test_correction_inverts_on_what_the_coarse_grids_see():
    grid = square(25, 23)
    smooth = sample(FunctionField.from_function(lambda x, y: jnp.sin(np.pi * x) * jnp.sin(np.pi * y), ("x", "y")), grid)
    inverse = lambda g: lambda r: poisson(r.on(g))(g)
    u = semicoarsened(inverse, grid, 9)(smooth)
    assert float(jnp.abs(u.values - poisson(smooth)(grid).values).max() / jnp.abs(u.values).max()) < 1e-3


def test_restriction_is_the_transpose_of_interpolation():
    fine, coarse = square(13, 11), square(7, 5)
    rng = np.random.default_rng(0)
    u, v = (pj.GridField(jnp.asarray(rng.standard_normal((2, *g.shape))), g) for g in (fine, coarse))
    left = jnp.sum(u.values * v.resample(fine).values * fine.weights()[None])
    right = jnp.sum(restrict(u, coarse).values * v.values * coarse.weights()[None])
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_refuses_grids_that_are_not_coarser():
    with pytest.raises(ValueError, match="coarse=3"):
        semicoarsen_merge(poisson(1.0), square(9, 10), 9)
