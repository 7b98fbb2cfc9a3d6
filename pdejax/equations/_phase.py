import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import diffuse, laplacian
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractEvolution, Example, Showcase, check_positive, manufactured, parameter
from ._initial import box, noise
from ._terms import check_complex, mass


class AllenCahn(AbstractEvolution):
    """Allen-Cahn equation `u_t = D lap u + r (u - u^3)` (Allen & Cahn 1979), `diffusivity` D > 0 and `reaction` r."""

    diffusivity: Array = eqx.field(converter=parameter, default=1e-2)
    reaction: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("AllenCahn", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * laplacian(u) + self.reaction * u

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self.reaction * u**3

    @classmethod
    def example(cls) -> Example:
        """The manufactured solution `exp(-t) cos x`."""
        solution = FunctionField.from_function(lambda t, x: jnp.exp(-t) * jnp.cos(x), ("t", "x"))
        return manufactured(cls(diffusivity=0.1), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """Two phases separate and their walls straighten."""
        return Showcase(cls(diffusivity=1e-3), 0.1 * noise(box(96, 1.0, "xy")), t1=20.0, dt=0.1)


class CahnHilliard(AbstractEvolution):
    """Cahn-Hilliard equation `u_t = div(M grad(u^3 - u - g lap u))` (Cahn & Hilliard 1958).

    `interface` g > 0 is the square of a wall's thickness, `mobility` M > 0; if `degenerate`, M is `mobility (1 - u^2)`,
    which leaves only diffusion along the walls (Cahn, Elliott & Novick-Cohen 1996). The linear part then is that of the
    constant mobility, and the nonlinear one the rest, which keeps steps stable for |u| <= 1.
    """

    interface: Array = eqx.field(converter=parameter, default=1e-3)
    mobility: Array = eqx.field(converter=parameter, default=1.0)
    degenerate: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_positive("CahnHilliard", "interface", self.interface)
        check_positive("CahnHilliard", "mobility", self.mobility)

    def linear(self, u: AbstractField) -> AbstractField:
        return -self.mobility * laplacian(u + self.interface * laplacian(u))

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        if not self.degenerate:
            return self.mobility * laplacian(u**3)
        potential = u**3 - u - self.interface * laplacian(u)
        return self.mobility * diffuse(1 - u**2, potential) - self.linear(u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves `(cos(x - t) + sin 2 x) / 4`, with degenerate mobility."""
        solution = FunctionField.from_function(lambda t, x: 0.25 * (jnp.cos(x - t) + jnp.sin(2 * x)), ("t", "x"))
        equation = cls(interface=0.1, mobility=0.5, degenerate=True)
        return manufactured(equation, solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """Spinodal decomposition: a quenched mixture separates and coarsens."""
        return Showcase(cls(interface=4e-4), 0.1 * noise(box(64, 1.0, "xy")), t1=0.1, dt=1e-4)


class SwiftHohenberg(AbstractEvolution):
    """Swift-Hohenberg equation `u_t = r u - (1 + lap)^2 u + g u^2 - u^3` (Swift & Hohenberg 1977): stripes, or hexagons
    if g is large.

    `growth` r of waves of length 2 pi and `quadratic` g.
    """

    growth: Array = eqx.field(converter=parameter, default=0.3)
    quadratic: Array = eqx.field(converter=parameter, default=0.0)

    def linear(self, u: AbstractField) -> AbstractField:
        bent = laplacian(u)
        return (self.growth - 1) * u - 2 * bent - laplacian(bent)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return self.quadratic * u**2 - u**3

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves `cos(x - t) + exp(-t) sin 2 x`."""
        solution = FunctionField.from_function(lambda t, x: jnp.cos(x - t) + jnp.exp(-t) * jnp.sin(2 * x), ("t", "x"))
        return manufactured(cls(quadratic=0.5), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """Hexagons grow out of noise."""
        return Showcase(cls(growth=0.1, quadratic=1.0), 0.1 * noise(box(64, 16 * np.pi, "xy")), t1=100.0, dt=0.2)


class GinzburgLandau(AbstractEvolution):
    """Complex Ginzburg-Landau equation `u_t = u + (1 + i b) lap u - (1 + i c) |u|^2 u` (Aranson & Kramer 2002).

    `dispersion` b and `detuning` c, both real; plane waves are unstable for `1 + b c < 0`. Grid fields must be complex.
    """

    dispersion: Array = eqx.field(converter=parameter, default=0.0)
    detuning: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        check_complex("GinzburgLandau", u)
        spread = laplacian(u)
        return u + spread + 1j * (self.dispersion * spread)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        cube = u * u * u.conj()
        return -(cube + 1j * (self.detuning * cube))

    @classmethod
    def example(cls) -> Example:
        """The plane wave `sqrt(1 - q^2) exp(i (q x - w t))` with `w = c + (b - c) q^2`."""
        b, c, q = 0.5, 1.5, 0.5

        def solution(t, x):
            amplitude, phase = np.sqrt(1 - q**2), q * x - (c + (b - c) * q**2) * t
            return jax.lax.complex(amplitude * jnp.cos(phase), amplitude * jnp.sin(phase))

        field = FunctionField.from_function(solution, ("t", "x"))
        return Example(cls(dispersion=b, detuning=c), field, {"x": (0.0, 4 * np.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Spiral waves out of noise."""
        re, im = 0.1 * noise(box(64, 60.0, "xy"), channels=2).values
        u0 = GridField(jax.lax.complex(re, im)[None], box(64, 60.0, "xy"))
        return Showcase(cls(detuning=1.2), u0, t1=80.0, dt=0.1)
