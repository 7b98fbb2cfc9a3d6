import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import laplacian
from ..fields import AbstractField, FunctionField, GridField, stack
from ._base import AbstractEvolution, Example, Showcase, check_positive, manufactured, parameter
from ._initial import box
from ._terms import mass


class FisherKPP(AbstractEvolution):
    """Fisher-KPP equation `u_t = D lap u + r u (1 - u)` of a population that spreads (Fisher 1937; Kolmogorov,
    Petrovsky & Piskunov 1937), with fronts of speed `2 sqrt(r D)`.

    `diffusivity` D > 0 and `growth` r.
    """

    diffusivity: Array = eqx.field(converter=parameter, default=1.0)
    growth: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("FisherKPP", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * laplacian(u) + self.growth * u

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self.growth * u**2

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1/2 + sin(x - t) / 4`."""
        solution = FunctionField.from_function(lambda t, x: 0.5 + 0.25 * jnp.sin(x - t), ("t", "x"))
        return manufactured(cls(diffusivity=0.1, growth=2.0), solution, {"x": (0.0, 2 * np.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """A small colony invades an empty line."""
        u0 = GridField.from_function(lambda x: 0.5 * jnp.exp(-(x**2)), box(256, 60.0, start=-30.0))
        return Showcase(cls(), u0, t1=12.0, dt=0.05)


class LotkaVolterra(AbstractEvolution):
    """Prey u and predators v that wander: `u_t = D lap u + a u - b u v`, `v_t = E lap v - g v + h u v` (Lotka 1925;
    Volterra 1926).

    `diffusivity_u` D and `diffusivity_v` E > 0, `growth` a, `predation` b, `death` g, `conversion` h.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=1e-2)
    diffusivity_v: Array = eqx.field(converter=parameter, default=1e-2)
    growth: Array = eqx.field(converter=parameter, default=1.0)
    predation: Array = eqx.field(converter=parameter, default=1.0)
    death: Array = eqx.field(converter=parameter, default=1.0)
    conversion: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_species(self)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u) + stack([self.growth * u[0], -self.death * u[1]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        meetings = u[0] * u[1]
        return stack([-self.predation * meetings, self.conversion * meetings])

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05, 1.0, 1.5, 0.5, 0.8))

    @classmethod
    def showcase(cls) -> Showcase:
        """Waves of pursuit and evasion."""

        def start(x, y):
            return 1 + 0.8 * jnp.sin(x), 1 + 0.8 * jnp.sin(y)

        u0 = GridField.from_function(start, box(64, 2 * np.pi, "xy"))
        return Showcase(cls(2e-3, 2e-3), u0, t1=30.0, dt=0.05)


class SecondOrderReaction(AbstractEvolution):
    """Two diffusing reactants of `A + 2 B -> C`: `u_t = D lap u - k u v^2`, `v_t = E lap v - 2 k u v^2`.

    `diffusivity_u` D and `diffusivity_v` E > 0, `rate` k.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=2e-3)
    diffusivity_v: Array = eqx.field(converter=parameter, default=2e-3)
    rate: Array = eqx.field(converter=parameter, default=0.1)

    def __check_init__(self):
        check_species(self)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        speed = self.rate * (u[0] * u[1] ** 2)
        return stack([-speed, -2 * speed])

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": 2 * mass(u[0]) - mass(u[1])}

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05, 0.8))

    @classmethod
    def showcase(cls) -> Showcase:
        """Two reactants that start apart eat one another up where they meet."""
        step = lambda x: 1 / (1 + jnp.exp(-50 * x))
        slab = lambda x: step(x - 0.1) * step(0.4 - x)
        u0 = GridField.from_function(lambda x: (slab(x), slab(x - 0.45)), box(128, 1.0))
        return Showcase(cls(rate=50.0), u0, t1=4.0, dt=0.01)


class Oregonator(AbstractEvolution):
    """Belousov-Zhabotinsky reaction, `u_t = D lap u + (u - u^2 - f v (u - q) / (u + q)) / e`, `v_t = E lap v + u - v`
    (Field & Noyes 1974, reduced to two variables by Tyson & Fife 1980).

    `diffusivity_u` D and `diffusivity_v` E > 0; `stoichiometry` f, `ratio` q > 0 of rate constants and `separation`
    e > 0 of time scales. Where u is near q the reaction is fast, at a rate of about `f v / (2 q e)`, and `dt` must
    resolve it.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=1.0)
    diffusivity_v: Array = eqx.field(converter=parameter, default=0.6)
    stoichiometry: Array = eqx.field(converter=parameter, default=1.4)
    ratio: Array = eqx.field(converter=parameter, default=0.01)
    separation: Array = eqx.field(converter=parameter, default=0.05)

    def __check_init__(self):
        check_species(self)
        check_positive("Oregonator", "ratio", self.ratio)
        check_positive("Oregonator", "separation", self.separation)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        inhibition = self.stoichiometry * (u[1] * ((u[0] - self.ratio) / (u[0] + self.ratio)))
        growth = u[0].map(logistic)
        return stack([(growth - inhibition) * (1 / self.separation), u[0] - u[1]])

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05, ratio=0.2, separation=0.5))

    @classmethod
    def showcase(cls) -> Showcase:
        """A broken wave curls up into a pair of spirals."""
        rest = 0.0332

        def start(x, y):
            half = jnp.exp(-(((y - 15) / 7.5) ** 8))
            wave, wake = jnp.exp(-(((x - 15) / 1.5) ** 4)), jnp.exp(-(((x - 11.5) / 2.5) ** 4))
            return rest + 0.7 * wave * half, rest + 0.2 * wake * half

        u0 = GridField.from_function(start, box(96, 30.0, "xy"))
        return Showcase(cls(stoichiometry=1.8, separation=0.06), u0, t1=6.0, dt=4e-3)


def logistic(u: Array) -> Array:
    """`u (1 - u)`."""
    return u * (1 - u)


def spread_species(equation, u: AbstractField) -> AbstractField:
    """`(D lap u, E lap v)`."""
    return stack([equation.diffusivity_u * laplacian(u[0]), equation.diffusivity_v * laplacian(u[1])])


def check_species(equation) -> None:
    """**Raises** `ValueError` unless both diffusivities are positive."""
    name = type(equation).__name__
    check_positive(name, "diffusivity_u", equation.diffusivity_u)
    check_positive(name, "diffusivity_v", equation.diffusivity_v)


def two_species(equation) -> Example:
    """Manufactured solution `u = 1 + sin(x - t) / 3`, `v = 1 + cos(x + t / 2) / 4` of a system of two species."""
    solution = FunctionField.from_function(
        lambda t, x: (1 + jnp.sin(x - t) / 3, 1 + jnp.cos(x + t / 2) / 4), ("t", "x")
    )
    return manufactured(equation, solution, {"x": (0.0, 2 * np.pi)}, t1=0.5)
