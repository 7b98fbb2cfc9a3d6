import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..grids import AbstractAxis, Chebyshev, Dirichlet, Fourier, Grid, Held, Sine, Uniform, along

# Arrays have the channels last here: it is how XLA:CPU convolves, and a V-cycle that holds them so trains 1.4 times
# faster than one that transposes around each convolution.


def continued(v: Array, grid: Grid, before: tuple[int, ...], after: tuple[int, ...]) -> Array:
    """Values `(*n, channels)` with `before` and `after` more nodes on each axis, as the axis goes on beyond its ends.

    Periodic axes wrap; beyond the ends of `Sine` axes and `Dirichlet` ends there are zeros; all other ends reflect,
    about the node on closed axes and half a cell beyond it on centred ones. The sizes are those of `v`: the grid says
    only how its axes end, so one grid serves all levels of a hierarchy.

    **Raises** `ValueError` for a Chebyshev axis, whose nodes have no common spacing.
    """
    for i, (name, axis) in enumerate(zip(grid.names, grid.axes, strict=True)):
        lower, upper = _modes(name, axis)
        both = [(lower, (before[i], after[i]))]
        for mode, width in both if lower == upper else [(lower, (before[i], 0)), (upper, (0, after[i]))]:
            v = jnp.pad(v, [width if j == i else (0, 0) for j in range(v.ndim)], mode=mode)
    return v


def without_ends(v: Array, grid: Grid) -> Array:
    """Values `(*n, channels)` with zeros at the end nodes where functions of the grid vanish or are given: those of
    closed `Sine` and `Dirichlet` ends.
    """
    for i, (name, axis) in enumerate(zip(grid.names, grid.axes, strict=True)):
        ends = [j for j, mode in zip((0, -1), _modes(name, axis), strict=True) if mode == "constant"]
        if ends and not axis.centred:
            inner = np.ones(v.shape[i])
            inner[ends] = 0.0
            v = v * jnp.asarray(along(inner, i, v.ndim), v.dtype)
    return v


def halved(v: Array, grid: Grid) -> Array:
    """Values `(channels, *n)` on every second node, `(channels, *ceil(n / 2))`: weighted means 1/4, 1/2, 1/4 along each
    axis. On smooth fields it is the identity up to second order.
    """
    ones = (1,) * len(grid.axes)
    v = continued(jnp.moveaxis(v, 0, -1), grid, ones, ones)
    for i in range(len(ones)):
        v = jnp.moveaxis(v, i, 0)
        v = jnp.moveaxis(((v[:-2] + 2 * v[1:-1] + v[2:]) / 4)[::2], 0, i)
    return jnp.moveaxis(v, -1, 0)


def check_levels(name: str, levels: int, shape: tuple[int, ...]) -> None:
    """**Raises** `ValueError` if the coarsest of nested grids, each with half the nodes, has less than two an axis."""
    if min(shape) <= 2 ** (levels - 1):
        most = max((min(shape) - 1).bit_length(), 1)
        raise ValueError(
            f"{name} with levels={levels} needs more than {2 ** (levels - 1)} nodes on every axis, got {tuple(shape)}; "
            f"write levels={most} or take a finer grid."
        )


def _modes(name: str, axis: AbstractAxis) -> tuple[str, str]:
    if isinstance(axis, Chebyshev):
        raise ValueError(
            f"a convolution needs equal spacing and axis {name!r} is Chebyshev; write "
            f"field.resample(grid.replace({name}=Cosine({axis.n}, {axis.length:g}, {axis.start:g})))."
        )
    if isinstance(axis, Fourier) or (isinstance(axis, Uniform) and axis.is_periodic):
        return "wrap", "wrap"
    if isinstance(axis, Sine):
        return "constant", "constant"
    mirror = "symmetric" if axis.centred else "reflect"
    if not isinstance(axis, Uniform):
        return mirror, mirror
    lower, upper = ("constant" if isinstance(side, Dirichlet | Held) else mirror for side in (axis.lower, axis.upper))
    return lower, upper
