import abc
import dataclasses
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, PyTree

from ...fields import GridField
from ...grids import Grid
from .._method import AbstractMethod, Options
from .._problem import EvolutionProblem, has_boundary_data
from .._solution import Solution
from ._linear_part import AbstractLinearPart, linear_part
from ._march import March, Scheme, check_dt, check_problem, march, plan
from ._system import ModalSystem, NodalSystem, moved_equation, on_grid, working_grid


class AbstractStepper(AbstractMethod):
    """A method of fixed step `dt` (adjusted to divide `t1 - t0` evenly, see `stats["dt"]`).

    `dealias` is the factor for products on spectral axes that set none themselves: 3/2 pads, which is exact for
    quadratic terms (2 for cubic ones); 2/3 truncates: the steps keep the lower two thirds of the modes and products go
    to the nodes of the grid; 1 does neither.

    **Raises** `ValueError` for `dt <= 0`.
    """

    order: eqx.AbstractVar[int]  # of the error in dt
    dt: float = eqx.field(static=True, converter=float)
    dealias: float = eqx.field(static=True, converter=float, default=1.5)

    def __check_init__(self):
        check_dt(type(self).__name__, self.dt)

    def facts(self) -> tuple[tuple[str, str], ...]:
        """What `stats` says about the method."""
        return (("method", type(self).__name__), ("dealias", f"{self.dealias:g}"))


class AbstractModalStepper(AbstractStepper):
    """A stepper for `v' = L v + N(v, t)` in the modes of the grid, which applies functions of `L`.

    `keeps_fixed_points` says whether a balance of `L v` and a constant in `N`, to which boundary values lead, is kept.

    **Raises** `ValueError` for boundary values other than zero if it is not.
    """

    keeps_fixed_points: ClassVar[bool] = True

    @abc.abstractmethod
    def tables(self, linear: AbstractLinearPart, dt: float) -> PyTree:
        """The operators that the steps apply."""

    @abc.abstractmethod
    def scheme(self, system: ModalSystem, tables: PyTree, dt: float) -> Scheme:
        """The stepping."""

    def prepare(self, problem: EvolutionProblem, options: Options) -> "Prepared":
        check_problem(problem)
        steps, grid = plan(problem, self.dt, options), working_grid(problem.u0.grid, self.dealias)
        has_data = has_boundary_data(grid)
        if has_data and not self.keeps_fixed_points:
            raise ValueError(
                f"{type(self).__name__} does not keep the balance between stiff terms and boundary values other than "
                f"zero; write ETDRK4(dt={self.dt:g})."
            )
        linear = linear_part(blank(problem, grid), steps.dt)
        return Prepared(steps, self.tables(linear, steps.dt), linear.kind, has_data, linear.grows)

    def run(self, problem: EvolutionProblem, prepared: "Prepared", options: Options) -> Solution:
        facts = (*self.facts(), ("linear part", prepared.kind))
        return march(self.stepping(problem, prepared), problem, prepared.steps, options, facts)

    def stepping(self, problem: EvolutionProblem, prepared: "Prepared") -> Scheme:
        """The scheme for a prepared problem, on the grid on which it is stepped."""
        working = on_grid(problem, working_grid(problem.u0.grid, self.dealias))
        scheme = self.scheme(ModalSystem(working, prepared.has_data), prepared.tables, prepared.steps.dt)
        return _real(scheme, working.u0.grid) if working.u0.is_real and prepared.grows else scheme


class Prepared(eqx.Module):
    """What a modal stepper knows before it runs."""

    steps: March
    tables: PyTree
    kind: str = eqx.field(static=True)
    has_data: bool = eqx.field(static=True)
    grows: bool = eqx.field(static=True)


class AbstractNodalStepper(AbstractStepper):
    """A stepper for `v' = f(v, t)` on the coefficients of the field, on any grid."""

    @abc.abstractmethod
    def scheme(self, system: NodalSystem, dt: float) -> Scheme:
        """The stepping."""

    def prepare(self, problem: EvolutionProblem, options: Options) -> March:
        return plan(problem, self.dt, options)

    def run(self, problem: EvolutionProblem, prepared: March, options: Options) -> Solution:
        return march(self.stepping(problem, prepared), problem, prepared, options, self.facts())

    def stepping(self, problem: EvolutionProblem, prepared: March) -> Scheme:
        """The scheme for a prepared problem, on the grid on which it is stepped."""
        return self.scheme(self.system(problem), prepared.dt)

    def system(self, problem: EvolutionProblem) -> NodalSystem:
        """The problem on the grid on which it is stepped."""
        return NodalSystem(on_grid(problem, working_grid(problem.u0.grid, self.dealias)))


def _real(scheme: Scheme, grid: Grid) -> Scheme:
    """The scheme with the state kept that of a real field."""

    def step(state: PyTree, t: Array, i: Array) -> PyTree:
        return eqx.tree_at(scheme.value, scheme.step(state, t, i), replace_fn=grid.symmetrised)

    return dataclasses.replace(scheme, step=step)


def blank(problem: EvolutionProblem, grid: Grid) -> EvolutionProblem:
    """The problem on another grid with a zero initial field: enough to look at its linear part."""
    u0 = problem.u0
    zero = GridField(np.zeros((u0.channels, *grid.shape), u0.dtype), grid)
    return dataclasses.replace(problem, equation=moved_equation(problem, grid), u0=zero)
