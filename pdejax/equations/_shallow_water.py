import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import AbstractField, FunctionField, GridField, stack
from ..grids import Grid, Reflecting, Uniform
from ._base import Example, Showcase, check_positive, manufactured, parameter
from ._hyperbolic import AbstractConservationLaw, totals, vector


class ShallowWater(AbstractConservationLaw):
    """Shallow water over a flat bed: `h_t + div m = 0`, `m_t + div(m m^T / h) + grad(g h^2 / 2) = 0`
    (Saint-Venant 1871).

    Channels: depth `h > 0` and one momentum `m = h v` per space axis. `gravity` g > 0.
    """

    gravity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("ShallowWater", "gravity", self.gravity)

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        m = vector(self, u)
        carried = [m[axis] * v for v in (p / u[0] for p in m)]
        carried[axis] = carried[axis] + u[0] ** 2 * (self.gravity * 0.5)
        return stack([m[axis], *carried])

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        v, c = u[1 + axis] / u[0], _root(u[0] * self.gravity)
        return stack([v - c, v + c])

    def positive(self, u: AbstractField) -> AbstractField:
        return u[0]

    def primitive(self, u: AbstractField) -> AbstractField:
        return stack([u[0], *(p / u[0] for p in vector(self, u))])

    def conserved(self, w: AbstractField) -> AbstractField:
        return stack([w[0], *(v * w[0] for v in vector(self, w))])

    def normal(self, axis: int) -> tuple[int, ...]:
        return (1 + axis,)

    def waves(self, left, right, axis):
        """Roe averages of Glaister 1988: velocities weighted by `sqrt(h)`, `c^2 = g (h_L + h_R) / 2`."""
        l, r = self.primitive(left), self.primitive(right)
        weight = _root(l[0]) / (_root(l[0]) + _root(r[0]))
        v = [weight * l[i] + (1 - weight) * r[i] for i in range(1, l.channels)]
        c, h = _root((l[0] + r[0]) * (self.gravity * 0.5)), _root(l[0] * r[0])
        jump, normal = r - l, v[axis]
        found = []
        for sign in (-1.0, 1.0):
            strength = (jump[0] + jump[1 + axis] * h / c * sign) * 0.5
            tail = [strength * (a + c * sign if i == axis else a) for i, a in enumerate(v)]
            found.append((normal + c * sign, stack([strength, *tail])))
        zero = normal * 0.0
        shear = stack([zero, *(zero if i == axis else h * jump[1 + i] for i in range(len(v)))])
        return [found[0], (normal, shear), found[1]]

    def contact(self, left, right, slowest, fastest, axis):
        """The shear wave: depth and normal momentum are the HLL mean, transverse velocities those of the side they come
        from (Toro 2001, chapter 10).
        """
        flux = self.flux(left, axis) - self.flux(right, axis)
        mean = (right * fastest - left * slowest + flux) / (fastest - slowest)
        sides = []
        for u in (left, right):
            parts = [mean[i] if i in (0, 1 + axis) else mean[0] * (u[i] / u[0]) for i in range(u.channels)]
            sides.append(stack(parts))
        speed = (left[1 + axis] + slowest * (mean[0] - left[0])) / mean[0]
        return speed, sides[0], sides[1]

    def invariants(self, u: GridField) -> dict[str, Array]:
        return totals(u, "mass", "momentum")

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave of depth `2 + 0.2 sin(x + y - t)`."""

        def solution(t, x, y):
            h = 2 + 0.2 * jnp.sin(x + y - t)
            return h, 0.5 + 0.1 * jnp.cos(x - t), 0.1 * jnp.sin(y + t)

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        return manufactured(cls(gravity=1.2), field, {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}, nodes=32)

    @classmethod
    def showcase(cls) -> Showcase:
        """A column of water falls in a square basin and is thrown back by its walls."""
        wall = {"length": 2.0, "start": -1.0, "lower": Reflecting(), "upper": Reflecting(), "centred": True}
        grid = Grid(x=Uniform(96, **wall), y=Uniform(96, **wall))

        def column(x, y):
            h = jnp.where((x + 0.2) ** 2 + (y + 0.1) ** 2 < 0.3**2, 2.0, 1.0)
            return h, 0 * h, 0 * h

        return Showcase(cls(), GridField.from_function(column, grid), t1=1.0, dt=2.5e-3)


def _root(u: AbstractField) -> AbstractField:
    return u.map(jnp.sqrt, parity="even")
