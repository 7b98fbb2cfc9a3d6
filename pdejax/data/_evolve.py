"""Trajectories from random initial states: what every data set of an evolution shares."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..equations import AbstractEvolution
from ..fields import GridField
from ..grids import AbstractAxis, Fourier, Grid
from ..solvers import ETDRK4, EvolutionProblem, solve
from ._generate import Samples, check_nested, chunk_size, generate, relative_distance, selected
from ._trajectories import Trajectories


class AbstractEvolving(eqx.Module):
    """What evolves, from where, and at which times it is kept. All fields are static, so that the parameters are known
    to a compiled solver, which computes its coefficients in float64.
    """

    # Makes what solves it from `dt`.
    stepper: ClassVar[Any]
    times: eqx.AbstractVar[tuple[float, ...]]
    dt: eqx.AbstractVar[float]

    @abc.abstractmethod
    def grid(self, n: int) -> Grid:
        """The grid with `n` nodes per axis."""

    @abc.abstractmethod
    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        """The initial state of a key, drawn on `grid`, on `fine`."""

    @abc.abstractmethod
    def equation(self, grid: Grid) -> AbstractEvolution:
        """The equation, with its fields on a grid."""


class AbstractPeriodic(AbstractEvolving):
    """What evolves on a periodic box of length one, solved by ETDRK4."""

    stepper: ClassVar[Any] = ETDRK4
    axes: ClassVar[tuple[str, ...]] = ("x",)
    times: tuple[float, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def grid(self, n: int) -> Grid:
        return Grid(**{name: Fourier(n, length=1.0) for name in self.axes})


def frames(system: AbstractEvolving, u: GridField) -> Array:
    """The states at the times of the system, `(time, channels, *n)`. The only place that calls the solver."""
    with jax.ensure_compile_time_eval():
        equation = system.equation(u.grid)
    problem = EvolutionProblem(equation, u, t0=system.times[0], t1=system.times[-1])
    return solve(problem, system.stepper(dt=system.dt), save_at=system.times).value.values


class _Sample(eqx.Module):
    """The frames of a key at every `stride`-th node, solved with `1 / refine` of the step and the spacing."""

    system: AbstractEvolving
    nodes: int = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    refine: int = eqx.field(static=True, default=1)

    def __call__(self, key: Array) -> tuple[Array]:
        # Known inside jit too, as the modes of the Laplacian depend on the conditions at the ends.
        with jax.ensure_compile_time_eval():
            grid = self.system.grid(self.nodes)
            fine = finer(grid, self.refine)
        system = dataclasses.replace(self.system, dt=self.system.dt / self.refine)
        return (thinned(frames(system, system.start(grid, fine, key)), grid, self.stride * self.refine),)


def thinned(values: Array, grid: Grid, stride: int) -> Array:
    """Every `stride`-th node of each axis of the grid, or the means of as many cells."""
    first = values.ndim - len(grid.axes)
    for i, axis in enumerate(grid.axes, start=first):
        if getattr(axis, "centred", False):
            values = jnp.mean(values.reshape(*values.shape[:i], -1, stride, *values.shape[i + 1 :]), axis=i + 1)
        else:
            values = values[(slice(None),) * i + (slice(None, None, stride),)]
    return values


def trajectories(
    system: AbstractEvolving,
    samples: Samples,
    resolution: int,
    key: Array,
    solve_at: int,
    progress: Callable[[int, int], None] | None,
    **facts: Any,
) -> Trajectories:
    """Solve on `solve_at` nodes per axis and keep `resolution` of them; `facts` are the metadata and the `name`.

    `reference_error` is the relative L2 distance of sample 0, if it is among them, to the solution with half the step
    on half the spacing.
    """
    grid = system.grid(solve_at)
    stride = check_nested(resolution, solve_at, closed=is_closed(grid.axes[0]))
    make = _Sample(system, solve_at, stride)
    (values,) = generate(make, samples, key=key, chunk=chunk_size(int(np.prod(grid.shape))), progress=progress)
    name = facts.pop("name")
    facts |= {"solver": system.stepper.__name__, "dt": system.dt, "solve_at": solve_at}
    facts |= {"dtype": str(values.dtype)}
    if 0 in selected(samples):
        fine = eqx.filter_jit(dataclasses.replace(make, refine=2))(jax.random.fold_in(key, 0))
        facts["reference_error"] = relative_distance(values[0], fine[0])
    coarse = grid.with_shape(tuple((n - 1) // stride + 1 for n in grid.shape))
    return Trajectories(values, system.times, coarse, name=name, metadata=facts).check()


def finer(grid: Grid, factor: int) -> Grid:
    """The grid with `factor` intervals or cells for each of this one's."""
    return grid.with_shape(tuple(factor * (x.n - is_closed(x)) + is_closed(x) for x in grid.axes))


def is_closed(axis: AbstractAxis) -> bool:
    """Whether both ends of an axis are nodes."""
    return not (isinstance(axis, Fourier) or getattr(axis, "centred", False))


def until(end: float, frames: int) -> tuple[float, ...]:
    """That many equal time steps from zero to the end, both counted: `frames + 1` times."""
    return tuple(float(t) for t in np.linspace(0, end, frames + 1))
