from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ...equations._hyperbolic import AbstractConservationLaw
from ...fields import AbstractField, GridField
from ...grids import Grid, Uniform

# Face values keep this part of the mean at least: a face that is nearly empty has momentum but no velocity worth the
# name (WENO5 on an almost dry bed blows up with 0.01 and 0.2).
_FLOOR = 0.5


class States(eqx.Module):
    """A conservation law read on arrays of states `(channels, *shape)` that live on a grid, along one of its axes.

    At the faces between cells the grid is that of the faces, so that coefficients of the law are taken where they
    belong.
    """

    law: AbstractConservationLaw
    grid: Grid
    axis: int = eqx.field(static=True)

    def beside(self, ghosts: int) -> "States":
        """The same on the cells with so many ghost cells at both ends."""
        cells = self.grid.axes[self.axis]
        h, n = cells.spacing, cells.n + 2 * ghosts
        axis = Uniform(n, length=n * h, start=float(cells.points[0]) - (ghosts + 0.5) * h, centred=True)
        return self._on(axis)

    def faces(self) -> "States":
        """The same on the faces between the cells, both ends included."""
        cells = self.grid.axes[self.axis]
        h = cells.spacing
        return self._on(Uniform(cells.n + 1, length=cells.n * h, start=float(cells.points[0]) - 0.5 * h))

    def _on(self, axis: Uniform) -> "States":
        return States(self.law, self.grid.replace(**{self.grid.names[self.axis]: axis}), self.axis)

    def field(self, states: Array) -> GridField:
        """The states as a field."""
        return GridField(states, self.grid)

    def read(self, part: Callable[[AbstractField], AbstractField], states: Array) -> Array:
        """`part(u)` for a method of the law that takes states alone."""
        return part(self.field(states)).values  # type: ignore[attr-defined]

    def flux(self, states: Array) -> Array:
        """The physical flux along the axis."""
        return self.read(lambda u: self.law.flux(u, self.axis), states)

    def speeds(self, states: Array) -> tuple[Array, Array]:
        """The smallest and the largest wave speed along the axis, each with a channel axis of one."""
        speeds = self.read(lambda u: self.law.speeds(u, self.axis), states)
        return speeds[:1], speeds[1:]

    def bounded(self, means: Array, lower: Array, upper: Array, share: float) -> tuple[Array, Array]:
        """Face values drawn towards their cell's mean until what must be positive is so (Zhang & Shu 2010).

        `share` as in the reconstruction: where it is not one half, the rest of the cell is watched too.
        """
        if self.law.positive(self.field(means)) is None:
            return lower, upper
        positive = lambda states: self.read(self.law.positive, states)
        at_mean = positive(means)
        for k in range(at_mean.shape[0]):
            mean = at_mean[k]
            points = [lower, upper]
            if share < 0.5:
                points.append((means - share * (lower + upper)) / (1 - 2 * share))
            least = jnp.min(jnp.stack([positive(p)[k] for p in points]), axis=0)
            floor = _FLOOR * mean
            short = least < floor
            keep = jnp.where(short, (mean - floor) / jnp.where(short, mean - least, 1), 1)
            keep = jnp.clip(keep, 0, 1)[None]
            lower, upper = means + keep * (lower - means), means + keep * (upper - means)
        return lower, upper
