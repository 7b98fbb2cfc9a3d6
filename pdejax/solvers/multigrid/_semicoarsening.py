"""Domain splitting: a fine solution from solves on grids that are coarse along some axes each."""

from collections.abc import Callable
from itertools import product

import jax.numpy as jnp
from jaxtyping import Array

from ...fields import GridField
from ...grids import Grid


def semicoarsen_merge(solve: Callable[[Grid], GridField], grid: Grid, coarse: int) -> GridField:
    """A guess on the grid, merged from solves on anisotropic grids with `coarse` nodes along some axes.

    With `C_i` the solution on the grid that is coarse along axis i, interpolated, `1 - prod_i (1 - C_i)`: in the plane
    `u = P_y u_(N,m) + P_x u_(m,N) - P_x P_y u_(m,m)`. The errors of coarsening one axis at a time cancel, and what is
    left is their product (the combination technique: Griebel, Schneider & Zenger 1992; Delvos 1982, Boolean sums).
    All `2^d - 1` solves are independent, each with at most `d - 1` long axes. Time may be one of the axes.

        zero = pj.Dirichlet(0.0)
        grid = pj.Grid(x=pj.Uniform(65, lower=zero, upper=zero), y=pj.Uniform(65, lower=zero, upper=zero))
        guess = semicoarsen_merge(lambda g: pj.solve(pj.SteadyProblem(equation, g)).value, grid, 9)

    **Arguments:** `solve`: the solution of the equation on a grid with the same axes and other sizes; `grid`: the fine
    grid of `Uniform` axes; `coarse`: nodes along a coarse axis.

    **Raises** `ValueError` unless `coarse` is smaller than every size of the grid.
    """
    parts = [sign * solve(small).resample(grid).values for sign, small in _parts(grid, coarse)]
    return GridField(sum(parts[1:], parts[0]), grid)


def semicoarsened(
    inverse: Callable[[Grid], Callable[[GridField], GridField]], grid: Grid, coarse: int
) -> Callable[[GridField], GridField]:
    """The correction `r -> sum_S (-1)^(|S|+1) P_S A_S^-1 R_S r` of a residual, merged as in `semicoarsen_merge`.

    `inverse(g)` is called once for every anisotropic grid, to factorise the linear operator there, and returns the
    solution for a right-hand side on g. Restrictions are the weighted transposes of the interpolations, so that the
    correction is symmetric in the quadrature's inner product if the inverses are. Smooth a residual before, and the
    error after: the correction does not see what oscillates along all axes.

    **Raises** `ValueError` as `semicoarsen_merge`.
    """
    solvers = [(sign, small, inverse(small)) for sign, small in _parts(grid, coarse)]

    def correct(r: GridField) -> GridField:
        parts = [sign * solve(restrict(r, small)).resample(grid).values for sign, small, solve in solvers]
        return GridField(sum(parts[1:], parts[0]), grid)

    return correct


def restrict(field: GridField, grid: Grid) -> GridField:
    """A residual as weighted means on a coarser grid: the transpose of interpolation in the inner products of the
    quadratures, and zero at the nodes that Dirichlet conditions give.
    """
    values, first = field.values, field.values.ndim - len(grid.axes)
    for i, (fine, coarse) in enumerate(zip(field.grid.axes, grid.axes, strict=True)):
        if fine.n != coarse.n:
            values = _weigh(values, first + i, fine, coarse)
        for at, _ in coarse.known_ends:
            values = values.at[(slice(None),) * (first + i) + (at,)].set(0)
    return GridField(values, grid)


def _weigh(values: Array, dim: int, fine, coarse) -> Array:
    matrix = coarse.basis(fine.points) * fine.weights[:, None] / coarse.weights[None]
    out = jnp.tensordot(values, matrix.astype(values.dtype), axes=((dim,), (0,)), precision="highest")
    return jnp.moveaxis(out, -1, dim)


def _parts(grid: Grid, coarse: int) -> list[tuple[float, Grid]]:
    """Signs and grids: coarse along every non-empty set of axes."""
    if not 1 < coarse < min(grid.shape):
        raise ValueError(
            f"a coarse axis has fewer nodes than the fine ones and at least two, got coarse={coarse} for a grid of "
            f"{grid.shape}; write coarse={max(2, round(min(grid.shape) ** 0.5))}."
        )
    choices = [choice for choice in product((False, True), repeat=len(grid.axes)) if any(choice)]
    shapes = [tuple(coarse if c else n for c, n in zip(choice, grid.shape, strict=True)) for choice in choices]
    return [(-1.0 if sum(c) % 2 == 0 else 1.0, grid.with_shape(s)) for c, s in zip(choices, shapes, strict=True)]
