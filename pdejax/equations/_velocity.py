from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import d, div, integrate, laplacian, project
from ..fields import AbstractField, FunctionField, GridField, at_nodes, stack
from ._base import AbstractEvolution, Example, Showcase, check_positive, parameter
from ._fluid import forced, source
from ._initial import box
from ._terms import add


def deviatoric_divergence(tensor: Sequence[AbstractField], names: tuple[str, ...]) -> AbstractField:
    """`div(T - T_dd I)` of a symmetric tensor given by the rows of its lower triangle.

    It differs from `div T` by a gradient, which a projection drops, and needs one transform fewer (Basdevant 1983).
    """
    size = len(names)
    last = tensor[-1]
    lower = stack([tensor[_at(i, j)] - last if i == j else tensor[_at(i, j)] for i, j in triangle(size)[:-1]])
    lower = lower.as_coefficients()
    slopes = [d(lower, name) for name in names]
    rows = [[slopes[j][_at(i, j)] for j in range(size) if i + j < 2 * size - 2] for i in range(size)]
    return stack([add(row) for row in rows])


def triangle(size: int) -> list[tuple[int, int]]:
    """Index pairs `(i, j)` with `j <= i`, row by row."""
    return [(i, j) for i in range(size) for j in range(i + 1)]


def _at(i: int, j: int) -> int:
    i, j = max(i, j), min(i, j)
    return i * (i + 1) // 2 + j


