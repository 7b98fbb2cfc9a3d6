import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import AbstractEvolution, AbstractSteady, AbstractVariational
from ..fields import GridField
from ..grids import Grid, Robin


class EvolutionProblem(eqx.Module):
    """An evolution equation with an initial field `u0` at `t0`, to be followed until `t1`.

    **Raises** `ValueError` for `t1 <= t0`, a space-time initial field or non-finite initial values; `TypeError` for
    other equations.
    """

    equation: AbstractEvolution
    u0: GridField
    t0: float = eqx.field(static=True, converter=float, default=0.0)
    t1: float = eqx.field(static=True, converter=float, default=1.0)

    def __check_init__(self):
        if not isinstance(self.equation, AbstractEvolution):
            raise TypeError(
                f"EvolutionProblem takes an AbstractEvolution equation, got {type(self.equation).__name__}; "
                "write SteadyProblem(equation, grid) for an equation without time."
            )
        if not isinstance(self.u0, GridField):
            raise TypeError(
                f"u0 must be a GridField, got {type(self.u0).__name__}; write GridField.from_function(fn, grid)."
            )
        if "t" in self.u0.names:
            raise ValueError(f"the initial field lives in space only, got axes {self.u0.names}; drop the axis 't'.")
        if not self.t1 > self.t0:
            raise ValueError(
                f"the final time must lie after the initial one, got t0={self.t0:g}, t1={self.t1:g}; exchange them."
            )
        check_finite("u0", self.u0.data)


class SteadyProblem(eqx.Module):
    """A steady equation on a grid, whose axes carry the boundary conditions; the unknown has `channels` channels.

    `guess` is where methods for nonlinear equations start (zero without one): it decides which of several solutions is
    found, and is what a warm start hands over. Its values at Dirichlet nodes do not matter.

    **Raises** `TypeError` for an evolution equation or a guess that is no field, `ValueError` if the grid has an axis
    `"t"` or the guess does not fit.
    """

    equation: AbstractSteady | AbstractVariational
    grid: Grid
    channels: int = eqx.field(static=True, default=1)
    guess: GridField | None = None

    def __check_init__(self):
        if not isinstance(self.equation, AbstractSteady | AbstractVariational):
            raise TypeError(
                f"SteadyProblem takes a steady or variational equation, got {type(self.equation).__name__}; "
                "write EvolutionProblem(equation, u0) for one with time."
            )
        if "t" in self.grid.names:
            raise ValueError("a steady problem has no time; drop the axis 't' from the grid.")
        if self.guess is None:
            return
        if not isinstance(self.guess, GridField):
            raise TypeError(
                f"guess must be a GridField, got {type(self.guess).__name__}; write GridField.from_function(fn, grid)."
            )
        if (self.guess.channels, *self.guess.grid.shape) != (self.channels, *self.grid.shape):
            raise ValueError(
                f"the guess has {self.guess.channels} channels on {self.guess.grid}, the problem {self.channels} on "
                f"{self.grid}; write guess.resample(grid), or channels={self.guess.channels}."
            )
        check_finite("guess", self.guess.data)

    def boundary(self, dtype) -> GridField:
        """Zero inside, the Dirichlet values at the ends of nodal axes."""
        values = jnp.zeros((self.channels, *self.grid.shape), dtype)
        for i, axis in enumerate(self.grid.axes):
            for at, side in axis.known_ends:
                values = values.at[(slice(None),) * (i + 1) + (at,)].set(side.value.astype(dtype))
        return GridField(values, self.grid)


def unknown_nodes(grid: Grid) -> np.ndarray | None:
    """Mask `(*shape)` that is false at nodes fixed by Dirichlet conditions; `None` if none is."""
    mask = np.ones(grid.shape, bool)
    for i, axis in enumerate(grid.axes):
        for at, _ in axis.known_ends:
            mask[(slice(None),) * i + (at,)] = False
    return None if mask.all() else mask


def homogeneous(grid: Grid) -> Grid:
    """The grid with zero in place of the values and slopes of its boundary conditions."""
    # Known zeros, also for values that a transformation varies: the modes do not depend on them.
    zero = lambda leaf: np.zeros(jnp.shape(leaf), jnp.result_type(leaf))
    # Not through the constructor, whose converter would make a traced number of the zero.
    ends = lambda x: eqx.tree_at(lambda robin: robin.value, x, zero(x.value)) if _is_robin(x) else zero(x)
    return jax.tree.map(ends, grid, is_leaf=_is_robin)


def has_boundary_data(grid: Grid) -> bool:
    """Whether a boundary condition of the grid may be other than zero."""
    data = [x.value if _is_robin(x) else x for x in jax.tree.leaves(grid, is_leaf=_is_robin)]
    return any(isinstance(leaf, jax.core.Tracer) or np.any(np.asarray(leaf)) for leaf in data)


def _is_robin(x) -> bool:
    return isinstance(x, Robin)


def check_finite(name: str, values) -> None:
    """**Raises** `ValueError` with the first bad index if values known now are not all finite."""
    if isinstance(values, jax.core.Tracer):
        return
    bad = np.argwhere(~np.isfinite(np.asarray(values)))
    if len(bad):
        index = ", ".join(map(str, bad[0]))
        raise ValueError(
            f"{name} is not finite at index ({index}), {len(bad)} bad values in all; clean the data first."
        )
