import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import equations
from ..calculus import d, norm
from ..equations import AbstractEquation, AbstractEvolution, Example, Forced
from ..fields import AbstractField, GridField, sample
from ..grids import Dirichlet, Fourier, Grid, Periodic, Uniform
from ..solvers import (
    ETDRK4,
    MUSCL,
    WENO5,
    AbstractMethod,
    CheckpointedAdjoint,
    EvolutionProblem,
    ExponentialAdamsBashforth,
    FiniteVolume,
    SteadyProblem,
    cfl_dt,
    solve,
    stable_dt,
)
from ..solvers._choose import choose
from ..solvers._method import Options
from ..solvers._solve import _run
from ..solvers._symbol import in_float64
from ..solvers.time._imex_multistep import AbstractImexMultistep
from ..solvers.time._runge_kutta import AbstractRungeKutta
from ..solvers.time._stepper import AbstractStepper
from ._report import Column, Report, Table, refine

ROUNDING = 1e-11
STEADY = 1e-9  # what iterations are asked for, tenfold
MAX_STEPS = 2**11
MAX_NODES = 2**16
# Steps in one compiled piece of the way.
STRIDE = 4


def catalogue() -> dict[str, type[AbstractEquation]]:
    """The equations that `verify` can look at, by name: those with an example."""
    return {name: cls for name, cls in vars(equations).items() if inspect.isclass(cls) and hasattr(cls, "example")}


def verify(equation: type[AbstractEquation] | Example, method: Callable[..., AbstractMethod] | None = None) -> Report:
    """Refine an equation's example, of which the solution is known, and say whether errors fall at their design order.

    For an evolution equation: the error in time on the example's Fourier nodes (finite volumes: in time and space
    together), the residual of the exact solution on periodic `Uniform` axes of order 2 and 4, and the drift of each
    invariant, without the terms that force or brake. For a steady equation: the solution between Dirichlet ends on
    such axes, and the residual.

    **Arguments:** `equation`: a class of `pdejax.equations`, or an `Example`; `method`: a stepper class, or a function
    that makes one from `dt` (default `ETDRK4`); for steady equations one called without arguments (default: what
    `solve` chooses).

    Everything runs in float64, whatever the precision outside. The last order counts between errors above rounding
    (1e-11 of the solution) and above what the nodes leave; where there is none, the method is exact to rounding.

    **Raises** `TypeError` for an equation without example, or a method without a design order.
    """
    if not (isinstance(equation, Example) or hasattr(equation, "example")):
        raise TypeError(
            f"verify takes a class of pdejax.equations or an Example, got {equation!r}; write "
            "verify(Example(equation, solution, domain))."
        )
    with jax.enable_x64(True):
        example = in_float64(equation if isinstance(equation, Example) else equation.example())
        inner = example.equation.equation if isinstance(example.equation, Forced) else example.equation
        name = type(inner).__name__
        if not isinstance(example.equation, AbstractEvolution):
            return _steady(name, example, method)
        method = ETDRK4 if method is None else method
        volumes = isinstance(method(example.t1), FiniteVolume)
        return _volumes(name, example, method) if volumes else _evolution(name, example, method)


# Evolution


def _evolution(name: str, example: Example, method: Callable[[float], AbstractMethod]) -> Report:
    stepper = method(example.t1)
    if not isinstance(stepper, AbstractStepper):
        raise TypeError(
            f"{type(stepper).__name__} has no fixed order in dt; write verify(equation, ETDRK4) or another stepper of "
            "fixed step."
        )
    tables = [in_time(example, method), in_space(example), drifts(example, method)]
    return _joined(f"{name} with {type(stepper).__name__}", tables)


def _joined(title: str, found: list[Table | str | None]) -> Report:
    """Tables, and notes in place of those that cannot be."""
    tables = tuple(table for table in found if isinstance(table, Table))
    return Report(title, tables, tuple(note for note in found if isinstance(note, str)))


def in_time(example: Example, method: Callable[[float], AbstractStepper]) -> Table:
    """Error at `t1` against the solution, for more and more steps."""
    problem, floor = _start(example)
    grid, stepper = problem.u0.grid, method(example.t1)
    exact = sample(example.solution.at(t=example.t1), grid)
    return refine(
        f"time: {type(stepper).__name__} on {' x '.join(map(str, grid.shape))} Fourier nodes until t = {example.t1:g}",
        ("steps", "dt"),
        (Column("relative error", stepper.order, floor),),
        _steps(problem, stepper),
        lambda n: example.t1 / n,
        lambda n: (norm(_follow(problem, method, n) - exact) / norm(exact),),
    )


