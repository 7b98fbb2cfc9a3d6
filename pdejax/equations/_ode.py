import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import shift
from ..fields import AbstractField, FunctionField, GridField, stack
from ..grids import Grid, Periodic, Uniform
from ._base import AbstractEvolution, Example, Showcase, manufactured, parameter
from ._terms import add


class Lorenz63(AbstractEvolution):
    """Lorenz 1963, eqs. (25)-(27): `X_t = sigma (Y - X)`, `Y_t = X (rho - Z) - Y`, `Z_t = X Y - beta Z`.

    Three channels; every node of the grid is one member of an ensemble, and a function of `"t"` alone is one orbit.
    `prandtl` sigma, `rayleigh` rho (relative to its critical value) and `aspect` beta. Members do not interact only if
    products are taken at the nodes: use a periodic `Uniform` axis, or `dealias=1` on spectral ones.
    """

    prandtl: Array = eqx.field(converter=parameter, default=10.0)
    rayleigh: Array = eqx.field(converter=parameter, default=28.0)
    aspect: Array = eqx.field(converter=parameter, default=8 / 3)

    def linear(self, u: AbstractField) -> AbstractField:
        return stack([-self.prandtl * u[0], -u[1], -self.aspect * u[2]])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return stack([self.prandtl * u[1], u[0] * (self.rayleigh - u[2]), u[0] * u[1]])

    @classmethod
    def example(cls) -> Example:
        """A manufactured family of orbits `(cos(t + x), sin(t - x), 2 + cos(t) sin(x))`."""

        def orbit(t, x):
            return jnp.cos(t + x), jnp.sin(t - x), 2 + jnp.cos(t) * jnp.sin(x)

        field = FunctionField.from_function(orbit, ("t", "x"))
        return manufactured(cls(), field, {"x": (0.0, 2 * jnp.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """An ensemble that starts almost together and spreads over the attractor."""
        grid = _lattice(64)
        nudge = 1e-3 * np.random.default_rng(0).standard_normal(64)
        return Showcase(
            cls(), GridField.from_function(lambda x: (1 + nudge, 1 + 0 * x, 20 + 0 * x), grid), t1=20.0, dt=0.01
        )


class Lorenz96(AbstractEvolution):
    """Lorenz 1996: `X_i' = (X_{i+1} - X_{i-2}) X_{i-1} - X_i + F` on sites one unit of length apart on a circle.

    One channel on a periodic first axis whose length is its number of nodes, `Uniform(n, n, lower=Periodic(),
    upper=Periodic())` or `Fourier(n, length=n)` with `dealias=1` (products are taken at the sites); further axes hold
    an ensemble. `forcing` F = 8 is chaotic. On functions, neighbours are values one unit away.
    """

    forcing: Array = eqx.field(converter=parameter, default=8.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return -u

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        x = u.space_names[0]
        return (shift(u, x, 1) - shift(u, x, -2)) * shift(u, x, -1) + self.forcing

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1 + sin(2 pi x / 16 - t)` on 16 sites."""
        wave = FunctionField.from_function(lambda t, x: 1 + jnp.sin(2 * jnp.pi / 16 * x - t), ("t", "x"))
        return manufactured(cls(), wave, {"x": (0.0, 16.0)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Waves grow on 40 sites at rest, all but one, and become chaotic."""
        u0 = GridField.from_function(lambda x: jnp.where(x == 20, 8.01, 8.0), _lattice(40))
        return Showcase(cls(), u0, t1=20.0, dt=0.01)


class TwoScaleLorenz96(AbstractEvolution):
    """Lorenz 1996 with J fast variables at every site:
    `X_k' = (X_{k+1} - X_{k-2}) X_{k-1} - X_k + F - (h c / b) sum_j Y_{j,k}`,
    `Y_{j,k}' = c b (Y_{j-1,k} - Y_{j+2,k}) Y_{j+1,k} - c Y_{j,k} + (h c / b) X_k`, where `Y_{J+1,k} = Y_{1,k+1}`.

    Channels: X, then Y_1 to Y_J, two or more, on an axis as in `Lorenz96`. `forcing` F, `coupling` h, `time_ratio` c
    and `space_ratio` b.

    **Raises** `ValueError` for fewer than three channels.
    """

    forcing: Array = eqx.field(converter=parameter, default=10.0)
    coupling: Array = eqx.field(converter=parameter, default=1.0)
    time_ratio: Array = eqx.field(converter=parameter, default=10.0)
    space_ratio: Array = eqx.field(converter=parameter, default=10.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return stack([-u[0], *(-self.time_ratio * u[j] for j in range(1, u.channels))])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        c, b, x = self.time_ratio, self.space_ratio, u.space_names[0]
        exchange = self.coupling * c / b
        slow, *fast = (u[j] for j in range(u.channels))
        if len(fast) < 2:
            raise ValueError(f"TwoScaleLorenz96 needs X and two or more Y at every site, got {u.channels} channels.")
        # The fast variables of all sites form one circle, of which this is a piece with its neighbours.
        ring = [shift(fast[-1], x, -1), *fast, shift(fast[0], x, 1), shift(fast[1], x, 1)]
        load = Lorenz96(self.forcing).nonlinear(slow, t) - exchange * add(fast)
        return stack(
            [load] + [c * b * (ring[j] - ring[j + 3]) * ring[j + 2] + exchange * slow for j in range(len(fast))]
        )

    @classmethod
    def example(cls) -> Example:
        """Manufactured waves on 16 sites with three fast variables each."""

        def waves(t, x):
            phase = 2 * jnp.pi / 16 * x
            return 1 + jnp.sin(phase - t), jnp.cos(phase + t), 0.5 * jnp.sin(2 * phase), jnp.cos(t) * jnp.cos(phase)

        field = FunctionField.from_function(waves, ("t", "x"))
        return manufactured(cls(time_ratio=3.0, space_ratio=2.0), field, {"x": (0.0, 16.0)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """36 sites with ten fast variables each, the setting of Lorenz 1996: bursts ride on the slow waves."""
        grid, rng = _lattice(36), np.random.default_rng(0)
        values = np.concatenate([8 + rng.standard_normal((1, 36)), 0.1 * rng.standard_normal((10, 36))])
        return Showcase(cls(), GridField(jnp.asarray(values, jnp.result_type(float)), grid), t1=10.0, dt=0.002)


def _lattice(n: int) -> Grid:
    return Grid(x=Uniform(n, length=n, lower=Periodic(), upper=Periodic()))
