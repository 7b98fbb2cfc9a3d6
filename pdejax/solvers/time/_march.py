import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ...fields import GridField
from .._method import Options
from .._problem import EvolutionProblem
from .._solution import RESULTS, Solution, Stats
from ._system import back_on


class March(eqx.Module):
    """A fixed-step plan: `segments` of `stride` steps each; `saved` are the segment ends to keep (0 is the start)."""

    dt: float = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    segments: int = eqx.field(static=True)
    saved: tuple[int, ...] | None = eqx.field(static=True)


class Scheme(eqx.Module):
    """A time stepping on raw arrays: where it starts, one step, and how to look at its state.

    `step(state, t, i)` is the state after step number `i`, which begins at time `t`; `value(state)` the array that
    stands for the solution; `field(value)` the field that it stands for.
    """

    start: PyTree
    step: Callable[[PyTree, Array, Array], PyTree]
    field: Callable[[Array], GridField]
    value: Callable[[PyTree], Array] = lambda state: state
    result: Callable[[PyTree], RESULTS] = lambda state: RESULTS.successful


def check_dt(name: str, dt: float) -> None:
    """**Raises** `ValueError` unless `dt > 0`."""
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"{name} needs a positive step, got dt={dt:g}; write {name}(dt={abs(dt) or 1e-3:g}).")


def check_problem(problem) -> None:
    """**Raises** `TypeError` for steady problems."""
    if not isinstance(problem, EvolutionProblem):
        raise TypeError(
            "a time stepper solves an EvolutionProblem; write solve(SteadyProblem(equation, grid)) without a stepper."
        )


def plan(problem: EvolutionProblem, dt: float, options: Options) -> March:
    """Steps that divide the interval evenly and hit every save time.

    **Raises** `TypeError` for steady problems, `ValueError` for save times outside the interval or between steps, or if
    more than `max_steps` are needed.
    """
    check_problem(problem)
    span = problem.t1 - problem.t0
    total = max(1, math.ceil(span / dt - 1e-9))
    step = span / total
    if options.max_steps is not None and total > options.max_steps:
        raise ValueError(
            f"{total} steps of {step:g} are needed from t={problem.t0:g} to {problem.t1:g}, but "
            f"max_steps={options.max_steps}; write dt={span / options.max_steps:g} or a larger max_steps."
        )
    if options.save_at is None:
        # With somebody watching, cut the way into about twenty segments of equal length.
        segments = 1 if options.progress is None else max(k for k in range(1, 21) if total % k == 0)
        return March(step, total // segments, segments, None)
    times = check_times(problem, options.save_at)
    index = np.rint((times - problem.t0) / step).astype(int)
    off = np.abs(problem.t0 + index * step - times)
    # Times often come in float32 (jnp.linspace): allow for their rounding.
    if off.max() > 1e-6 * step + 4 * np.finfo(np.float32).eps * np.abs(times).max():
        worst = int(np.argmax(off))
        raise ValueError(
            f"save_at holds t={times[worst]:g}, which is not a multiple of the step {step:g} after t0={problem.t0:g}; "
            "choose dt to divide the times, e.g. jnp.linspace(t0, t1, k + 1) with dt dividing (t1 - t0) / k."
        )
    stride = math.gcd(*(int(i) for i in index), total)
    # Nothing after the last save time is computed.
    return March(step, stride, int(index[-1]) // stride, tuple(int(i) // stride for i in index))


def check_times(problem: EvolutionProblem, save_at: tuple[float, ...]) -> np.ndarray:
    """The save times. **Raises** `ValueError` unless they increase within the interval of the problem."""
    times = np.asarray(save_at, float)
    slack = 4 * np.finfo(np.float32).eps * max(abs(problem.t0), abs(problem.t1))
    inside = len(times) and times[0] >= problem.t0 - slack and times[-1] <= problem.t1 + slack
    if not inside or np.any(np.diff(times) <= 0):
        raise ValueError(
            f"save_at needs increasing times between t0={problem.t0:g} and t1={problem.t1:g}, got {len(times)} "
            f"from {times.min() if len(times) else float('nan'):g} to {times.max() if len(times) else float('nan'):g}."
        )
    return times


def march(
    scheme: Scheme, problem: EvolutionProblem, plan: March, options: Options, facts: tuple[tuple[str, str], ...]
) -> Solution:
    """Walk a scheme through the plan."""
    time_dtype = scheme.value(scheme.start).real.dtype

    def time(i: Array) -> Array:
        return jnp.asarray(problem.t0, time_dtype) + i.astype(time_dtype) * jnp.asarray(plan.dt, time_dtype)

    def step(carry: tuple[PyTree, Array], i: Array) -> tuple[PyTree, Array]:
        state, good = carry
        state = scheme.step(state, time(i), i)
        # NaNs stay, so one sum per step counts the good ones.
        return state, good + jnp.isfinite(jnp.sum(scheme.value(state))).astype(good.dtype)

    def segment(carry: tuple[PyTree, Array], k: Array) -> tuple[tuple[PyTree, Array], Array | None]:
        carry = options.adjoint.loop(step, carry, k * plan.stride, plan.stride)
        if options.progress is not None:
            jax.debug.callback(options.progress, (k + 1) * plan.stride, plan.segments * plan.stride)
        return carry, scheme.value(carry[0]) if plan.saved is not None else None

    total = plan.segments * plan.stride
    carry = (scheme.start, jnp.zeros((), jnp.int32))
    (last, good), kept = jax.lax.scan(segment, carry, jnp.arange(plan.segments))
    last, ended = options.adjoint.finish(lambda s, i: scheme.step(s, time(i), i), last, jnp.asarray(total))

    def value(v: Array) -> GridField:
        return back_on(scheme.field(v), problem.u0.grid)

    if plan.saved is None:
        out, ts = value(scheme.value(last)), None
    else:
        everything = jnp.concatenate([scheme.value(scheme.start)[None], kept])
        out = jax.vmap(value)(everything[np.array(plan.saved)])
        if plan.saved[0] == 0:
            # As it was given: a stepper may start from what it can carry of it.
            out = eqx.tree_at(lambda u: u.data, out, out.data.at[0].set(problem.u0.values.astype(out.dtype)))
        ts = time(jnp.asarray(np.array(plan.saved) * plan.stride))
    result = RESULTS.where(good == total, scheme.result(last), RESULTS.nonfinite_state)
    result = RESULTS.where(result == RESULTS.successful, ended, result)
    numbers = {
        "num_steps": jnp.asarray(total),
        "dt": jnp.asarray(plan.dt, time_dtype),
        "nonfinite_at": jnp.where(good == total, jnp.nan, time(good + 1)),
    }
    return Solution(out, ts, result, Stats(numbers, facts), None, None)