def drifts(example: Example, method: Callable[[float], AbstractStepper]) -> Table | None:
    """Drift of the invariants of the free equation, for more and more steps; `None` if it has none."""
    problem, floor = _start(example)
    problem, stepper = dataclasses.replace(problem, equation=free(example.equation)), method(example.t1)
    start, scales = _invariants(problem.equation, problem.u0), _scales(problem.equation, problem.u0)
    if not start:
        return None

    def drift(n: int) -> tuple[Array, ...]:
        end = _invariants(problem.equation, _follow(problem, method, n))
        return tuple(abs(end[key] - start[key]) / scales[key] for key in start)

    return refine(
        "invariants: drift without what forces or brakes, relative",
        ("steps", "dt"),
        tuple(Column(key, stepper.order, floor) for key in start),
        _steps(problem, stepper),
        lambda n: example.t1 / n,
        drift,
    )


def _start(example: Example) -> tuple[EvolutionProblem, float]:
    """The example as a problem, and the relative error that its nodes leave: their defect adds up over the time."""
    grid = _grid(example, lambda **place: Fourier(example.nodes, **place))
    u0 = sample(example.solution.at(t=0.0), grid)
    left = float(_defect(example, grid, jnp.zeros(())) / norm(u0))
    # At most what an example promises: the residual of a wrong equation is no floor.
    floor = min(max(ROUNDING, 10 * example.t1 * left), 1e-8)
    return EvolutionProblem(example.equation, u0, t1=example.t1), floor


