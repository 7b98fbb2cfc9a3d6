import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import diffuse, grad, inner, integrate, laplacian
from ..fields import AbstractField, FunctionField
from ._base import AbstractSteady, AbstractVariational, Example, check_positive, data, parameter


class Poisson(AbstractSteady):
    """Poisson equation `-lap u = f`; `source` f is a number or a field."""

    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def residual(self, u: AbstractField) -> AbstractField:
        return -laplacian(u) - self.source

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(2 pi y)`, zero on the edges of the unit square and periodic on twice its length."""
        pi = jnp.pi
        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y"))
        f = FunctionField.from_function(lambda x, y: 5 * pi**2 * jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y"))
        return Example(cls(source=f), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})


class Darcy(AbstractSteady):
    """Darcy flow `-div(a grad u) = f` for the pressure u; `permeability` a > 0 and `source` f are numbers or fields.

    On `Uniform` axes the operator is the conservative flux form with arithmetic face means.
    """

    permeability: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def __check_init__(self):
        check_positive("Darcy", "permeability", self.permeability)

    def residual(self, u: AbstractField) -> AbstractField:
        return -diffuse(self.permeability, u) - self.source

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(pi y)` with `a = 2 + cos(pi x) cos(pi y)` and the source worked out by hand."""
        pi = jnp.pi

        def source(x, y):
            sx, cx, sy, cy = jnp.sin(pi * x), jnp.cos(pi * x), jnp.sin(pi * y), jnp.cos(pi * y)
            # -div(a grad u) = -a lap u - grad a . grad u
            return 2 * pi**2 * (2 + cx * cy) * sx * sy + pi**2 * (sx * cy * cx * sy + cx * sy * sx * cy)

        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(pi * y), ("x", "y"))
        a = FunctionField.from_function(lambda x, y: 2 + jnp.cos(pi * x) * jnp.cos(pi * y), ("x", "y"))
        f = FunctionField.from_function(source, ("x", "y"))
        return Example(cls(permeability=a, source=f), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})


class Helmholtz(AbstractSteady):
    """Helmholtz equation `-lap u - k^2 u = f`; `wavenumber` k and `source` f are numbers or fields."""

    wavenumber: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def residual(self, u: AbstractField) -> AbstractField:
        return -laplacian(u) - self.wavenumber**2 * u - self.source

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(2 pi y)` with `k = 5`."""
        pi, k = jnp.pi, 5.0
        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y"))
        f = FunctionField.from_function(
            lambda x, y: (5 * pi**2 - k**2) * jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y")
        )
        return Example(cls(wavenumber=k, source=f), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})


class SemilinearPoisson(AbstractVariational):
    """`-lap u + c u^3 = f` as the minimiser of `E(u) = int |grad u|^2 / 2 + c u^4 / 4 - f u dx`.

    `cubic` c and `source` f; for c >= 0 the energy is convex and the solution unique.
    """

    source: Array | AbstractField = eqx.field(converter=data, default=1.0)
    cubic: Array = eqx.field(converter=parameter, default=1.0)

    def energy(self, u: AbstractField) -> Array:
        slope = grad(u)
        parts = [inner(slope[i], slope[i]) for i in range(slope.channels)]
        return 0.5 * sum(parts[1:], parts[0]) + 0.25 * integrate(self.cubic * u**4) - integrate(self.source * u)

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(pi y)`, hence `f = 2 pi^2 u + u^3`."""
        pi = jnp.pi
        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(pi * y), ("x", "y"))
        f = FunctionField.from_function(
            lambda x, y: 2 * pi**2 * jnp.sin(pi * x) * jnp.sin(pi * y) + (jnp.sin(pi * x) * jnp.sin(pi * y)) ** 3,
            ("x", "y"),
        )
        return Example(cls(source=f), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})
