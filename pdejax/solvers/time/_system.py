"""An evolution problem as ordinary differential equations for an array."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...equations import AbstractEvolution
from ...fields import Eigenbasis, GridField
from ...grids import Fourier, Grid, Uniform
from .._problem import EvolutionProblem, homogeneous, unknown_nodes


class ModalSystem(eqx.Module):
    """`v' = L v + N(v, t)` for the modes `v` of the unknown nodes, in which `L` is diagonal where it can be.

    Values and slopes that boundary conditions give are imposed when a field is made of the modes; what they add to the
    linear part is a constant of `N`.
    """

    problem: EvolutionProblem
    has_data: bool = eqx.field(static=True)

    @property
    def basis(self) -> Eigenbasis:
        """The modes."""
        return Eigenbasis(homogeneous(self.problem.u0.grid))

    def start(self) -> Array:
        """Modes of the initial field."""
        return self.basis.forward(self.problem.u0)

    def field(self, v: Array) -> GridField:
        """The field of modes `v`."""
        u0 = self.problem.u0
        u = self.basis.backward(v, u0.is_real)
        return imposed(u, u0.grid) if self.has_data else u

    def nonlinear(self) -> Callable[[Array, Array], Array]:
        """`N(v, t)`, traced once for all stages of a step."""
        equation, forward = self.problem.equation, self.basis.forward
        rate = jax.jit(lambda v, t: forward(equation.nonlinear(self.field(v), t)), inline=True)
        if not self.has_data:
            return rate
        given = forward(equation.linear(self.field(jnp.zeros_like(self.start()))))
        return lambda v, t: given + rate(v, t)


class NodalSystem(eqx.Module):
    """`v' = f(v, t)` for the coefficients of the field on any grid; nodes fixed by Dirichlet conditions stand still."""

    problem: EvolutionProblem

    def start(self) -> Array:
        """Coefficients of the initial field."""
        return self.problem.u0.coefficients

    def field(self, v: Array) -> GridField:
        """The field of coefficients `v`."""
        return GridField.from_coefficients(v, self.problem.u0.grid, self.problem.u0.is_real)

    def rate(self, v: Array, t: Array) -> Array:
        """`f(v, t)`."""
        return self._standing(self.problem.equation.tendency(self.field(v), t))

    def linear(self, v: Array, t: Array) -> Array:
        """The part of `f` that is linear."""
        return self._standing(self.problem.equation.linear(self.field(v)))

    def nonlinear(self, v: Array, t: Array) -> Array:
        """The rest of `f`."""
        return self._standing(self.problem.equation.nonlinear(self.field(v), t))

    def _standing(self, u: GridField) -> Array:
        grid = self.problem.u0.grid
        free = unknown_nodes(grid)
        if free is None:
            return grid.symmetrised(u.coefficients) if u.is_real else u.coefficients
        values = u.values
        return grid.forward(jnp.where(free, values, jnp.zeros((), values.dtype)))


def back_on(u: GridField, grid: Grid) -> GridField:
    """A field of the working grid on the grid of the user, as node values."""
    return (u.with_grid(grid) if u.grid.same_nodes(grid) else u.resample(grid)).as_values()


def imposed(u: GridField, grid: Grid) -> GridField:
    """The field on `grid` with its nodes at Dirichlet ends set to the given values."""
    values = u.values
    for i, axis in enumerate(grid.axes):
        if isinstance(axis, Uniform):
            values = axis.impose(values, values.ndim - len(grid.axes) + i)
    return GridField(values, grid)


def working_grid(grid: Grid, dealias: float) -> Grid:
    """The grid on which a problem is stepped: products dealiased by `dealias` unless the grid says how.

    Where products are dealiased by truncation (a factor below one), the steps keep only the modes that are kept, and
    products go to the original nodes: the same numbers with less than half the work in two dimensions. On one axis a
    third of the work is less than what padding costs (1.15 times the time of a rollout on CPU), and modes are masked.
    """
    if not grid.dealiases and dealias != 1:
        grid = grid.with_dealias(dealias)
    return grid.with_axes(map(_truncated, grid.axes)) if len(grid.axes) > 1 else grid


def on_grid(problem: EvolutionProblem, grid: Grid) -> EvolutionProblem:
    """The problem on another grid of the same axes: its initial field, and fields of its equation on the same nodes.

    Modes that the products of the grid do not reach are left out: no nonlinear term would act on them, and what grows
    linearly would grow for ever.
    """
    u0, equation = problem.u0, problem.equation
    if not all(a is b for a, b in zip(grid.axes, u0.grid.axes, strict=True)):
        u0, equation = _moved(u0, u0.grid, grid), moved_equation(problem, grid)
    if grid.dealiases:
        u0 = u0.with_coefficients(grid.reached_by_products(u0.coefficients, u0.is_real))
    return dataclasses.replace(problem, equation=equation, u0=u0)


def moved_equation(problem: EvolutionProblem, grid: Grid) -> AbstractEvolution:
    """The equation with those of its fields that live on the nodes of the initial field moved to another grid."""
    old, is_field = problem.u0.grid, lambda leaf: isinstance(leaf, GridField)
    return jax.tree.map(lambda leaf: _moved(leaf, old, grid), problem.equation, is_leaf=is_field)


def _moved(leaf, old: Grid, grid: Grid):
    if not isinstance(leaf, GridField) or not leaf.grid.same_nodes(old):
        return leaf
    own = leaf.grid.with_axes(map(_alike, leaf.grid.axes, grid.axes))
    return leaf.with_grid(own) if own.same_nodes(old) else leaf.resample(own)


def _alike(axis, target):
    # A coefficient keeps its parity and its own boundary conditions.
    if not axis.is_spectral:
        return axis if axis.n == target.n else axis.with_size(target.n)
    return target if type(axis) is type(target) else target.twin


def _truncated(axis):
    if not isinstance(axis, Fourier) or axis.dealias >= 1:
        return axis
    kept = 2 * (int(np.ceil(axis.dealias * axis.n / 2)) - 1) + 1
    # A hair below the ratio, so that products land on exactly the original number of nodes.
    return Fourier(kept, axis.length, axis.start, (axis.n - 0.5) / kept)
