import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import AbstractField, FunctionField, GridField, stack
from ..grids import Grid, Periodic, Uniform
from ._base import Example, Showcase, check_positive, parameter
from ._hyperbolic import AbstractConservationLaw, totals, vector


class CompressibleEuler(AbstractConservationLaw):
    """Gas dynamics without viscosity (Euler 1757): `rho_t + div m = 0`, `m_t + div(m m^T / rho) + grad p = 0`,
    `E_t + div((E + p) m / rho) = 0`, `p = (gamma - 1)(E - |m|^2 / (2 rho))`.

    Channels: density `rho > 0`, one momentum `m = rho v` per space axis, energy `E` per volume. `gamma` > 1 is the
    ratio of specific heats. Equation numbers are those of Toro 2009.

    **Raises** `ValueError` for `gamma <= 1`.
    """

    gamma: Array = eqx.field(converter=parameter, default=1.4)

    def __check_init__(self):
        check_positive("CompressibleEuler", "gamma - 1", self.gamma - 1)

    def pressure(self, u: AbstractField) -> AbstractField:
        """`p` of conserved variables."""
        m = vector(self, u, 2)
        return (u[-1] - _sum(p**2 for p in m) / u[0] * 0.5) * (self.gamma - 1)

    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        p = self.pressure(u)
        v = u[1 + axis] / u[0]
        carried = [m * v for m in vector(self, u, 2)]
        carried[axis] = carried[axis] + p
        return stack([u[1 + axis], *carried, (u[-1] + p) * v])

    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        v, c = u[1 + axis] / u[0], _root(self.pressure(u) / u[0] * self.gamma)
        return stack([v - c, v + c])

    def positive(self, u: AbstractField) -> AbstractField:
        return stack([u[0], self.pressure(u)])

    def primitive(self, u: AbstractField) -> AbstractField:
        return stack([u[0], *(m / u[0] for m in vector(self, u, 2)), self.pressure(u)])

    def conserved(self, w: AbstractField) -> AbstractField:
        v = vector(self, w, 2)
        energy = w[-1] * (1 / (self.gamma - 1)) + w[0] * _sum(a**2 for a in v) * 0.5
        return stack([w[0], *(w[0] * a for a in v), energy])

    def normal(self, axis: int) -> tuple[int, ...]:
        return (1 + axis,)

    def waves(self, left, right, axis):
        """Roe averages weighted by `sqrt(rho)` (eqs. 11.60); entropy and shear are one wave."""
        l, r = self.primitive(left), self.primitive(right)
        weight = _root(l[0]) / (_root(l[0]) + _root(r[0]))
        mean = lambda a, b: weight * a + (1 - weight) * b
        v = [mean(l[i], r[i]) for i in range(1, l.channels - 1)]
        enthalpy = mean((left[-1] + l[-1]) / l[0], (right[-1] + r[-1]) / r[0])
        kinetic = _sum(a**2 for a in v) * 0.5
        square = (enthalpy - kinetic) * (self.gamma - 1)
        c, rho, normal = _root(square), _root(l[0] * r[0]), v[axis]
        jump = r - l
        found = []
        for sign in (-1.0, 1.0):
            strength = (jump[-1] + jump[1 + axis] * rho * c * sign) / square * 0.5
            tail = [strength * (a + c * sign if i == axis else a) for i, a in enumerate(v)]
            found.append((normal + c * sign, stack([strength, *tail, strength * (enthalpy + normal * c * sign)])))
        entropy = jump[0] - jump[-1] / square
        shear = [normal * 0.0 if i == axis else rho * jump[1 + i] for i in range(len(v))]
        work = _sum(a * s for a, s in zip(v, shear, strict=True))
        middle = stack([entropy, *(entropy * a + s for a, s in zip(v, shear, strict=True)), entropy * kinetic + work])
        return [found[0], (normal, middle), found[1]]

    def contact(self, left, right, slowest, fastest, axis):
        """Speed and states of eqs. (10.37) and (10.39), after Toro, Spruce & Speares 1994."""
        l, r = self.primitive(left), self.primitive(right)
        a, b = l[0] * (slowest - l[1 + axis]), r[0] * (fastest - r[1 + axis])
        speed = (r[-1] - l[-1] + a * l[1 + axis] - b * r[1 + axis]) / (a - b)
        sides = []
        for u, w, s in ((left, l, slowest), (right, r, fastest)):
            inflow, v = s - w[1 + axis], w[1 + axis]
            density = w[0] * inflow / (s - speed)
            rest = [density * (speed if i == axis else w[1 + i]) for i in range(w.channels - 2)]
            energy = density * (u[-1] / w[0] + (speed - v) * (speed + w[-1] / (w[0] * inflow)))
            sides.append(stack([density, *rest, energy]))
        return speed, sides[0], sides[1]

    def invariants(self, u: GridField) -> dict[str, Array]:
        return totals(u, "mass", "momentum", "energy")

    @classmethod
    def example(cls) -> Example:
        """A density wave carried by a stream of constant velocity and pressure."""
        gamma, v, w, p = 1.4, 0.6, -0.3, 0.8

        def solution(t, x, y):
            rho = 1 + 0.2 * jnp.sin(x - v * t) * jnp.cos(y - w * t)
            return rho, v * rho, w * rho, p / (gamma - 1) + rho * (v**2 + w**2) / 2

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        return Example(cls(gamma), field, {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}, nodes=32)

    @classmethod
    def showcase(cls) -> Showcase:
        """Kelvin-Helmholtz billows: a heavy stream between light ones that flow the other way."""
        law = cls()
        grid = Grid(**{name: Uniform(96, lower=Periodic(), upper=Periodic(), centred=True) for name in "xy"})

        def streams(x, y):
            inside = (jnp.tanh((y - 0.25) / 0.025) - jnp.tanh((y - 0.75) / 0.025)) / 2
            ripple = 0.05 * jnp.sin(4 * jnp.pi * x) * jnp.sin(2 * jnp.pi * y)
            return 1 + inside, inside - 0.5, ripple, 2.5 + 0 * x

        return Showcase(law, law.conserved(GridField.from_function(streams, grid)).as_values(), t1=1.5, dt=1.25e-3)


def _root(u: AbstractField) -> AbstractField:
    return u.map(jnp.sqrt, parity="even")


def _sum(terms):
    first, *rest = terms
    return sum(rest, first)
