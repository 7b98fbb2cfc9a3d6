import equinox as eqx
import jax.numpy as jnp
from jax.lax import slice_in_dim
from jaxtyping import Array

from ...equations import AbstractEvolution
from ...equations._base import Forced
from ...fields import AbstractField, GridField
from ...grids import Grid
from ._cfl import conservation_law
from ._fluxes import AbstractFlux
from ._ghosts import padded
from ._reconstruction import AbstractReconstruction
from ._states import States


class Volumes(eqx.Module):
    """Finite volumes in space: cell means `(channels, *shape)` to face values, and these to the change of the means.

    Face values along an axis are pairs of arrays, lower and upper, for its cells and one ghost cell at each end.
    """

    equation: AbstractEvolution
    grid: Grid
    reconstruction: AbstractReconstruction
    flux: AbstractFlux

    def states(self, i: int) -> States:
        """The law on the cells, seen along axis `i`."""
        return States(conservation_law(self.equation), self.grid, i)

    def ghosted(self, v: Array, i: int, width: int = 1) -> Array:
        """The means with ghost cells along axis `i`."""
        return padded(v, self.grid, i, width, conservation_law(self.equation))

    def face_values(self, v: Array, i: int) -> tuple[Array, Array]:
        """Reconstruction along axis `i`, positive where it has to be."""
        width, cells = self.reconstruction.width, self.states(i)
        means, near = self.ghosted(v, i, width), cells.beside(1)
        if self.reconstruction.primitive:
            variables = cells.beside(width).read(cells.law.primitive, means)
            lower, upper = (near.read(cells.law.conserved, w) for w in self.reconstruction(variables, 1 + i))
        else:
            lower, upper = self.reconstruction(means, 1 + i)
        inner = slice_in_dim(means, width - 1, means.shape[1 + i] - width + 1, axis=1 + i)
        return near.bounded(inner, lower, upper, self.reconstruction.share)

    def exchange(self, lower: Array, upper: Array, i: int) -> Array:
        """`-(F_{i+1/2} - F_{i-1/2}) / dx`, one flux for both cells at each face of axis `i`."""
        left, right = slice_in_dim(upper, 0, -1, axis=1 + i), slice_in_dim(lower, 1, None, axis=1 + i)
        return self.outflow(self.flux(self.states(i).faces(), left, right), i)

    def alone(self, lower: Array, upper: Array, i: int) -> Array:
        """`-(f(upper) - f(lower)) / dx` in each cell by itself, without ghost cells."""
        lower, upper = (slice_in_dim(w, 1, -1, axis=1 + i) for w in (lower, upper))
        flux = self.states(i).flux
        return (flux(lower) - flux(upper)) * jnp.asarray(1 / self.grid.axes[i].spacing, lower.dtype)

    def outflow(self, flux: Array, i: int) -> Array:
        """Minus the difference of face fluxes over the width of the cell."""
        loss = slice_in_dim(flux, 1, None, axis=1 + i) - slice_in_dim(flux, 0, -1, axis=1 + i)
        return loss * jnp.asarray(-1 / self.grid.axes[i].spacing, flux.dtype)

    def source(self, v: Array, t: Array) -> Array:
        """The sources of the equation at the cell centres."""
        source = _source(self.equation, GridField(v, self.grid), t)
        return jnp.zeros((), v.dtype) if source is None else source.values  # type: ignore[attr-defined]


def _source(equation: AbstractEvolution, u: GridField, t: Array) -> AbstractField | None:
    if isinstance(equation, Forced):
        inner = _source(equation.equation, u, t)
        added = u * 0.0 + equation.source.at(t=t)
        return added if inner is None else inner + added
    return equation.source(u, t)  # type: ignore[attr-defined]