class NavierStokes(AbstractEvolution):
    """Incompressible flow by its velocity: `u_t + div(u u) + grad p = nu lap u - lambda u + f`, `div u = 0`.

    One channel per space axis, two axes or more. `viscosity` nu > 0, linear `drag` lambda (per time) and `forcing` f: a
    field of space, or a function field that may depend on `"t"` too; zero costs nothing. The Leray projection takes the
    place of the pressure, so initial fields must be free of divergence (write `project(u0)`), and the residual is for
    grid fields: functions raise `TypeError`; describe them by the vorticity or stream function.

    **Raises** `ValueError` in one dimension or for another number of channels.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-3)
    drag: Array = eqx.field(converter=parameter, default=0.0)
    forcing: Array | AbstractField | None = eqx.field(converter=source, default=0.0)

    def __check_init__(self):
        check_positive("NavierStokes", "viscosity", self.viscosity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.viscosity * laplacian(u) - self.drag * u

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return project(self.force(u, t))

    def force(self, u: AbstractField, t) -> AbstractField:
        """`f - div(u u)` before projection, up to a gradient."""
        return forced(-deviatoric_divergence(momentum_flux(u), u.space_names), self.forcing, t)

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The momentum, unless drag or a forcing with a mean change it."""
        return momentum(u)

    @classmethod
    def example(cls, ndim: int = 2) -> Example:
        """Exact solutions carried by a mean stream: Taylor-Green vortices in the plane (Taylor & Green 1937), and for
        `ndim=3` the Arnold-Beltrami-Childress flow, which is its own curl (Dombre et al. 1986).
        """
        nu, drag = 0.05, 0.1
        stream = (0.7, -0.4, 0.3)[:ndim]
        names = ("x", "y", "z")[:ndim]

        def solution(t, *place):
            fade = jnp.exp(-drag * t)
            moved = [x - c * (1 - fade) / drag for x, c in zip(place, stream, strict=True)]
            if ndim == 2:
                x, y = moved
                waves, decay = (-jnp.cos(x) * jnp.sin(y), jnp.sin(x) * jnp.cos(y)), jnp.exp(-2 * nu * t)
            else:
                waves, decay = beltrami(*moved), jnp.exp(-nu * t)
            return tuple(fade * (c + decay * wave) for c, wave in zip(stream, waves, strict=True))

        field = FunctionField.from_function(solution, ("t", *names))
        return Example(cls(nu, drag), field, {name: (0.0, 2 * jnp.pi) for name in names}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """The Taylor-Green vortex in space: vortex tubes stretch and break into small scales (Brachet et al. 1983)."""
        return Showcase(cls(viscosity=1e-2), taylor_green(32), t1=6.0, dt=0.05)


class Boussinesq(AbstractEvolution):
    """Convection in the Boussinesq approximation: `u_t + div(u u) + grad p = nu lap u + b e`, `div u = 0`,
    `b_t + div(u b) = kappa lap b - N^2 u . e`.

    Channels: the velocity u, one per space axis, then the buoyancy b (acceleration); `e` points up the last axis.
    `viscosity` nu > 0, `diffusivity` kappa > 0 and `stratification` N^2 of the background (per time squared; negative:
    heated from below). The projection is as in `NavierStokes`; the residual is for grid fields.

    **Raises** `ValueError` in one dimension or for another number of channels.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-3)
    diffusivity: Array = eqx.field(converter=parameter, default=1e-3)
    stratification: Array = eqx.field(converter=parameter, default=0.0)

    def __check_init__(self):
        check_positive("Boussinesq", "viscosity", self.viscosity)
        check_positive("Boussinesq", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        lap = laplacian(u)
        size = len(u.space_names)
        return stack([self.viscosity * lap[i] for i in range(size)] + [self.diffusivity * lap[size]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        # The buoyancy force is linear too; here it shares the projection, and the linear part stays diagonal.
        names = u.space_names
        size = len(names)
        (at,) = at_nodes(u)
        inertia = -deviatoric_divergence(momentum_flux(at), names)
        force = stack([inertia[i] for i in range(size - 1)] + [inertia[size - 1] + u[size]])
        transport = div(stack([at[i] * at[size] for i in range(size)]))
        return stack([project(force), -transport - self.stratification * u[size - 1]])

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The horizontal momentum, and `(int b)^2 + N^2 (int u . e)^2`: the mean oscillates or grows by itself."""
        total = integrate(u)
        size = len(u.space_names)
        return {
            **{f"momentum_{name}": total[i] for i, name in enumerate(u.space_names[:-1])},
            "mean": total[size] ** 2 + self.stratification * total[size - 1] ** 2,
        }

    @classmethod
    def example(cls) -> Example:
        """A plane internal gravity wave, exact at any amplitude a, carried by a mean stream c: `u = c + a m cos(theta)`
        with `m = (-k_y, k_x)`, `b = N |k| a sin(theta)`, `theta = k . (x - c t) - N k_x t / |k|`.
        """
        nu, buoyancy_frequency, speed, size = 0.04, 1.5, 0.6, 0.8
        kx, ky = 1, 2
        k2 = kx**2 + ky**2
        frequency = buoyancy_frequency * kx / k2**0.5

        def solution(t, x, y):
            phase = kx * (x - speed * t) + ky * y - frequency * t
            decay = size * jnp.exp(-nu * k2 * t)
            buoyancy = buoyancy_frequency * k2**0.5 * decay * jnp.sin(phase)
            return speed - decay * ky * jnp.cos(phase), decay * kx * jnp.cos(phase), buoyancy

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        domain = {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}
        return Example(cls(nu, nu, buoyancy_frequency**2), field, domain, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """A warm bubble rises and rolls up into a mushroom."""

        def bubble(x, y):
            warm = jnp.exp(-((x - np.pi) ** 2 + (y - 0.5 * np.pi) ** 2) / 0.3)
            return 0.0 * x, 0.0 * x, warm

        return Showcase(
            cls(2e-3, 2e-3), GridField.from_function(bubble, box(96, 2 * jnp.pi, "xy")), t1=8.0, dt=0.02, channel=2
        )


def momentum_flux(u: AbstractField) -> list[AbstractField]:
    """The products `u_i u_j`, rows of the lower triangle. **Raises** `ValueError` in one dimension."""
    if len(u.space_names) < 2:
        raise ValueError(f"incompressible flow needs two space axes or more, this field has {u.space_names}.")
    (u,) = at_nodes(u)
    return [u[i] * u[j] for i, j in triangle(len(u.space_names))]


def momentum(u: GridField) -> dict[str, Array]:
    """The integral of each velocity component."""
    return {f"momentum_{name}": total for name, total in zip(u.space_names, integrate(u), strict=True)}


def beltrami(x, y, z, a=0.5, b=0.6, c=1.0) -> tuple[Array, Array, Array]:
    """The Arnold-Beltrami-Childress flow."""
    return (
        a * jnp.sin(z) + c * jnp.cos(y),
        b * jnp.sin(x) + a * jnp.cos(z),
        c * jnp.sin(y) + b * jnp.cos(x),
    )


def taylor_green(n: int) -> GridField:
    """The Taylor-Green vortex on `n` nodes per axis of the cube of side 2 pi."""
    flow = lambda x, y, z: (
        jnp.sin(x) * jnp.cos(y) * jnp.cos(z),
        -jnp.cos(x) * jnp.sin(y) * jnp.cos(z),
        0.0 * x,
    )
    return GridField.from_function(flow, box(n, 2 * jnp.pi, "xyz"))
