import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import d, laplacian
from ..fields import AbstractField, FunctionField, GridField, stack
from ._base import AbstractEvolution, Example, Showcase, check_positive, manufactured, parameter
from ._initial import box
from ._terms import mass, slope, square

# Waves of second order in time are written for (u, v) with u_t = v.


class Wave(AbstractEvolution):
    """Wave equation `u_tt = c^2 lap u` for (u, v): `u_t = v`, `v_t = c^2 lap u`.

    `speed` c > 0 (length per time).
    """

    speed: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("Wave", "speed", self.speed)

    def linear(self, u: AbstractField) -> AbstractField:
        return stack([u[1], self.speed**2 * laplacian(u[0])])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"momentum": mass(u[1]), "energy": (square(u[1]) + self.speed**2 * slope(u[0])) / 2}

    @classmethod
    def example(cls) -> Example:
        """The standing wave `cos(5 c t) sin(3 x) cos(4 y)`."""
        c = 0.5

        def solution(t, x, y):
            shape = jnp.sin(3 * x) * jnp.cos(4 * y)
            return jnp.cos(5 * c * t) * shape, -5 * c * jnp.sin(5 * c * t) * shape

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        return Example(cls(speed=c), field, {"x": (0.0, 2 * np.pi), "y": (0.0, 2 * np.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """The rings of a drop that falls into water."""
        drop = lambda x, y: (jnp.exp(-200 * ((x - 0.4) ** 2 + (y - 0.5) ** 2)), 0 * x)
        return Showcase(cls(), GridField.from_function(drop, box(96, 1.0, "xy")), t1=0.8, dt=0.01)


class DampedWave(AbstractEvolution):
    """Damped wave (telegraph) equation `u_tt + g u_t = c^2 lap u` for (u, v): `u_t = v`, `v_t = c^2 lap u - g v`.

    `speed` c > 0, `damping` g (per time).
    """

    speed: Array = eqx.field(converter=parameter, default=1.0)
    damping: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("DampedWave", "speed", self.speed)

    def linear(self, u: AbstractField) -> AbstractField:
        return stack([u[1], self.speed**2 * laplacian(u[0]) - self.damping * u[1]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    @classmethod
    def example(cls) -> Example:
        """`exp(-g t / 2) cos(w t) sin(2 x)` with `w^2 = 4 c^2 - g^2 / 4`."""
        c, g = 1.0, 0.8
        w = np.sqrt(4 * c**2 - g**2 / 4)

        def solution(t, x):
            shape = jnp.exp(-g * t / 2) * jnp.sin(2 * x)
            return shape * jnp.cos(w * t), -shape * (g / 2 * jnp.cos(w * t) + w * jnp.sin(w * t))

        field = FunctionField.from_function(solution, ("t", "x"))
        return Example(cls(speed=c, damping=g), field, {"x": (0.0, 2 * np.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """A pulse splits in two, which fade and leave a diffusive wake."""
        pulse = lambda x: (jnp.exp(-100 * (x - 0.5) ** 2), 0 * x)
        return Showcase(cls(damping=6.0), GridField.from_function(pulse, box(128, 1.0)), t1=0.4, dt=2.5e-3)


class KleinGordon(AbstractEvolution):
    """Klein-Gordon equation `u_tt = c^2 lap u - m^2 u - l u^3` for (u, v) with `u_t = v` (Klein 1926; Gordon 1926).

    `speed` c > 0, `mass` m and `cubic` l, which is the self-interaction of the phi-four model.
    """

    speed: Array = eqx.field(converter=parameter, default=1.0)
    mass: Array = eqx.field(converter=parameter, default=1.0)
    cubic: Array = eqx.field(converter=parameter, default=0.0)

    def __check_init__(self):
        check_positive("KleinGordon", "speed", self.speed)

    def linear(self, u: AbstractField) -> AbstractField:
        return stack([u[1], self.speed**2 * laplacian(u[0]) - self.mass**2 * u[0]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return stack([u[1] * 0.0, -self.cubic * u[0] ** 3])

    def invariants(self, u: GridField) -> dict[str, Array]:
        stored = self.speed**2 * slope(u[0]) + self.mass**2 * square(u[0]) + self.cubic * mass(u[0] ** 4) / 2
        return {"energy": (square(u[1]) + stored) / 2}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `sin(2 x - t)` with `u^3` as strong as `u`."""
        solution = FunctionField.from_function(lambda t, x: (jnp.sin(2 * x - t), -jnp.cos(2 * x - t)), ("t", "x"))
        return manufactured(cls(cubic=1.0), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """A pulse spreads by dispersion: the long waves stay behind and oscillate."""
        pulse = lambda x: (jnp.exp(-((x - 20) ** 2)), 0 * x)
        return Showcase(cls(cubic=1.0), GridField.from_function(pulse, box(256, 40.0)), t1=15.0, dt=0.05)


class SineGordon(AbstractEvolution):
    """Sine-Gordon equation `u_tt = c^2 lap u - sin u` for (u, v) with `u_t = v` (Frenkel & Kontorova 1939).

    `speed` c > 0.
    """

    speed: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("SineGordon", "speed", self.speed)

    def linear(self, u: AbstractField) -> AbstractField:
        return stack([u[1], self.speed**2 * laplacian(u[0])])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return stack([u[1] * 0.0, -u[0].map(jnp.sin, parity="odd")])

    def invariants(self, u: GridField) -> dict[str, Array]:
        pendulum = mass(1 - u[0].map(jnp.cos, parity="even"))
        return {"energy": (square(u[1]) + self.speed**2 * slope(u[0])) / 2 + pendulum}

    @classmethod
    def example(cls) -> Example:
        """The breather `4 atan(s cos(w t) / (w cosh(s x)))` with `s^2 + w^2 = 1`, periodic to rounding on a long
        domain.
        """
        w, s = 0.8, 0.6
        u = FunctionField.from_function(
            lambda t, x: 4 * jnp.arctan(s / w * jnp.cos(w * t) / jnp.cosh(s * x)), ("t", "x")
        )
        return Example(cls(), stack([u, d(u, "t")]), {"x": (-50.0, 100.0)}, nodes=384)

    @classmethod
    def showcase(cls) -> Showcase:
        """A ring-shaped kink shrinks, passes through its centre and comes back."""
        ring = lambda x, y: (4 * jnp.arctan(jnp.exp(4 - jnp.sqrt(x**2 + y**2))), 0 * x)
        return Showcase(cls(), GridField.from_function(ring, box(96, 20.0, "xy", start=-10.0)), t1=8.0, dt=0.05)
