import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...fields import GridField
from .._method import Options
from .._problem import EvolutionProblem
from .._solution import RESULTS, Solution, Stats


class March(eqx.Module):
    """A fixed-step plan: `segments` of `stride` steps each; `saved` are the segment ends to keep (0 is the start)."""

    dt: float = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    segments: int = eqx.field(static=True)
    saved: tuple[int, ...] | None = eqx.field(static=True)


def check_dt(name: str, dt: float) -> None:
    """**Raises** `ValueError` unless `dt > 0`."""
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"{name} needs a positive step, got dt={dt:g}; write {name}(dt={abs(dt) or 1e-3:g}).")


def plan(problem: EvolutionProblem, dt: float, options: Options) -> March:
    """Steps that divide the interval evenly and hit every save time.

    **Raises** `TypeError` for steady problems, `ValueError` for save times outside the interval or between steps, or if
    more than `max_steps` are needed.
    """
    if not isinstance(problem, EvolutionProblem):
        raise TypeError(
            "a time stepper solves an EvolutionProblem; write solve(SteadyProblem(equation, grid)) without a stepper."
        )
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
    times = np.asarray(options.save_at)
    index = np.rint((times - problem.t0) / step).astype(int)
    if len(times) == 0 or np.any(np.diff(times) <= 0) or index[0] < 0 or index[-1] > total:
        raise ValueError(
            f"save_at needs increasing times between t0={problem.t0:g} and t1={problem.t1:g}, got {len(times)} "
            f"from {times.min() if len(times) else float('nan'):g} to {times.max() if len(times) else float('nan'):g}."
        )
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


def dealiased(u: GridField, factor: float) -> GridField:
    """The field on a grid whose spectral axes dealias by `factor`, unless the grid already says how."""
    if factor == 1 or u.grid.dealiases:
        return u
    return u.with_grid(u.grid.with_dealias(factor))


def march(
    step: Callable[[Array, Array], Array],
    start: Array,
    to_field: Callable[[Array], GridField],
    problem: EvolutionProblem,
    plan: March,
    options: Options,
    facts: tuple[tuple[str, str], ...],
) -> Solution:
    """Scan a step on raw coefficients `(v, t) -> v` from `start` through the plan; `to_field` makes fields of them."""
    time_dtype = start.real.dtype
    one = options.adjoint.wrap(step)

    def time(i: Array) -> Array:
        return jnp.asarray(problem.t0, time_dtype) + i.astype(time_dtype) * jnp.asarray(plan.dt, time_dtype)

    def segment(v: Array, k: Array) -> tuple[Array, Array | None]:
        v = jax.lax.scan(lambda v, j: (one(v, time(k * plan.stride + j)), None), v, jnp.arange(plan.stride))[0]
        if options.progress is not None:
            jax.debug.callback(options.progress, (k + 1) * plan.stride, plan.segments * plan.stride)
        return v, v if plan.saved is not None else None

    last, kept = jax.lax.scan(segment, start, jnp.arange(plan.segments))
    if plan.saved is None:
        data, ts = last, None
        good, checked = jnp.all(jnp.isfinite(last)), time(jnp.asarray(plan.segments * plan.stride))
    else:
        everything = jnp.concatenate([start[None], kept])
        data = everything[np.array(plan.saved)]
        ts = time(jnp.asarray(np.array(plan.saved) * plan.stride))
        finite = jnp.all(jnp.isfinite(everything), axis=tuple(range(1, everything.ndim)))
        good, checked = jnp.all(finite), time(jnp.argmin(finite) * plan.stride)
    result = RESULTS.where(good, RESULTS.successful, RESULTS.nonfinite_state)
    numbers = {
        "num_steps": jnp.asarray(plan.segments * plan.stride),
        "dt": jnp.asarray(plan.dt, time_dtype),
        "nonfinite_at": jnp.where(good, jnp.nan, checked),
    }
    value = (
        jax.vmap(lambda v: to_field(v).as_values()) if plan.saved is not None else (lambda v: to_field(v).as_values())
    )
    return Solution(value(data), ts, result, Stats(numbers, facts), None, None)
