"""Nonlinear elliptic equations, each the stationarity of an energy."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import integrate
from ..fields import AbstractField, FunctionField
from ._base import AbstractVariational, Example, check_positive, data, parameter


class QuasilinearPoisson(AbstractVariational):
    """`-div(a(|grad u|) grad u) + g(u) = f`, stationary for `E(u) = int Phi(|grad u|^2) / 2 + G(u) - f u dx`.

    `density` is the function `Phi` of `s = |grad u|^2`, so that `a = Phi'(s)`; `potential` is `G` with `g = G'` (none:
    `g = 0`); both act point by point on arrays and may hold parameters (any callable module). `source` f is a number or
    a field. The operator is elliptic where `Phi' > 0` and `Phi' + 2 s Phi'' > 0` (Ladyzhenskaya & Ural'tseva 1968).
    On sine axes `G` is taken for even.
    """

    density: Callable
    potential: Callable | None = None
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def energy(self, u: AbstractField) -> Array:
        # Fresh closures, because expressions keep functions as labels and a module with arrays is none.
        stored = 0.5 * square_slope(u).map(lambda s: self.density(s), "even")
        held = 0.0 if self.potential is None else u.map(lambda v: self.potential(v), "even")
        return integrate(stored + held - load(self.source, u))

    @classmethod
    def example(cls) -> Example:
        """`a = 1 + s / 2`, `g(u) = u^3` and the source that makes `u = sin(pi x) sin(pi y)` exact."""
        return with_source(lambda f: cls(_stiffening, _quartic, f))


class PLaplace(AbstractVariational):
    """`-div((|grad u|^2 + e^2)^((p - 2) / 2) grad u) = f`.

    The minimiser of `int (|grad u|^2 + e^2)^(p/2) / p - f u dx`, convex for `exponent` p > 1; the `regularisation`
    e >= 0 keeps the operator elliptic where the gradient vanishes (Glowinski & Marrocco 1975), and the solution differs
    from that of e = 0 by a power of e. `source` f is a number or a field. With e = 0 the derivative of the residual at
    `u = 0` is singular (p > 2) or infinite (p < 2).

    **Raises** `ValueError` for p <= 1.
    """

    exponent: Array = eqx.field(converter=parameter, default=4.0)
    regularisation: Array = eqx.field(converter=parameter, default=0.1)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def __check_init__(self):
        p = self.exponent
        if not isinstance(p, jax.core.Tracer) and eqx.is_array_like(p) and not np.min(np.asarray(p)) > 1:
            raise ValueError(
                f"the p-Laplace energy is convex for exponents above one, got exponent={float(np.min(p)):g}; "
                "write exponent=1.5, or MinimalSurface() for linear growth."
            )

    def energy(self, u: AbstractField) -> Array:
        half = self.exponent / 2
        stored = (square_slope(u) + self.regularisation**2) ** half * (0.5 / half)
        return integrate(stored - load(self.source, u))

    @classmethod
    def example(cls) -> Example:
        """p = 4, e = 1/2 and the source that makes `u = sin(pi x) sin(pi y)` exact."""
        return with_source(lambda f: cls(4.0, 0.5, f))


class MinimalSurface(AbstractVariational):
    """`-div(grad u / sqrt(1 + |grad u|^2)) = f`: graphs of mean curvature `-f / d`, for f = 0 of least area.

    The minimiser of `int sqrt(1 + |grad u|^2) - f u dx` (Lagrange 1762) among graphs with the same boundary; `source` f
    is a number or a field, and must be small for a solution to exist (on a disc of radius R: |f| <= d / R).
    """

    source: Array | AbstractField = eqx.field(converter=data, default=0.0)

    def energy(self, u: AbstractField) -> Array:
        return integrate((square_slope(u) + 1.0) ** 0.5 - load(self.source, u))

    @classmethod
    def example(cls) -> Example:
        """The source that makes `u = sin(pi x) sin(pi y) / 10` exact."""
        return with_source(cls, 0.1)


class PoissonBoltzmann(AbstractVariational):
    """`-div(e grad u) + k^2 sinh(u) = f` for the potential u of a symmetric electrolyte (Gouy 1910, Chapman 1913).

    The minimiser of the convex energy `int e |grad u|^2 / 2 + k^2 (cosh(u) - 1) - f u dx`; `permittivity` e > 0,
    `screening` k (the inverse Debye length for e = 1) and `source` f, fixed charges, are numbers or fields.
    """

    permittivity: Array | AbstractField = eqx.field(converter=data, default=1.0)
    screening: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def __check_init__(self):
        check_positive("PoissonBoltzmann", "permittivity", self.permittivity)

    def energy(self, u: AbstractField) -> Array:
        ions = self.screening * self.screening * u.map(_cosh_minus_one, "even")
        return integrate(0.5 * self.permittivity * square_slope(u) + ions - load(self.source, u))

    @classmethod
    def example(cls) -> Example:
        """`e = 1`, `k = 2` and the source that makes `u = sin(pi x) sin(pi y)` exact."""
        return with_source(lambda f: cls(1.0, 2.0, f))


class Bratu(AbstractVariational):
    """`-lap u - l e^u = f`, stationary for `E(u) = int |grad u|^2 / 2 - l e^u - f u dx` (Bratu 1914).

    Thermal explosion (Frank-Kamenetskii 1939) with `rate` l; with zero Dirichlet values and f = 0 there are two
    solutions below a critical rate, 3.513830719 on the unit interval and 6.808124 on the unit square, and none above.
    The energy is unbounded below; the lower solution is a local minimiser. On sine axes `e^u` is read at the nodes as
    odd across the ends, as any source is.
    """

    rate: Array = eqx.field(converter=parameter, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=0.0)

    def energy(self, u: AbstractField) -> Array:
        return integrate(0.5 * square_slope(u) - self.rate * u.map(jnp.exp, "even") - load(self.source, u))

    @classmethod
    def example(cls) -> Example:
        """`l = 1` and the source that makes `u = sin(pi x) sin(pi y)` exact."""
        return with_source(lambda f: cls(1.0, f))


class GinzburgLandauSteady(AbstractVariational):
    """`-e^2 lap u + (|u|^2 - 1) u = f`, stationary for `int e^2 |grad u|^2 / 2 + (1 - |u|^2)^2 / 4 - f u dx`.

    Ginzburg & Landau 1950 without magnetic field; `length` e is the coherence length and u has any number of channels:
    one for a real order parameter (steady Allen-Cahn), two for the real and imaginary part of a complex one, whose
    zeros are vortices (Bethuel, Brezis & Helein 1994): write `SteadyProblem(equation, grid, channels=2)`. `source` f is
    a number or a field with one channel or as many as u. The energy is not convex: besides minimisers there are saddle
    points, among them `u = 0` for f = 0.
    """

    length: Array = eqx.field(converter=parameter, default=0.1)
    source: Array | AbstractField = eqx.field(converter=data, default=0.0)

    def energy(self, u: AbstractField) -> Array:
        size = _sum(u[c] ** 2 for c in range(u.channels))
        stored = 0.5 * self.length**2 * square_slope(u) + 0.25 * (size - 1.0) ** 2
        return integrate(stored - load(self.source, u))

    @classmethod
    def example(cls) -> Example:
        """`e = 1/2` and the source that makes `u = sin(pi x) sin(pi y)` exact."""
        return with_source(lambda f: cls(0.5, f))


def square_slope(u: AbstractField) -> AbstractField:
    """`|grad u|^2` over the space axes and all channels, one channel."""
    return _sum(u[c].derivative(name) ** 2 for c in range(u.channels) for name in u.space_names)


def load(source: Array | AbstractField, u: AbstractField) -> AbstractField:
    """`f . u` for a source that is a number, a field of one channel, or one with as many channels as u."""
    several = isinstance(source, AbstractField) and source.channels > 1
    return _sum((source[c] if several else source) * u[c] for c in range(u.channels))


def with_source(equation: Callable[..., AbstractVariational], size: float = 1.0) -> Example:
    """The source that makes `u = size sin(pi x) sin(pi y)` exact: the residual of the equation without one."""
    u = FunctionField.from_function(lambda x, y: size * jnp.sin(jnp.pi * x) * jnp.sin(jnp.pi * y), ("x", "y"))
    return Example(equation(equation(0.0).residual(u)), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})


def _sum(terms) -> AbstractField:
    first, *rest = terms
    return sum(rest, first)


def _stiffening(s: Array) -> Array:
    return s + 0.25 * s**2


def _quartic(v: Array) -> Array:
    return 0.25 * v**4


def _cosh_minus_one(v: Array) -> Array:
    return 2.0 * jnp.sinh(0.5 * v) ** 2
