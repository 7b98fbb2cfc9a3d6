import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import d, diffuse, laplacian
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractEvolution, Example, Showcase, check_positive, data, manufactured, parameter
from ._initial import box
from ._terms import add, factor, mass, transport

# Nonlinear diffusion is stiff. These equations call part of it linear, `s lap u` (or `-s lap^2 u`), and the rest
# nonlinear; ETDRK4 damps the shortest waves as long as the true diffusivity stays between 0 and 2 s, where its growth
# factor for them is |2 q^4 - q^2| < 1 with q = 1 - diffusivity / s.


class FokkerPlanck(AbstractEvolution):
    """Fokker-Planck (Smoluchowski) equation `p_t = -div(m p) + D lap p` of a density of particles that drift and
    diffuse.

    `drift` m is a field with one channel per space axis, a number, or one per axis; `diffusivity` D > 0.
    """

    drift: Array | AbstractField = eqx.field(converter=data, default=0.0)
    diffusivity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("FokkerPlanck", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        if not isinstance(self.drift, AbstractField):
            return -transport(self.drift, u)
        if self.drift.channels != len(u.space_names):
            raise ValueError(
                f"FokkerPlanck needs a drift with one channel per space axis {u.space_names}, got "
                f"{self.drift.channels} channels; join components with stack."
            )
        drift = factor(self.drift, u)
        return -add(d(u * drift[i], name) for i, name in enumerate(u.space_names))

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1 + sin(x - t) cos(y) / 2` in the drift `(sin x cos y, cos x)`."""
        drift = FunctionField.from_function(lambda x, y: (jnp.sin(x) * jnp.cos(y), jnp.cos(x)), ("x", "y"))
        solution = FunctionField.from_function(lambda t, x, y: 1 + jnp.sin(x - t) * jnp.cos(y) / 2, ("t", "x", "y"))
        domain = {"x": (0.0, 2 * np.pi), "y": (0.0, 2 * np.pi)}
        return manufactured(cls(drift, 0.1), solution, domain, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Particles leave the well where they start and find the other one, of the potential
        `cos(2 x) / 2 - cos y`.
        """
        grid = box(64, 2 * np.pi, "xy", start=-np.pi)
        drift = GridField.from_function(lambda x, y: (jnp.sin(2 * x), -jnp.sin(y)), grid)
        start = lambda x, y: jnp.exp(-5 * ((x + np.pi / 2) ** 2 + y**2)) * (5 / np.pi)
        return Showcase(cls(drift, 0.5), GridField.from_function(start, grid), t1=8.0, dt=0.02)


class PorousMedium(AbstractEvolution):
    """Porous medium equation `u_t = lap(u^m)` for u > 0 (Vazquez 2007).

    `exponent` m >= 1. `splitting` s is the diffusivity treated as linear, a choice of method and not of physics: steps
    are stable for `2 s > m max(u)^(m - 1)`. Where u vanishes nothing damps the shortest waves: leave a thin film.
    """

    exponent: float = eqx.field(static=True, default=2)
    splitting: Array = eqx.field(converter=parameter, default=2.0)

    def __check_init__(self):
        if not self.exponent >= 1:
            raise ValueError(f"PorousMedium needs an exponent m >= 1, got {self.exponent}; m = 1 is Diffusion().")
        check_positive("PorousMedium", "splitting", self.splitting)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.splitting * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return laplacian(u**self.exponent - self.splitting * u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1 + sin(x - t) / 2` with m = 3."""
        solution = FunctionField.from_function(lambda t, x: 1 + 0.5 * jnp.sin(x - t), ("t", "x"))
        return manufactured(cls(exponent=3, splitting=4.0), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """The drop of Barenblatt (1952), `(1 + t)^(-1/2) - r^2 / (16 + 16 t)` inside an edge of finite speed, on a thin
        film.
        """
        drop = lambda x, y: 0.02 + jnp.maximum(1 - (x**2 + y**2) / 16, 0.0)
        u0 = GridField.from_function(drop, box(96, 20.0, "xy", start=-10.0))
        return Showcase(cls(splitting=1.2), u0, t1=10.0, dt=0.02)


class ThinFilm(AbstractEvolution):
    """Thin-film equation `h_t = -div(h^3 grad lap h)`: surface tension levels a film of height h > 0 (Oron, Davis &
    Bankoff 1997).

    `splitting` s is the mobility treated as linear, a choice of method and not of physics: steps are stable for
    `2 s > max(h)^3`.
    """

    splitting: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("ThinFilm", "splitting", self.splitting)

    def linear(self, u: AbstractField) -> AbstractField:
        return -self.splitting * laplacian(laplacian(u))

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -diffuse(u**3 - self.splitting, laplacian(u))

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1 + sin(x - t) / 4`."""
        solution = FunctionField.from_function(lambda t, x: 1 + 0.25 * jnp.sin(x - t), ("t", "x"))
        return manufactured(cls(), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """Two drops on a wet plane flow together."""
        drop = lambda x, y: jnp.exp(-(x**2 + y**2))
        u0 = GridField.from_function(
            lambda x, y: 0.2 + drop(x - 1.5, y) + drop(x + 1.5, y), box(64, 12.0, "xy", start=-6.0)
        )
        return Showcase(cls(), u0, t1=8.0, dt=0.01)


class DiffusionSorption(AbstractEvolution):
    """Diffusion with sorption, `R(u) u_t = D lap u`, `R(u) = 1 + (1 - f) / f r k n u^(n - 1)` (Freundlich isotherm),
    for a concentration u > 0; the constants are PDEBench's (Takamoto et al. 2022).

    `diffusivity` D > 0, `porosity` f, `density` r of the solid, `sorption` k and `exponent` n. The linear part is
    `D lap u`: with R > 1 the diffusivity `D / R` stays below D and steps are stable.
    """

    diffusivity: Array = eqx.field(converter=parameter, default=5e-4)
    porosity: Array = eqx.field(converter=parameter, default=0.29)
    density: Array = eqx.field(converter=parameter, default=2880.0)
    sorption: Array = eqx.field(converter=parameter, default=3.5e-4)
    exponent: float = eqx.field(static=True, default=0.874)

    def __check_init__(self):
        check_positive("DiffusionSorption", "diffusivity", self.diffusivity)
        check_positive("DiffusionSorption", "porosity", self.porosity)

    @property
    def capacity(self) -> Array:
        """`(1 - f) / f r k`."""
        return (1 - self.porosity) / self.porosity * self.density * self.sorption

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        retardation = 1 + self.capacity * self.exponent * u ** (self.exponent - 1)
        return self.linear(u) * (1 / retardation - 1)

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u + self.capacity * u**self.exponent)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `1 + sin(x - t) / 4` with D = 1/10."""
        solution = FunctionField.from_function(lambda t, x: 1 + 0.25 * jnp.sin(x - t), ("t", "x"))
        return manufactured(cls(diffusivity=0.1), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """A patch of pollutant that the ground holds back."""
        u0 = GridField.from_function(lambda x: 0.1 + jnp.exp(-200 * (x - 0.5) ** 2), box(256, 1.0))
        return Showcase(cls(), u0, t1=100.0, dt=0.5)
