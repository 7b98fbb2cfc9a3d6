import jax.numpy as jnp
import numpy as np
from jax.lax import slice_in_dim
from jaxtyping import Array

from ...equations._hyperbolic import AbstractConservationLaw
from ...grids import AbstractBoundary, Dirichlet, Grid, Neumann, Outflow, Reflecting, Uniform, along


def padded(values: Array, grid: Grid, axis: int, width: int, law: AbstractConservationLaw) -> Array:
    """Cell means `(channels, *shape)` with `width` ghost cells at both ends of one axis, filled as its ends say.

    `Periodic` wraps; `Outflow` repeats the last cell; `Reflecting` mirrors the cells with the channels
    `law.normal(axis)` negated; `Dirichlet` puts its value outside; `Neumann` mirrors and adds the rise of its slope
    (LeVeque 2002, chapter 7).
    """
    cells, dim = grid.axes[axis], 1 + axis
    if cells.is_periodic:
        parts = (
            slice_in_dim(values, cells.n - width, None, axis=dim),
            values,
            slice_in_dim(values, 0, width, axis=dim),
        )
        return jnp.concatenate(parts, axis=dim)
    lower = _outside(values, cells, cells.lower, axis, width, law)
    upper = jnp.flip(_outside(jnp.flip(values, dim), cells, cells.upper, axis, width, law, -1.0), dim)
    return jnp.concatenate([lower, values, upper], axis=dim)


def _outside(
    values: Array,
    cells: Uniform,
    side: AbstractBoundary,
    axis: int,
    width: int,
    law: AbstractConservationLaw,
    direction: float = 1.0,
) -> Array:
    dim = 1 + axis
    mirror = jnp.flip(slice_in_dim(values, 0, width, axis=dim), dim)
    if isinstance(side, Outflow):
        return jnp.broadcast_to(slice_in_dim(values, 0, 1, axis=dim), mirror.shape)
    if isinstance(side, Reflecting):
        signs = np.ones(values.shape[0])
        signs[list(law.normal(axis))] = -1
        return mirror * jnp.asarray(along(signs, 0, values.ndim), values.dtype)
    given = side.value if isinstance(side, Dirichlet) else side.slope
    layer = jnp.broadcast_to(given.astype(values.dtype), values.shape[:dim] + values.shape[dim + 1 :])
    given = jnp.expand_dims(layer, dim)
    if isinstance(side, Dirichlet):
        return jnp.broadcast_to(given, mirror.shape)
    distance = direction * cells.spacing * (2 * np.arange(width, 0, -1) - 1)
    return mirror - given * jnp.asarray(along(distance, dim, values.ndim), values.dtype)


def check_cells(grid: Grid, width: int) -> None:
    """**Raises** `ValueError` for axes that are not divided into equal cells with known surroundings."""
    for name, axis in zip(grid.names, grid.axes, strict=True):
        write = f"Uniform({axis.n}, lower=Outflow(), upper=Outflow(), centred=True)"
        if not isinstance(axis, Uniform):
            raise ValueError(
                f"finite volumes live on Uniform axes and {name!r} is {type(axis).__name__}; write {name}={write}, or "
                f"Periodic() at both ends, and u0.resample(grid)."
            )
        if not (axis.is_periodic or axis.centred):
            raise ValueError(
                f"the nodes of axis {name!r} are no cell centres: its ends are nodes; write {name}={write}."
            )
        for end in (axis.lower, axis.upper):
            if not (axis.is_periodic or isinstance(end, Outflow | Reflecting | Dirichlet | Neumann)):
                raise ValueError(
                    f"finite volumes must know what is beyond the ends of axis {name!r}, and {type(end).__name__}() "
                    f"does not say; write {name}={write}, and u0.on(grid) for a field that arithmetic has freed of its "
                    "conditions."
                )
        if axis.n < width:
            raise ValueError(
                f"this reconstruction reads {width} cells beyond each end and axis {name!r} has {axis.n}; "
                f"write at least {width} cells."
            )
