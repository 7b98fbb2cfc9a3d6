import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import advect, curl, d, fractional_laplacian, inner, integrate, inverse_laplacian, laplacian
from ..fields import AbstractField, FunctionField, GridField, sample
from ._base import AbstractEvolution, Example, Showcase, parameter
from ._convection import vorticity_convection
from ._initial import box


class SurfaceQuasiGeostrophic(AbstractEvolution):
    """Surface quasi-geostrophic flow: `theta_t + v . grad theta = -kappa (-lap)^alpha theta`,
    `v = curl (-lap)^(-1/2) theta`.

    theta is the buoyancy (potential temperature) at the surface, kappa >= 0 the `diffusivity` and alpha the `power` of
    the dissipation (1: diffusion, 1/2: Ekman pumping); Constantin, Majda & Tabak 1994, Held et al. 1995. Square roots
    of the Laplacian are taken in the modes of a grid: function fields raise `TypeError`.

    **Raises** `ValueError` unless there are two space axes.
    """

    diffusivity: Array = eqx.field(converter=parameter, default=1e-3)
    power: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * fractional_laplacian(u, self.power)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -advect(curl(-fractional_laplacian(u, -0.5)), u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The mean of theta."""
        return {"buoyancy": integrate(u)[0]}

    @classmethod
    def example(cls) -> Example:
        """Waves of one length, whose interactions cancel: `exp(-kappa 5^alpha t) (cos(x + 2 y) + cos(2 x - y) / 2)`."""
        kappa, power = 0.05, 0.7

        def solution(t, x, y):
            return jnp.exp(-kappa * 5**power * t) * (jnp.cos(x + 2 * y) + 0.5 * jnp.cos(2 * x - y))

        field = FunctionField.from_function(solution, ("t", "x", "y"))
        return Example(cls(kappa, power), field, {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """The saddle of Constantin, Majda & Tabak 1994, on which a front sharpens."""
        u0 = GridField.from_function(lambda x, y: jnp.sin(x) * jnp.sin(y) + jnp.cos(y), box(128, 2 * jnp.pi, "xy"))
        return Showcase(cls(diffusivity=1e-3), u0, t1=6.5, dt=0.02)


class HasegawaMima(AbstractEvolution):
    """Drift waves in a magnetised plasma (and Rossby waves on a beta plane): `q_t + v . grad q = kappa d phi/dy`,
    `q = lap phi - phi`, `v = (-phi_y, phi_x)`.

    The unknown is q, phi the electric potential, lengths are in ion sound radii and times in cyclotron periods;
    `drift` kappa is the inverse length of the density gradient along the first axis (Hasegawa & Mima 1978). A function
    field must be given as `laplacian(phi) - phi`.

    **Raises** `ValueError` unless there are two space axes.
    """

    drift: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.drift * d(inverse_laplacian(u, shift=1.0), u.space_names[-1])

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        # v . grad phi = 0, so q may be replaced by lap phi, the vorticity of the stream function -phi.
        return -vorticity_convection(-inverse_laplacian(u, shift=1.0))

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The mean of q, the energy `int (phi^2 + |grad phi|^2) / 2` and the enstrophy `int q^2 / 2`."""
        phi = inverse_laplacian(u, shift=1.0)
        return {
            "charge": integrate(u)[0],
            "energy": -0.5 * inner(phi, u)[0],
            "enstrophy": 0.5 * inner(u, u)[0],
        }

    @classmethod
    def example(cls) -> Example:
        """Two drift waves of one length, whose interaction cancels, with frequency `kappa k_y / (1 + |k|^2)`."""
        drift = 1.3

        def potential(t, x, y):
            first, second = x + 2 * y - drift * 2 / 6 * t, 2 * x - y + drift / 6 * t
            return jnp.cos(first) + 0.5 * jnp.cos(second)

        phi = FunctionField.from_function(potential, ("t", "x", "y"))
        domain = {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}
        return Example(cls(drift), laplacian(phi) - phi, domain, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """A vortex drifts, leaves its axis and radiates a wake of drift waves."""
        vortex = lambda x, y: jnp.exp(-((x - 12) ** 2 + (y - 12) ** 2) / 4)
        phi = FunctionField.from_function(vortex, ("x", "y"))
        return Showcase(cls(drift=0.5), sample(laplacian(phi) - phi, box(96, 24.0, "xy")), t1=20.0, dt=0.02)
