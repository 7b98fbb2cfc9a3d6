import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import d, laplacian
from ..fields import AbstractField, FunctionField
from ._base import AbstractEvolution, Example, Forced, check_positive, parameter
from ._terms import self_advection


class Burgers(AbstractEvolution):
    """Viscous Burgers equation `u_t + (u . grad) u = nu lap u`, one channel per space axis.

    `viscosity` nu > 0 (Burgers 1948). The exact solution of `example` is Cole's and Hopf's (Hopf 1950).
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-2)

    def __check_init__(self):
        check_positive("Burgers", "viscosity", self.viscosity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.viscosity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self_advection(u)

    @classmethod
    def example(cls) -> Example:
        """`u = -2 nu phi_x / phi` with the heat solution `phi = 2 + exp(-nu t) cos x`."""
        nu = 0.2

        def solution(t, x):
            decay = jnp.exp(-nu * t)
            return 2 * nu * decay * jnp.sin(x) / (2 + decay * jnp.cos(x))

        field = FunctionField.from_function(solution, ("t", "x"))
        return Example(cls(viscosity=nu), field, {"x": (0.0, 2 * jnp.pi)})


class KortewegDeVries(AbstractEvolution):
    """Korteweg-de Vries equation `u_t + a u u_x + b u_xxx = 0` in one space dimension.

    `nonlinearity` a and `dispersion` b; the defaults 6 and 1 are the usual normal form (Zabusky & Kruskal 1965 use
    a = 1, b = 0.022^2).
    """

    nonlinearity: Array = eqx.field(converter=parameter, default=6.0)
    dispersion: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return -self.dispersion * d(u, u.space_names[0], 3)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self.nonlinearity * self_advection(u)

    @classmethod
    def example(cls) -> Example:
        """One soliton `c/2 sech^2(sqrt(c)/2 (x - c t))`, periodic to rounding on a long domain."""
        c = 2.0

        def solution(t, x):
            # Written with exp(-|s|) squared out so that the tails underflow instead of overflowing.
            s = jnp.sqrt(c) / 2 * (x - c * t)
            return c / 2 / jnp.cosh(s) ** 2

        field = FunctionField.from_function(solution, ("t", "x"))
        return Example(cls(), field, {"x": (-30.0, 60.0)})


class KuramotoSivashinsky(AbstractEvolution):
    """Kuramoto-Sivashinsky equation `u_t + u u_x + u_xx + u_xxxx = 0` in one space dimension.

    Conservative (derivative) form of Kuramoto 1978 and Sivashinsky 1977, as in Kassam & Trefethen 2005, eq. (5.1).
    `growth` multiplies `u_xx`, `damping` > 0 multiplies `u_xxxx`.
    """

    growth: Array = eqx.field(converter=parameter, default=1.0)
    damping: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("KuramotoSivashinsky", "damping", self.damping)

    def linear(self, u: AbstractField) -> AbstractField:
        name = u.space_names[0]
        return -self.growth * d(u, name, 2) - self.damping * d(u, name, 4)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self_advection(u)

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `sin(x - t)`: with it `u_xx + u_xxxx = 0`, so the source is
        `-cos(x - t) + sin(2 (x - t)) / 2`.
        """
        solution = FunctionField.from_function(lambda t, x: jnp.sin(x - t), ("t", "x"))
        source = FunctionField.from_function(lambda t, x: -jnp.cos(x - t) + jnp.sin(2 * (x - t)) / 2, ("t", "x"))
        return Example(Forced(cls(), source), solution, {"x": (0.0, 2 * jnp.pi)})


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
        """The manufactured solution `exp(-t) cos x`, whose source is `(D - 1 - r) u + r u^3`."""
        diffusivity, reaction = 0.1, 1.0
        u = FunctionField.from_function(lambda t, x: jnp.exp(-t) * jnp.cos(x), ("t", "x"))
        source = FunctionField.from_function(
            lambda t, x: (
                (diffusivity - 1 - reaction) * jnp.exp(-t) * jnp.cos(x) + reaction * (jnp.exp(-t) * jnp.cos(x)) ** 3
            ),
            ("t", "x"),
        )
        return Example(Forced(cls(diffusivity, reaction), source), u, {"x": (0.0, 2 * jnp.pi)})
