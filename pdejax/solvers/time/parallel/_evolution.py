"""Time steppings in parallel over time, as one more method for `solve`."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ....fields import GridField
from ..._adjoint import CheckpointedAdjoint
from ..._method import AbstractMethod, Options
from ..._problem import EvolutionProblem
from ..._solution import Solution, Stats
from .._exponential import phi
from .._linear_part import Multiplier, linear_part
from .._march import March
from .._stepper import AbstractModalStepper, AbstractNodalStepper, blank
from .._system import working_grid
from ._deer import QuasiDEER
from ._evaluate import evaluate
from ._sweeps import AbstractParallel


class ParallelInTime(AbstractMethod):
    """The steps of a time stepper evaluated in parallel: `solve(problem, ParallelInTime(ETDRK4(dt)))`.

    Gives what the stepper gives, at every step, with the state of every step in memory. A `QuasiDEER` without a
    diagonal takes `exp(dt L)`, the exact derivative of an exponential step without its nonlinear part: the sweeps then
    converge faster than linearly, in a number that grows with the interval, the nonlinear part and the resolution.
    `GaussSeidel(steps, QuasiDEER())` bounds it for each block of steps; `DEER()` needs few sweeps on any interval, of
    `n^3` operations a step.

    `error` is the largest residual of a step, relative to the largest mode; `stats["num_sweeps"]` counts sweeps.

    **Arguments:** `stepper`: e.g. `solvers.ETDRK4(dt)`; `method`: how its steps are evaluated; `max_sweeps`: in each
    block.

    **Raises** `TypeError` for other steppers, `ValueError` if `QuasiDEER` needs a diagonal and the linear part, or the
    state of the stepper, has none, and for an adjoint or progress, which belong to marching.
    """

    stepper: AbstractModalStepper | AbstractNodalStepper
    method: AbstractParallel = QuasiDEER()
    max_sweeps: int = eqx.field(static=True, default=100)

    def __check_init__(self):
        if not isinstance(self.stepper, AbstractModalStepper | AbstractNodalStepper):
            raise TypeError(f"only steppers of fixed step run in parallel, got {self.stepper!r}; write ETDRK4(dt).")

    def prepare(self, problem: EvolutionProblem, options: Options) -> tuple[Any, AbstractParallel]:
        if type(options.adjoint) is not CheckpointedAdjoint or options.progress is not None:
            raise ValueError("a stepping in parallel has gradients of its own and no progress; leave both out.")
        prepared = self.stepper.prepare(problem, options)
        unknown = lambda m: isinstance(m, QuasiDEER) and m.diagonal is None
        fill = lambda m: QuasiDEER(self._symbol(problem, prepared), m.rtol) if unknown(m) else m
        return prepared, jax.tree.map(fill, self.method, is_leaf=unknown)

    def run(self, problem: EvolutionProblem, prepared: tuple[Any, AbstractParallel], options: Options) -> Solution:
        prepared, method = prepared
        scheme, plan = self.stepper.stepping(problem, prepared), _plan(prepared)
        dtype = scheme.value(scheme.start).real.dtype
        time = lambda i: jnp.asarray(problem.t0, dtype) + i.astype(dtype) * jnp.asarray(plan.dt, dtype)
        total = plan.segments * plan.stride
        step = lambda state, i: scheme.step(state, time(i), i)
        found = evaluate(step, scheme.start, jnp.arange(total), method, max_steps=self.max_sweeps, throw=False)
        states = scheme.value(found.value)

        def field(v: Array) -> GridField:
            u, grid = scheme.field(v), problem.u0.grid
            return (u.with_grid(grid) if u.grid.same_nodes(grid) else u.resample(grid)).as_values()

        if plan.saved is None:
            value, ts = field(states[-1]), None
        else:
            index = np.array(plan.saved) * plan.stride
            value, ts = jax.vmap(field)(jnp.concatenate([scheme.value(scheme.start)[None], states])[index]), time(index)
        numbers = {"num_steps": jnp.asarray(total), "dt": jnp.asarray(plan.dt, dtype)}
        numbers["num_sweeps"] = found.stats["num_steps"]
        facts = (("method", f"{type(self.stepper).__name__} in parallel by {type(method).__name__}"),)
        return Solution(value, ts, found.result, Stats(numbers, (*facts, *self.stepper.facts()[1:])), found.error)

    def _symbol(self, problem: EvolutionProblem, prepared: Any) -> PyTree[Array]:
        """`exp(dt L)` where it is a number for every mode."""
        grid, dt = working_grid(problem.u0.grid, self.stepper.dealias), _plan(prepared).dt
        table = None
        if isinstance(self.stepper, AbstractModalStepper):
            table = linear_part(blank(problem, grid), dt).exponentials(dt, {"step": phi(0)})["step"]
        state = eqx.filter_eval_shape(lambda: self.stepper.stepping(problem, prepared).start)
        if not isinstance(table, Multiplier) or table.table.shape != getattr(state, "shape", None):
            raise ValueError(
                f"QuasiDEER needs a diagonal, and the steps of {type(self.stepper).__name__} have none that is known "
                f"for {type(problem.equation).__name__} on {problem.u0.grid}; take a one-step stepper such as ETDRK4 "
                "on spectral axes, write QuasiDEER(diagonal), or use DEER()."
            )
        return table.table


def _plan(prepared: Any) -> March:
    return prepared if isinstance(prepared, March) else prepared.steps
