"""What is given at the walls of a staggered flow and in its interior, sampled where it is needed."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus._staggered import StaggeredFlow, positions
from ..fields import AbstractField, FunctionField, GridField
from ..grids import Dirichlet, Grid, Periodic, Uniform
from ._base import data


def vector(value):
    """A velocity or force as a pytree: `None` (zero), a field with one channel an axis, or one entry an axis, each a
    number or a function field.
    """
    if value is None or isinstance(value, AbstractField):
        return value
    return tuple(data(float(entry) if isinstance(entry, int) else entry) for entry in value)


def wall_velocities(walls: Mapping | None) -> dict:
    """The velocities of the walls by axis name, `(lower, upper)`, in the form of `vector`.

    **Raises** `ValueError` if an entry is not a pair.
    """
    out = {}
    for name, pair in (walls or {}).items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"the walls of axis {name!r} are a pair (lower, upper), got {pair!r}; write "
                f"walls={{{name!r}: (None, (1.0, 0.0))}}, None for a wall at rest."
            )
        out[name] = tuple(map(vector, pair))
    return out


def flow_of(u: GridField, walls: dict) -> StaggeredFlow:
    """The velocity in the first channels of `u` with its walls.

    **Raises** `TypeError` for a field without a grid; `ValueError` for another number of channels, for axes that are
    not centred `Uniform` ones with `Dirichlet()` or `Periodic()` ends, or for walls of an axis that has none.
    """
    if not isinstance(u, GridField):
        raise TypeError("a staggered flow lives on a grid; write GridField(values, grid), ndim + 1 channels.")
    grid = check_grid(u.grid)
    size = len(grid.names)
    if u.channels != size + 1:
        raise ValueError(
            f"flow on the axes {', '.join(grid.names)} has {size + 1} channels, velocity and pressure, got "
            f"{u.channels}; write SteadyProblem(equation, grid, channels={size + 1})."
        )
    unknown = [name for name in walls if name not in grid.names or grid.axis(name).is_periodic]
    if unknown:
        raise ValueError(f"axis {unknown[0]!r} has no walls on {grid}; give them to an axis with Dirichlet() ends.")
    sides = []
    for j, axis in enumerate(grid.axes):
        pair = walls.get(grid.names[j], (None, None))
        ends = (axis.start, axis.start + axis.length)
        layers = [tuple(_sampled(pair[s], grid, i, u.dtype, (j, ends[s])) for i in range(size)) for s in (0, 1)]
        sides.append(None if axis.is_periodic else tuple(layers))
    return StaggeredFlow(u.values[:size], grid, tuple(sides))


def force_at(force, grid: Grid, i: int, dtype) -> Array:
    """Component i of a force where that of the velocity is stored; a grid field holds it there already."""
    return force.values[i].astype(dtype) if isinstance(force, GridField) else _sampled(force, grid, i, dtype)


def check_grid(grid: Grid) -> Grid:
    """The grid. **Raises** `ValueError` unless cells and ends are those of a staggered flow."""
    for name, axis in zip(grid.names, grid.axes, strict=True):
        if not (isinstance(axis, Uniform) and axis.centred and axis.order == 2):
            raise ValueError(
                f"a staggered flow needs cells of second order, axis {name!r} is {type(axis).__name__}({axis.n}); "
                f"write {name}=Uniform({axis.n}, lower=Dirichlet(), upper=Dirichlet(), centred=True)."
            )
        for side in (axis.lower, axis.upper):
            if not isinstance(side, Dirichlet | Periodic) or (isinstance(side, Dirichlet) and _moves(side.value)):
                raise ValueError(
                    f"the ends of axis {name!r} are walls, Dirichlet(), or Periodic(), got {side}; the velocities of "
                    f"walls belong to the equation: walls={{{name!r}: (None, (1.0, ...))}}."
                )
    return grid


def _moves(value) -> bool:
    return not isinstance(value, jax.core.Tracer) and bool(np.any(np.asarray(value)))


def _sampled(value, grid: Grid, i: int, dtype, wall: tuple[int, float] | None = None) -> Array:
    """Component i of a vector where that of the velocity is stored, or on the wall `(axis, coordinate)`."""
    if value is None:
        return jnp.zeros((1,) * len(grid.axes), dtype)
    channels = value.channels if isinstance(value, AbstractField) else len(value)
    if channels != len(grid.axes):
        raise ValueError(
            f"a velocity or force on {grid} has {len(grid.axes)} entries, got {channels}; write one for each axis."
        )
    entry = value if isinstance(value, AbstractField) else value[i]
    if not isinstance(entry, AbstractField):
        return jnp.broadcast_to(jnp.asarray(entry).astype(dtype), (1,) * len(grid.axes))
    if not isinstance(entry, FunctionField):
        raise TypeError(f"the velocity of a wall is a number or a function, got {type(entry).__name__}.")
    places = positions(grid, i)
    if wall is not None:
        places[wall[0]] = np.array([wall[1]])
    mesh = np.meshgrid(*places, indexing="ij")
    points = np.stack([mesh[grid.index(name)].ravel() for name in entry.names], axis=1)
    values = entry(jnp.asarray(points, dtype))[:, i if entry is value else 0]
    return values.astype(dtype).reshape(mesh[0].shape)
