import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array

from ..calculus import d, hilbert, integrate
from ..fields import AbstractField, FunctionField, GridField, sample
from ._base import AbstractEvolution, Example, Showcase, parameter
from ._initial import box
from ._terms import mass, self_advection, slope, square


class KortewegDeVries(AbstractEvolution):
    """Korteweg-de Vries equation `u_t + a u u_x + b u_xxx = 0` in one space dimension.

    `nonlinearity` a and `dispersion` b; the defaults 6 and 1 are the usual normal form (Zabusky & Kruskal 1965 use
    a = 1, b = 0.022^2).
    """

    nonlinearity: Array = eqx.field(converter=parameter, default=6.0)
    dispersion: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return -self.dispersion * d(u, only_axis(self, u), 3)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self.nonlinearity * self_advection(u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        energy = self.dispersion * slope(u) / 2 - self.nonlinearity * mass(u**3) / 6
        return {"mass": mass(u), "momentum": square(u) / 2, "energy": energy}

    @classmethod
    def example(cls) -> Example:
        """One soliton `c/2 sech^2(sqrt(c)/2 (x - c t))`, periodic to rounding on a long domain."""
        c = 2.0

        def solution(t, x):
            return c / 2 / jnp.cosh(jnp.sqrt(c) / 2 * (x - c * t)) ** 2

        return Example(cls(), FunctionField.from_function(solution, ("t", "x")), {"x": (-30.0, 60.0)}, nodes=512)

    @classmethod
    def showcase(cls) -> Showcase:
        """A tall soliton passes a low one and both go on as before: Hirota's (1971) two-soliton solution."""
        k, delta = (2.6, 1.6), (15.6, 3.2)

        def log_tau(x):
            # u = 2 (log tau)_xx with tau = 1 + e1 + e2 + a12 e1 e2, by logarithms that cannot overflow.
            e1, e2 = (ki * x + di for ki, di in zip(k, delta, strict=True))
            shift = 2 * np.log((k[0] - k[1]) / (k[0] + k[1]))
            return logsumexp(jnp.stack([jnp.zeros_like(x), e1, e2, e1 + e2 + shift]))

        field = 2 * d(FunctionField.from_function(log_tau, ("x",)), "x", 2)
        return Showcase(cls(), sample(field, box(256, 40.0, start=-15.0)), t1=3.0, dt=2e-3)


class ModifiedKortewegDeVries(AbstractEvolution):
    """Modified Korteweg-de Vries equation `u_t + a u^2 u_x + b u_xxx = 0` in one space dimension (Miura 1968).

    `nonlinearity` a, positive for bright solitons, and `dispersion` b.
    """

    nonlinearity: Array = eqx.field(converter=parameter, default=6.0)
    dispersion: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return -self.dispersion * d(u, only_axis(self, u), 3)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -(self.nonlinearity / 3) * d(u**3, only_axis(self, u))

    def invariants(self, u: GridField) -> dict[str, Array]:
        energy = self.dispersion * slope(u) / 2 - self.nonlinearity * mass(u**4) / 12
        return {"mass": mass(u), "momentum": square(u) / 2, "energy": energy}

    @classmethod
    def example(cls) -> Example:
        """One soliton `k sech(k x - k^3 t)`, periodic to rounding on a long domain."""
        solution = FunctionField.from_function(lambda t, x: 1 / jnp.cosh(x - t), ("t", "x"))
        return Example(cls(), solution, {"x": (-35.0, 70.0)}, nodes=512)

    @classmethod
    def showcase(cls) -> Showcase:
        """A soliton catches up with one of the opposite sign and passes through it."""
        u0 = GridField.from_function(
            lambda x: 1.5 / jnp.cosh(1.5 * (x + 8)) - 0.7 / jnp.cosh(0.7 * x), box(256, 60.0, start=-25.0)
        )
        return Showcase(cls(), u0, t1=8.0, dt=4e-3)


class Kawahara(AbstractEvolution):
    """Kawahara equation `u_t + a u u_x + b u_xxx - c u_xxxxx = 0` in one space dimension (Kawahara 1972).

    `nonlinearity` a, `dispersion` b and `fifth_order` c.
    """

    nonlinearity: Array = eqx.field(converter=parameter, default=1.0)
    dispersion: Array = eqx.field(converter=parameter, default=1.0)
    fifth_order: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        name = only_axis(self, u)
        return -self.dispersion * d(u, name, 3) + self.fifth_order * d(u, name, 5)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self.nonlinearity * self_advection(u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        bending = self.fifth_order * square(d(u, u.space_names[0], 2)) / 2
        energy = bending + self.dispersion * slope(u) / 2 - self.nonlinearity * mass(u**3) / 6
        return {"mass": mass(u), "momentum": square(u) / 2, "energy": energy}

    @classmethod
    def example(cls) -> Example:
        """The solitary wave `105/169 sech^4((x - 36 t / 169) / sqrt(52))` (Yamamoto & Takizawa 1981)."""

        def solution(t, x):
            return 105 / 169 / jnp.cosh((x - 36 / 169 * t) / np.sqrt(52)) ** 4

        return Example(cls(), FunctionField.from_function(solution, ("t", "x")), {"x": (-60.0, 120.0)}, nodes=128)

    @classmethod
    def showcase(cls) -> Showcase:
        """A pulse breaks up into solitary waves; the tall one is fast and its tails oscillate."""
        u0 = GridField.from_function(lambda x: 3 * jnp.exp(-((x / 5) ** 2)), box(256, 120.0, start=-40.0))
        return Showcase(cls(), u0, t1=40.0, dt=0.02)


class BenjaminOno(AbstractEvolution):
    """Benjamin-Ono equation `u_t + a u u_x = b H u_xx` in one space dimension (Benjamin 1967; Ono 1975): internal waves
    in deep water.

    `nonlinearity` a and `dispersion` b; H is the Hilbert transform, `H exp(ikx) = -i sign(k) exp(ikx)`, so the axis
    must be periodic and the field given on a grid (`calculus.hilbert`).
    """

    nonlinearity: Array = eqx.field(converter=parameter, default=1.0)
    dispersion: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        name = only_axis(self, u)
        return self.dispersion * hilbert(d(u, name, 2), name)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self.nonlinearity * self_advection(u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        name = u.space_names[0]
        spread = jnp.sum(integrate(u * hilbert(d(u, name), name)))
        energy = self.dispersion * spread / 2 - self.nonlinearity * mass(u**3) / 6
        return {"mass": mass(u), "momentum": square(u) / 2, "energy": energy}

    @classmethod
    def example(cls) -> Example:
        """The periodic wave `2 sinh(1) / (cosh(1) - cos(x - c t))` of speed `c = coth(1)` (Benjamin 1967)."""

        def solution(t, x):
            return 2 * np.sinh(1.0) / (np.cosh(1.0) - jnp.cos(x - t / np.tanh(1.0)))

        return Example(cls(), FunctionField.from_function(solution, ("t", "x")), {"x": (0.0, 2 * np.pi)}, nodes=64)

    @classmethod
    def showcase(cls) -> Showcase:
        """A tall algebraic soliton `4 c / (1 + c^2 x^2)` overtakes a low one."""
        soliton = lambda c, x: 4 * c / (1 + (c * x) ** 2)
        grid = box(256, 80.0, start=-30.0)
        u0 = GridField.from_function(lambda x: soliton(1.0, x + 15) + soliton(0.3, x), grid)
        return Showcase(cls(), u0, t1=40.0, dt=0.02)


def only_axis(equation: AbstractEvolution, u: AbstractField) -> str:
    """The one space coordinate. **Raises** `ValueError` if there are more."""
    if len(u.space_names) != 1:
        raise ValueError(
            f"{type(equation).__name__} is an equation in one space dimension, the field has coordinates "
            f"{u.space_names}; give it a grid with one space axis."
        )
    return u.space_names[0]
