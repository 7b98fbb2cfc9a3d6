import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...equations import AbstractEvolution
from ...fields import GridField
from ...grids import Uniform
from .._problem import EvolutionProblem, has_boundary_data
from ._exponential import phi
from ._linear_part import linear_part
from ._stepper import blank
from ._system import ModalSystem, back_on, on_grid, working_grid


def mild_image(equation: AbstractEvolution, history: GridField, start: GridField, *, dealias: float = 1.5) -> GridField:
    """One Picard iteration on a whole history: `(P u)(t) = exp(t L) a + int_0^t exp((t - s) L) N(u(s), s) ds`.

    `L` is the linear and `N` the nonlinear part of `equation`, `a` the field `start`. Where a mode grows by the linear
    part, its growth counts as nonlinear, so that `exp(t L)` enlarges no error. The history that is its own image is the
    mild solution.

    Between two frames N is taken as linear in time, everything else is exact (exponential trapezoidal rule): of the
    fixed point this makes an error of order two in the spacing of the times. No derivative in time is taken.

    **Shapes:** `history` `(channels, nt, *n)` on `("t", *space)`, its axis `"t"` a `Uniform` one whose first node is
    the time of `start`, `(channels, *n)` on `space`; result like `history`.

    **Raises** `ValueError` for other axes or a start on other nodes, and what exponential steppers (`ETDRK4`) raise for
    equation and grid.

    Source: Duhamel's principle; mild solutions in Pazy 1983, Semigroups of linear operators, chapter 6; the weights are
    the collocation at both ends of Hochbruck & Ostermann 2010, Exponential integrators, section 2.2.
    """
    names, times = history.names, history.grid.axes[0]
    if names[:1] != ("t",) or names[1:] != start.names or not isinstance(times, Uniform) or times.centred:
        raise ValueError(
            f"a mild form needs a history on ('t', {', '.join(map(repr, start.names))}) with evenly spaced times that "
            f"begin with those of its start, got coordinates {names} with {times!r}; write Uniform(51) for the times."
        )
    space, dt = history.grid.without("t"), times.spacing
    if not space.same_nodes(start.grid):
        raise ValueError(
            f"the history lies on {space} and its start on {start.grid}; "
            "write start.resample(history.grid.without('t'))."
        )
    grid = working_grid(space, dealias)
    problem = EvolutionProblem(equation, start, t0=times.start, t1=times.start + times.length)

    def system(values: Array) -> ModalSystem:
        state = dataclasses.replace(problem, u0=GridField(values, space))
        return ModalSystem(on_grid(state, grid), has_boundary_data(grid))

    weights = {"exp": phi(0), "before": phi(1, dt) + phi(2, -dt), "after": phi(2, dt)}
    linear = linear_part(blank(problem, grid), dt)
    damping = linear.damping()
    tables = damping.exponentials(dt, weights)
    frames = jnp.moveaxis(history.values, 1, 0)
    first, whole, damped = system(start.values), linear.product(), damping.product()
    nonlinear = first.nonlinear()

    def rate(values: Array, t: Array) -> Array:
        v = system(values).start()
        return nonlinear(v, t) + (whole(v) - damped(v))

    rates = jax.vmap(rate)(frames, jnp.asarray(times.points, history.dtype))
    sources = jax.vmap(tables["before"])(rates[:-1]) + jax.vmap(tables["after"])(rates[1:])

    def step(v: Array, source: Array) -> tuple[Array, Array]:
        v = tables["exp"](v) + source
        return v, v

    _, later = jax.lax.scan(step, first.start(), sources)
    values = jax.vmap(lambda v: back_on(first.field(v), space).values)(later)
    return history.with_values(jnp.concatenate([start.values[:, None], jnp.moveaxis(values, 0, 1)], axis=1))