class Window(AbstractEvolution):
    """`equation` in the time `s` of `t = begin + rate s`: `u_s = rate (L u + N(u, t))`."""

    equation: AbstractEvolution
    begin: Array
    rate: Array

    def linear(self, u: AbstractField) -> AbstractField:
        return self.rate * self.equation.linear(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return self.rate * self.equation.nonlinear(u, self.begin + self.rate * t)


def _follow(problem: EvolutionProblem, method: Callable[[float], AbstractMethod], n: int) -> GridField:
    """The solution after `n` steps. One-step methods go in windows of a few steps, which share one compilation."""
    stepper = method(problem.t1 / n)
    if isinstance(stepper, ExponentialAdamsBashforth | AbstractImexMultistep):
        return solve(problem, stepper, throw=False).value
    stepper, options, rate = method(problem.t1 / STRIDE), Options(CheckpointedAdjoint(), None, None), STRIDE / n
    prepared, u = None, problem.u0
    for i in range(n // STRIDE):
        if not jnp.all(jnp.isfinite(u.values)):
            break
        equation = Window(problem.equation, jnp.asarray(i * rate * problem.t1), jnp.asarray(rate))
        window = dataclasses.replace(problem, equation=equation, u0=u)
        prepared = stepper.prepare(window, options) if prepared is None else prepared
        u = _run(stepper, window, prepared, options).value
    return u


def _steps(problem: EvolutionProblem, stepper: AbstractStepper) -> list[int]:
    """Numbers of steps that double, from four or from what is stable."""
    first = STRIDE
    if isinstance(stepper, AbstractRungeKutta):
        first *= max(1, math.ceil(problem.t1 / stable_dt(problem, stepper) / STRIDE))
    return [first * 2**k for k in range(16) if k < 4 or first * 2**k <= MAX_STEPS]


def free(equation: AbstractEvolution) -> AbstractEvolution:
    """The equation without what forces or brakes, so that its invariants hold; the same object if there is nothing."""
    inner = equation.equation if isinstance(equation, Forced) else equation
    given = {key: getattr(inner, key, None) for key in ("forcing", "drag")}
    loads = {key: 0.0 for key, value in given.items() if value is not None}
    return dataclasses.replace(inner, **loads) if loads else inner


@eqx.filter_jit
def _invariants(equation: AbstractEvolution, u: GridField) -> dict[str, Array]:
    return equation.invariants(u)


@eqx.filter_jit
def _scales(equation: AbstractEvolution, u: GridField) -> dict[str, Array]:
    """`|dI/du| |u|` of each invariant, which does not vanish where the invariant does by cancellation."""
    length = lambda v: jnp.sqrt(jnp.sum(jnp.abs(v) ** 2))
    out = {}
    for key in equation.invariants(u):
        slope = jax.grad(lambda v, key=key: jnp.sum(equation.invariants(u.with_values(v))[key]))(u.values)
        out[key] = length(slope) * length(u.values)
    return out


@eqx.filter_jit
def _defect(example: Example, grid: Grid, t: Array) -> Array:
    """Norm of what is left when the exact solution is put into the equation on a grid."""
    if not isinstance(example.equation, AbstractEvolution):
        return norm(example.equation.residual(sample(example.solution, grid)))
    u, rate = sample(example.solution.at(t=t), grid), sample(d(example.solution, "t").at(t=t), grid)
    return norm(example.equation.tendency(u, t) - rate)


@eqx.filter_jit
def _rate_size(example: Example, grid: Grid, t: Array) -> Array:
    """What the defect is relative to: `|u_t|`, or the residual of zero."""
    if isinstance(example.equation, AbstractEvolution):
        return norm(sample(d(example.solution, "t").at(t=t), grid))
    return norm(example.equation.residual(sample(example.solution, grid) * 0.0))


def in_space(example: Example) -> Table | str:
    """Residual of the exact solution on finer and finer `Uniform` axes; a note if the equation does not take them."""
    t = jnp.asarray(example.t1 / 3)

    def error(n: int, order: int) -> Array:
        ends = {"lower": Periodic(), "upper": Periodic(), "order": order}
        grid = _grid(example, lambda **place: Uniform(n, **ends, **place))
        return _defect(example, grid, t) / _rate_size(example, grid, t)

    try:
        error(example.nodes, 2)
    except (TypeError, ValueError) as refusal:
        return f"space: no residual on Uniform axes: {refusal}"
    length = next(iter(example.domain.values()))[1]
    return refine(
        "space: residual of the exact solution on periodic Uniform axes, relative",
        ("nodes", "spacing"),
        tuple(Column(f"stencils of order {p}", p, 100 * ROUNDING) for p in (2, 4)),
        _nodes(example, example.nodes),
        lambda n: length / n,
        lambda n: tuple(error(n, p) for p in (2, 4)),
    )


# Finite volumes


def _volumes(name: str, example: Example, method: Callable[[float], FiniteVolume]) -> Report:
    """The error in time and space together, at one CFL number."""
    reconstruction = method(1.0).reconstruction
    order = {MUSCL: 2, WENO5: 3}.get(type(reconstruction), 1)
    ends = {"lower": Periodic(), "upper": Periodic(), "centred": True}
    length = next(iter(example.domain.values()))[1]

    def error(n: int) -> tuple[Array]:
        grid = _grid(example, lambda **place: Uniform(n, **ends, **place))
        u0, exact = (sample(example.solution.at(t=t), grid) for t in (0.0, example.t1))
        problem = EvolutionProblem(example.equation, u0, t1=example.t1)
        u = solve(problem, method(cfl_dt(problem)), throw=False).value
        # In the mean: limiters cut the tips of waves, where the order is one less.
        mean = lambda v: jnp.mean(jnp.abs(v.values))
        return (mean(u - exact) / mean(exact),)

    table = refine(
        f"time and space: finite volumes with {type(reconstruction).__name__} at a CFL number of 0.4",
        ("cells", "spacing"),
        (Column("relative error", order, ROUNDING),),
        _nodes(example, example.nodes),
        lambda n: length / n,
        error,
    )
    return Report(f"{name} with FiniteVolume", (table,))


# Steady


def _steady(name: str, example: Example, method: Callable[[], AbstractMethod] | None) -> Report:
    if inspect.isclass(method) and issubclass(method, AbstractStepper | FiniteVolume):
        raise TypeError(
            f"{name} is steady and {method.__name__} steps in time; write ConjugateGradient, or leave the method out."
        )
    found = []

    def error(n: int, order: int) -> Array:
        ends = {"lower": Dirichlet(0.0), "upper": Dirichlet(0.0), "order": order}
        grid = _grid(example, lambda **place: Uniform(n + 1, **ends, **place))
        exact = sample(example.solution, grid)
        problem = SteadyProblem(example.equation, _held_at(grid, exact), exact.channels)
        solver = choose(problem)[0] if method is None else method()
        if getattr(solver, "rtol", 0) is None:
            solver = dataclasses.replace(solver, rtol=0.1 * STEADY)
        solution = solve(problem, solver)
        found.append(solution.stats["method"])
        return norm(solution.value - exact) / norm(exact)

    length = next(iter(example.domain.values()))[1]
    table = refine(
        "solution between Dirichlet ends on Uniform axes, relative error",
        ("intervals", "spacing"),
        tuple(Column(f"stencils of order {p}", p, STEADY) for p in (2, 4)),
        _nodes(example, 16),
        lambda n: length / n,
        lambda n: tuple(error(n, p) for p in (2, 4)),
    )
    return _joined(f"{name} with {found[0]}", [table, in_space(example)])


def _held_at(grid: Grid, exact: GridField) -> Grid:
    """The grid whose Dirichlet conditions are the values of a field at its ends."""
    axes = {}
    for i, (name, axis) in enumerate(zip(grid.names, grid.axes, strict=True)):
        lower, upper = (Dirichlet(jnp.take(exact.values, at, axis=i + 1)) for at in (0, -1))
        axes[name] = dataclasses.replace(axis, lower=lower, upper=upper)
    return Grid(**axes)


def _grid(example: Example, axis: Callable[..., Fourier | Uniform]) -> Grid:
    return Grid(**{name: axis(length=length, start=start) for name, (start, length) in example.domain.items()})


def _nodes(example: Example, first: int) -> Iterator[int]:
    """Numbers of nodes per axis that double, two at least."""
    return (first * 2**k for k in range(12) if k < 2 or (first * 2**k) ** len(example.domain) <= MAX_NODES)
