from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import StaggeredFlow
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractSteady, Example, check_positive, parameter
from ._staggered import flow_of, force_at, vector, wall_velocities


class Stokes(AbstractSteady):
    """Slow viscous flow `-nu lap u + grad p = f`, `div u = 0`, on a staggered grid (Harlow & Welch 1965).

    Channels: the velocity, one per axis, each at the upper faces of the cells along its axis (`StaggeredFlow`), then
    the pressure at the centres. Axes are `Uniform(n, centred=True)` with `Dirichlet()` ends, which are walls with the
    velocities given here, or `Periodic()` ones. Differences are of second order, the operator symmetric indefinite.

    The pressure is known up to a constant, and so is the velocity where no axis has walls: the equations solved are
    `-div u - mean(p) = 0`, and `mean(u)` is added to the momentum of a flow without walls. So `mean(p) = 0` whenever
    the walls let in as much as out; what they do not is spread over all cells, `div u = -mean(p)`.

    **Arguments:** `viscosity` nu > 0; `force` f: one entry (number or function field) per axis, or a field with one
    channel per axis (a grid field holds component i where that of the velocity is stored); `walls`: by axis name the
    velocities `(lower, upper)`, each `None` (at rest), one entry per axis, or a function field of the coordinates along
    the wall: `{"y": (None, (1.0, 0.0))}` is a moving lid.

    **Raises** `ValueError` for other axes, channels or walls, `TypeError` for fields without a grid.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1.0)
    force: Any = eqx.field(converter=vector, default=None)
    walls: dict = eqx.field(converter=wall_velocities, default=None)

    def __check_init__(self):
        check_positive("Stokes", "viscosity", self.viscosity)

    def residual(self, u: AbstractField) -> GridField:
        flow = self.flow(u)
        return _balance(flow, u, self.viscosity, self.force, [0.0] * flow.ndim)

    def flow(self, u: GridField) -> StaggeredFlow:
        """The velocity of `u` with the walls of this equation, to be read at centres or points, or drawn."""
        return flow_of(u, self.walls)


class SteadyNavierStokes(AbstractSteady):
    """Steady incompressible flow `div(u u) - nu lap u + grad p = f`, `div u = 0`, on a staggered grid, second order.

    Channels, axes, arguments and errors as for `Stokes`; convection by central means, which conserve momentum and
    kinetic energy (Harlow & Welch 1965), so that cells wider than `2 nu / |u|` may show wiggles.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-2)
    force: Any = eqx.field(converter=vector, default=None)
    walls: dict = eqx.field(converter=wall_velocities, default=None)

    def __check_init__(self):
        check_positive("SteadyNavierStokes", "viscosity", self.viscosity)

    def residual(self, u: AbstractField) -> GridField:
        flow = self.flow(u)
        return _balance(flow, u, self.viscosity, self.force, [flow.convection(i) for i in range(flow.ndim)])

    def flow(self, u: GridField) -> StaggeredFlow:
        """The velocity of `u` with the walls of this equation, to be read at centres or points, or drawn."""
        return flow_of(u, self.walls)

    @classmethod
    def kovasznay(cls) -> Example:
        """Kovasznay's flow behind a grid of spacing one at Reynolds number 20 (Kovasznay 1948), with a given velocity
        on all walls of a box of width one and height one.
        """
        nu = 1 / 20
        rate = 1 / (2 * nu) - (1 / (4 * nu**2) + 4 * jnp.pi**2) ** 0.5

        def velocity(x, y):
            decay = jnp.exp(rate * x)
            return 1 - decay * jnp.cos(2 * jnp.pi * y), rate / (2 * jnp.pi) * decay * jnp.sin(2 * jnp.pi * y)

        def solution(x, y):
            return *velocity(x, y), (1 - jnp.exp(2 * rate * x)) / 2

        wall = FunctionField.from_function(velocity, ("x", "y"))
        flow = FunctionField.from_function(solution, ("x", "y"))
        domain = {"x": (-0.5, 1.0), "y": (-0.5, 1.0)}
        return Example(cls(nu, None, {"x": (wall, wall), "y": (wall, wall)}), flow, domain, nodes=64)


def _balance(flow: StaggeredFlow, u: GridField, viscosity: Array, force, convection: list) -> GridField:
    size, dtype = flow.ndim, u.dtype
    pressure, nu = u.values[size], jnp.asarray(viscosity).astype(dtype)
    rows = []
    for i in range(size):
        row = convection[i] - nu * flow.laplacian(i) + flow.gradient(pressure, i) - force_at(force, flow.grid, i, dtype)
        if not any(flow.walls):
            row = row + jnp.mean(flow.velocity[i])
        rows.append(flow.with_wall(row, u.values[i] - flow.velocity[i], i))
    continuity = -flow.divergence() - jnp.mean(pressure)
    return GridField(jnp.stack([*rows, continuity]), u.grid.with_axes(axis.free for axis in u.grid.axes))
