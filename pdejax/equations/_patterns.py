import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import AbstractField, GridField, stack
from ._base import AbstractEvolution, Example, Showcase, parameter
from ._initial import box, noise
from ._reaction import check_species, spread_species, two_species


class GrayScott(AbstractEvolution):
    """Gray-Scott model `u_t = D lap u - u v^2 + F (1 - u)`, `v_t = E lap v + u v^2 - (F + k) v` (Gray & Scott 1984),
    with the diffusivities of Pearson 1993.

    `diffusivity_u` D and `diffusivity_v` E > 0, `feed` F and `kill` k rates.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=2e-5)
    diffusivity_v: Array = eqx.field(converter=parameter, default=1e-5)
    feed: Array = eqx.field(converter=parameter, default=0.04)
    kill: Array = eqx.field(converter=parameter, default=0.06)

    def __check_init__(self):
        check_species(self)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u) - stack([self.feed * u[0], (self.feed + self.kill) * u[1]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        made = u[0] * u[1] ** 2
        return stack([self.feed - made, made])

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05))

    @classmethod
    def showcase(cls) -> Showcase:
        """Spots that grow and divide like cells."""

        def start(x, y):
            squares = [(0.3, 0.4), (0.65, 0.6)]
            v = sum(jnp.exp(-(((x - a) / 0.08) ** 8) - ((y - b) / 0.08) ** 8) for a, b in squares)
            return 1 - 0.5 * v, 0.25 * v

        u0 = GridField.from_function(start, box(64, 1.0, "xy"))
        return Showcase(cls(feed=0.03, kill=0.062), u0, t1=2500.0, dt=2.5, channel=1)


class Brusselator(AbstractEvolution):
    """Brusselator `u_t = D lap u + a - (b + 1) u + u^2 v`, `v_t = E lap v + b u - u^2 v` (Prigogine & Lefever 1968):
    oscillations for `b > 1 + a^2`, Turing patterns for `b > (1 + a sqrt(D / E))^2`.

    `diffusivity_u` D and `diffusivity_v` E > 0, `feed` a and `conversion` b.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=2.0)
    diffusivity_v: Array = eqx.field(converter=parameter, default=16.0)
    feed: Array = eqx.field(converter=parameter, default=4.5)
    conversion: Array = eqx.field(converter=parameter, default=7.5)

    def __check_init__(self):
        check_species(self)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u) - stack([(self.conversion + 1) * u[0], u[1] * 0.0])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        made = u[0] ** 2 * u[1]
        return stack([made + self.feed, self.conversion * u[0] - made])

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05, 1.0, 2.0))

    @classmethod
    def showcase(cls) -> Showcase:
        """Turing's spots and stripes out of noise."""
        return Showcase(cls(), _rest(4.5, 7.5 / 4.5, box(64, 50.0, "xy")), t1=40.0, dt=0.04)


class Schnakenberg(AbstractEvolution):
    """Schnakenberg model `u_t = D lap u + g (a - u + u^2 v)`, `v_t = E lap v + g (b - u^2 v)` (Schnakenberg 1979).

    `diffusivity_u` D and `diffusivity_v` E > 0, `rate` g, `feed_u` a and `feed_v` b.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=1.0)
    diffusivity_v: Array = eqx.field(converter=parameter, default=40.0)
    rate: Array = eqx.field(converter=parameter, default=1.0)
    feed_u: Array = eqx.field(converter=parameter, default=0.1)
    feed_v: Array = eqx.field(converter=parameter, default=0.9)

    def __check_init__(self):
        check_species(self)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u) - stack([self.rate * u[0], u[1] * 0.0])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        made = u[0] ** 2 * u[1]
        return self.rate * stack([made + self.feed_u, self.feed_v - made])

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05))

    @classmethod
    def showcase(cls) -> Showcase:
        """Spots on a coat out of noise."""
        return Showcase(cls(), _rest(1.0, 0.9, box(64, 60.0, "xy")), t1=80.0, dt=0.1)


class FitzHughNagumo(AbstractEvolution):
    """FitzHugh-Nagumo model `u_t = D lap u + u - u^3 - v - k`, `v_t = E lap v + e (u - g v)` (FitzHugh 1961; Nagumo,
    Arimoto & Yoshizawa 1962); the defaults are those of PDEBench (Takamoto et al. 2022).

    `diffusivity_u` D and `diffusivity_v` E > 0, `threshold` k, `rate` e and `recovery` g.
    """

    diffusivity_u: Array = eqx.field(converter=parameter, default=1e-3)
    diffusivity_v: Array = eqx.field(converter=parameter, default=5e-3)
    threshold: Array = eqx.field(converter=parameter, default=5e-3)
    rate: Array = eqx.field(converter=parameter, default=1.0)
    recovery: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_species(self)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread_species(self, u) + stack([u[0], -self.rate * self.recovery * u[1]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return stack([-(u[0] ** 3) - u[1] - self.threshold, self.rate * u[0]])

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves of `two_species`."""
        return two_species(cls(0.1, 0.05, rate=0.5, recovery=0.8))

    @classmethod
    def showcase(cls) -> Showcase:
        """The labyrinth that noise grows into."""
        return Showcase(cls(), 0.5 * noise(box(64, 2.0, "xy", start=-1.0), 2), t1=20.0, dt=0.05)


def _rest(u: float, v: float, grid) -> GridField:
    """The state of rest (u, v) with a little noise."""
    start = 0.1 * noise(grid, 2)
    return stack([start[0] + u, start[1] + v])
