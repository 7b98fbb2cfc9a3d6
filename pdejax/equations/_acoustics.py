import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import inner, integrate
from ..fields import AbstractField, FunctionField, GridField, stack
from ..grids import Grid, Periodic, Reflecting, Uniform
from ._base import Example, Showcase, check_positive, parameter
from ._hyperbolic import AbstractLinearLaw, totals, vector


class Acoustics(AbstractLinearLaw):
    """Linear sound `p_t + K div v = 0`, `v_t + grad p / rho = 0`; channels `p, v_1, ..` (LeVeque 2002, eq. 2.50).

    `bulk_modulus` K > 0 and `density` rho > 0: sound speed `sqrt(K / rho)`, impedance `sqrt(K rho)`.
    """

    bulk_modulus: Array = eqx.field(converter=parameter, default=1.0)
    density: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("Acoustics", "bulk_modulus", self.bulk_modulus)
        check_positive("Acoustics", "density", self.density)

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        return _flux(self, u, axis, self.bulk_modulus, 1 / self.density)

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        return _speeds(u, self.bulk_modulus / self.density)

    def normal(self, axis: int) -> tuple[int, ...]:
        return (1 + axis,)

    def waves(self, left, right, axis):
        return _waves(left, right, axis, self.bulk_modulus, 1 / self.density)

    def invariants(self, u: GridField) -> dict[str, Array]:
        energy = inner(u, u) / 2
        compressed, moving = energy[0] / self.bulk_modulus, jnp.sum(energy[1:]) * self.density
        return {**totals(u, "pressure", "velocity"), "energy": compressed + moving}

    @classmethod
    def example(cls) -> Example:
        """A plane wave along (1, -1)."""
        bulk_modulus, density = 1.5, 0.6
        frequency, impedance = (2 * bulk_modulus / density) ** 0.5, (2 * bulk_modulus * density) ** 0.5

        def solution(t, x, y):
            p = jnp.exp(jnp.sin(x - y - frequency * t))
            return p, p / impedance, -p / impedance

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        return Example(cls(bulk_modulus, density), field, {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """A clap in the corner of a room echoes from its walls."""
        wall = {"lower": Reflecting(), "upper": Reflecting(), "centred": True}
        grid = Grid(x=Uniform(96, **wall), y=Uniform(96, **wall))

        def clap(x, y):
            p = jnp.exp(-((x - 0.3) ** 2 + (y - 0.4) ** 2) / 0.05**2)
            return p, 0 * p, 0 * p

        return Showcase(cls(), GridField.from_function(clap, grid), t1=0.6, dt=2.5e-3)


class LinearShallowWater(AbstractLinearLaw):
    """Small waves on a rotating layer: `h_t + H div v = 0`, `v_t + f e_z x v + g grad h = 0`; channels `h, v_1, ..`.

    `depth` H > 0 at rest, `gravity` g > 0, `coriolis` f, which plays a part on two space axes only
    (Vallis 2017, section 3.8).
    """

    depth: Array = eqx.field(converter=parameter, default=1.0)
    gravity: Array = eqx.field(converter=parameter, default=1.0)
    coriolis: Array = eqx.field(converter=parameter, default=0.0)

    def __check_init__(self):
        check_positive("LinearShallowWater", "depth", self.depth)
        check_positive("LinearShallowWater", "gravity", self.gravity)

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        return _flux(self, u, axis, self.depth, self.gravity)

    def source(self, u: AbstractField, t) -> AbstractField | None:
        if len(u.space_names) != 2:
            return None
        return stack([u[0] * 0.0, self.coriolis * u[2], -self.coriolis * u[1]])

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        return _speeds(u, self.depth * self.gravity)

    def normal(self, axis: int) -> tuple[int, ...]:
        return (1 + axis,)

    def waves(self, left, right, axis):
        return _waves(left, right, axis, self.depth, self.gravity)

    def invariants(self, u: GridField) -> dict[str, Array]:
        energy = inner(u, u) / 2
        return {
            "mass": integrate(u[0])[0],
            "energy": self.gravity * energy[0] + self.depth * jnp.sum(energy[1:]),
        }

    @classmethod
    def example(cls) -> Example:
        """A Poincare wave along (k, l) = (1, 2): `w^2 = f^2 + g H (k^2 + l^2)`."""
        depth, gravity, coriolis, k, l = 0.7, 1.3, 0.9, 1.0, 2.0
        w = (coriolis**2 + gravity * depth * (k**2 + l**2)) ** 0.5
        a = gravity / (w**2 - coriolis**2)

        def solution(t, x, y):
            cos, sin = jnp.cos(k * x + l * y - w * t), jnp.sin(k * x + l * y - w * t)
            return cos, a * (w * k * cos - coriolis * l * sin), a * (w * l * cos + coriolis * k * sin)

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        square = {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}
        return Example(cls(depth, gravity, coriolis), field, square, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Geostrophic adjustment (Rossby 1938): a heap at rest sheds waves and leaves a vortex that the rotation
        holds.
        """
        ends = {"lower": Periodic(), "upper": Periodic(), "centred": True}
        grid = Grid(x=Uniform(96, length=20.0, start=-10.0, **ends), y=Uniform(96, length=20.0, start=-10.0, **ends))

        def heap(x, y):
            h = jnp.exp(-(x**2 + y**2) / 2)
            return h, 0 * h, 0 * h

        return Showcase(cls(coriolis=1.0), GridField.from_function(heap, grid), t1=8.0, dt=0.05)


def _flux(law: AbstractLinearLaw, u: AbstractField, axis: int, stiffness: Array, lightness: Array) -> AbstractField:
    v = vector(law, u)
    push = [u[0] * lightness if i == axis else u[0] * 0.0 for i in range(len(v))]
    return stack([v[axis] * stiffness, *push])


def _speeds(u: AbstractField, square: Array) -> AbstractField:
    zero, c = u[0] * 0.0, jnp.sqrt(square)
    return stack([zero - c, zero + c])


def _waves(left, right, axis: int, stiffness: Array, lightness: Array):
    jump, c, impedance = right - left, jnp.sqrt(stiffness * lightness), jnp.sqrt(stiffness / lightness)
    zero, normal = jump[0] * 0.0, 1 + axis
    found = []
    for sign in (-1.0, 1.0):
        strength = (jump[0] + jump[normal] * (sign * impedance)) * 0.5
        parts = [strength * (sign / impedance) if i == normal else zero for i in range(1, jump.channels)]
        found.append((zero + sign * c, stack([strength, *parts])))
    shear = stack([zero if i in (0, normal) else jump[i] for i in range(jump.channels)])
    return [found[0], (zero, shear), found[1]]
