import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import AbstractField, FunctionField, GridField, stack
from ..grids import Dirichlet, Grid, Outflow, Periodic, Uniform
from ._base import Example, Showcase, check_positive, entry, manufactured, parameter
from ._hyperbolic import AbstractConservationLaw, totals


class InviscidBurgers(AbstractConservationLaw):
    """Inviscid Burgers equation `u_t + sum_i (u^2 / 2)_{x_i} = 0` (Burgers 1948): smooth data steepen into shocks."""

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        return u**2 * 0.5

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        return stack([u, u])

    def waves(self, left, right, axis):
        return [((left + right) * 0.5, right - left)]

    def invariants(self, u: GridField) -> dict[str, Array]:
        return totals(u, "mass")

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1 + sin(x - t) / 2`."""
        solution = FunctionField.from_function(lambda t, x: 1 + jnp.sin(x - t) / 2, ("t", "x"))
        return manufactured(cls(), solution, {"x": (0.0, 2 * jnp.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """A sine wave on a stream steepens into one travelling shock, a saw tooth."""
        grid = Grid(x=Uniform(256, lower=Periodic(), upper=Periodic(), centred=True))
        u0 = GridField.from_function(lambda x: 0.5 + jnp.sin(2 * jnp.pi * x), grid)
        return Showcase(cls(), u0, t1=0.5, dt=1e-3)


class TrafficFlow(AbstractConservationLaw):
    """Cars on a road, `u_t + (v u (1 - u / m))_x = 0` for their density u (Lighthill & Whitham 1955, Richards 1956).

    `speed` v > 0 of a free car (length per time) and `jam` m > 0, the density at which all stand; the linear law of
    speed is Greenshields' (1935).

    **Raises** `ValueError` on more than one space axis.
    """

    speed: Array = eqx.field(converter=parameter, default=1.0)
    jam: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("TrafficFlow", "speed", self.speed)
        check_positive("TrafficFlow", "jam", self.jam)

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        if len(u.space_names) != 1:
            raise ValueError(f"a road has one space axis, this field has {u.space_names}; write Grid(x=...).")
        return self.speed * u * (1 - u * (1 / self.jam))

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        speed = self.speed * (1 - u * (2 / self.jam))
        return stack([speed, speed])

    def waves(self, left, right, axis):
        return [(self.speed * (1 - (left + right) * (1 / self.jam)), right - left)]

    def invariants(self, u: GridField) -> dict[str, Array]:
        return totals(u, "cars")

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `0.4 + 0.2 sin(x - 0.3 t)`."""
        solution = FunctionField.from_function(lambda t, x: 0.4 + 0.2 * jnp.sin(x - 0.3 * t), ("t", "x"))
        return manufactured(cls(speed=0.8, jam=1.2), solution, {"x": (0.0, 2 * jnp.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """A queue before a traffic light that turns green: it dissolves at the front while cars still join its tail."""
        grid = Grid(x=Uniform(256, length=4.0, start=-2.0, lower=Outflow(), upper=Outflow(), centred=True))
        u0 = GridField.from_function(lambda x: jnp.where(x > 0, 0.0, jnp.where(x > -1, 1.0, 0.3)), grid)
        return Showcase(cls(), u0, t1=1.5, dt=5e-3)


class BuckleyLeverett(AbstractConservationLaw):
    """Water driving oil out of rock, `u_t + sum_i (v_i f(u))_{x_i} = 0`, `f = u^2 / (u^2 + a (1 - u)^2)`.

    Saturation u in [0, 1] of water (Buckley & Leverett 1942, with quadratic mobilities); `velocity` v of the whole flow
    (one number or one per axis), `ratio` a > 0 of the viscosity of water to that of oil. The flux is not convex: a
    shock is followed by a rarefaction.
    """

    velocity: Array = eqx.field(converter=parameter, default=1.0)
    ratio: Array = eqx.field(converter=parameter, default=0.5)

    def __check_init__(self):
        check_positive("BuckleyLeverett", "ratio", self.ratio)

    def _mobility(self, u: AbstractField) -> AbstractField:
        return u**2 + self.ratio * (1 - u) ** 2

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        return entry(self.velocity, axis) * (u**2 / self._mobility(u))

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        s = np.linspace(0, 1, 1025).astype(self.ratio.dtype)
        steepest = jnp.max(2 * self.ratio * s * (1 - s) / (s**2 + self.ratio * (1 - s) ** 2) ** 2)
        fastest, zero = entry(self.velocity, axis) * steepest, u * 0.0
        return stack([zero + jnp.minimum(fastest, 0), zero + jnp.maximum(fastest, 0)])

    def waves(self, left, right, axis):
        chord = (left + right - left * right * 2.0) / (self._mobility(left) * self._mobility(right))
        return [(entry(self.velocity, axis) * self.ratio * chord, right - left)]

    def invariants(self, u: GridField) -> dict[str, Array]:
        return totals(u, "water")

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `0.5 + 0.2 sin(x - t)`."""
        solution = FunctionField.from_function(lambda t, x: 0.5 + 0.2 * jnp.sin(x - t), ("t", "x"))
        return manufactured(cls(ratio=0.8), solution, {"x": (0.0, 2 * jnp.pi)}, nodes=48)

    @classmethod
    def showcase(cls) -> Showcase:
        """Water enters dry rock at the left: a front with a rarefaction behind it."""
        grid = Grid(x=Uniform(256, lower=Dirichlet(1.0), upper=Outflow(), centred=True))
        u0 = GridField.from_function(lambda x: x * 0.0, grid)
        return Showcase(cls(ratio=0.25), u0, t1=0.4, dt=5e-4)
