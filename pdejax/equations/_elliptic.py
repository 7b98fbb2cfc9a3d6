import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import diffuse, grad, inner, integrate, laplacian
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractSteady, AbstractVariational, Example, check_positive, data, parameter
from ._terms import factor


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


class ScreenedPoisson(AbstractSteady):
    """Screened Poisson equation `-lap u + kappa^2 u = f`, also of Debye & Hueckel (1923) and Yukawa.

    `screening` kappa (1 / screening length) and `source` f are numbers or fields. With kappa large in part of the
    domain the solution vanishes there: bodies embedded in a simple grid (volume penalisation, Angot, Bruneau & Fabrie
    1999); a body held at g wants `kappa^2 g` in the source.
    """

    screening: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def residual(self, u: AbstractField) -> AbstractField:
        return -laplacian(u) + factor(self.screening, u) ** 2 * u - self.source

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(2 pi y)` with `kappa = 3`."""
        pi, kappa = jnp.pi, 3.0
        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y"))
        f = FunctionField.from_function(
            lambda x, y: (5 * pi**2 + kappa**2) * jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y")
        )
        return Example(cls(screening=kappa, source=f), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})


class Darcy(AbstractSteady):
    """Darcy flow `-div(a grad u) = f` for the pressure u; `permeability` a > 0 and `source` f are numbers or fields.

    A tensor permeability is an array with one entry per axis or a symmetric positive definite matrix of them, or a
    field with one channel per axis (a diagonal tensor) or one for each entry of the matrix, row by row. On `Uniform`
    axes the operator is the conservative flux form with arithmetic face means, of nine points for full tensors (see
    `calculus.diffuse`); a Neumann slope there gives the normal flux `a_nn slope`.

    **Raises** `ValueError` if a permeability known now is not positive (definite) everywhere.
    """

    permeability: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def __check_init__(self):
        check_tensor("Darcy", "permeability", self.permeability)

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
    """Helmholtz equation `-lap u - (k^2 + i eps) u = f` for time-harmonic waves `Re u exp(-i omega t)`.

    `wavenumber` k, `damping` eps and `source` f are numbers or fields; with damping the solution is complex. Without
    (`damping=None`) the equation is real, and singular where `k^2` is an eigenvalue of `-lap`. Waves leave through
    `Robin(-1j * k)` ends of `Uniform` axes, which also need a complex field.
    """

    wavenumber: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)
    damping: Array | AbstractField | None = eqx.field(converter=data, default=None)

    @property
    def is_complex(self) -> bool:
        return self.damping is not None

    def residual(self, u: AbstractField) -> AbstractField:
        oscillation = -laplacian(u) - factor(self.wavenumber, u) ** 2 * u
        if self.damping is not None:
            oscillation = oscillation - 1j * (factor(self.damping, u) * u)
        return oscillation - self.source

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


def check_tensor(equation: str, name: str, value) -> None:
    """**Raises** `ValueError` if a coefficient known now (a number, the entries of a diagonal or full tensor, a field
    of one of these) is not positive, as a full tensor not symmetric and positive definite, everywhere.
    """
    tensor = _full_tensor(value)
    if tensor is None:
        return check_positive(equation, name, value)
    symmetric = np.allclose(tensor, np.swapaxes(tensor, -1, -2))
    lowest = np.linalg.eigvalsh(tensor).min()
    if not symmetric or not lowest > 0:
        raise ValueError(
            f"{equation} needs a symmetric positive definite tensor {name}, got "
            f"{f'the eigenvalue {lowest:g}' if symmetric else 'one that is not symmetric'}; write {name}=L @ L.T with "
            "an invertible L at every point."
        )
    return None


def _full_tensor(value) -> np.ndarray | None:
    """The matrices `(..., ndim, ndim)` of a full tensor known now, else `None`."""
    if isinstance(value, GridField):
        ndim = value.grid.ndim
        if ndim == 1 or value.channels != ndim**2 or isinstance(value.data, jax.core.Tracer):
            return None
        last = np.moveaxis(np.asarray(value.values), 0, -1)
        return last.reshape(*last.shape[:-1], ndim, ndim)
    known = not isinstance(value, AbstractField | jax.core.Tracer)
    return np.asarray(value) if known and jnp.ndim(value) == 2 else None
