import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import d, integrate, laplacian
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractEvolution, Example, Showcase, check_positive, parameter
from ._initial import box, noise
from ._terms import add, mass, self_advection, spread, square, transport

TURN = {"x": (0.0, 2 * np.pi)}
SQUARE = {"x": (0.0, 2 * np.pi), "y": (0.0, 2 * np.pi)}


class Advection(AbstractEvolution):
    """Linear advection `u_t + c . grad u = 0`.

    `velocity` c is one number for all axes or one per space axis (length per time).
    """

    velocity: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return -transport(self.velocity, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u), "energy": square(u) / 2}

    @classmethod
    def example(cls) -> Example:
        """A smooth wave `exp(sin(x - c t))`."""
        solution = FunctionField.from_function(lambda t, x: jnp.exp(jnp.sin(x - 0.7 * t)), ("t", "x"))
        return Example(cls(velocity=0.7), solution, TURN)

    @classmethod
    def showcase(cls) -> Showcase:
        """A pulse that comes back to where it started, unchanged."""
        u0 = GridField.from_function(lambda x: jnp.exp(-100 * (x - 0.3) ** 2), box(128, 1.0))
        return Showcase(cls(), u0, t1=1.0, dt=0.01)


class Diffusion(AbstractEvolution):
    """Heat equation `u_t = div(D grad u)`.

    `diffusivity` D (length squared per time) is a positive number, one per space axis, or a symmetric positive definite
    matrix.
    """

    diffusivity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_diffusivity("Diffusion", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread(self.diffusivity, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """`exp(-5 D t) sin(x) cos(2 y)`."""
        solution = FunctionField.from_function(
            lambda t, x, y: jnp.exp(-0.5 * t) * jnp.sin(x) * jnp.cos(2 * y), ("t", "x", "y")
        )
        return Example(cls(diffusivity=0.1), solution, SQUARE)

    @classmethod
    def showcase(cls) -> Showcase:
        """Noise that smooths five times faster along one diagonal than along the other."""
        matrix = jnp.asarray(((0.03, 0.02), (0.02, 0.03)))
        return Showcase(cls(diffusivity=matrix), noise(box(64, 2 * np.pi, "xy")), t1=1.0, dt=0.02)


class AdvectionDiffusion(AbstractEvolution):
    """`u_t + c . grad u = div(D grad u)`.

    `velocity` c is one number for all axes or one per axis; `diffusivity` D is a positive number, one per axis, or a
    symmetric positive definite matrix.
    """

    velocity: Array = eqx.field(converter=parameter, default=1.0)
    diffusivity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_diffusivity("AdvectionDiffusion", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return spread(self.diffusivity, u) - transport(self.velocity, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """A decaying travelling wave `exp(-D t) sin(x - c t)`."""
        solution = FunctionField.from_function(lambda t, x: jnp.exp(-0.1 * t) * jnp.sin(x - 0.5 * t), ("t", "x"))
        return Example(cls(velocity=0.5, diffusivity=0.1), solution, TURN)

    @classmethod
    def showcase(cls) -> Showcase:
        """A puff of smoke in the wind."""
        u0 = GridField.from_function(lambda x: jnp.exp(-500 * (x - 0.15) ** 2), box(128, 1.0))
        return Showcase(cls(velocity=0.6, diffusivity=3e-3), u0, t1=1.0, dt=0.01)


class Dispersion(AbstractEvolution):
    """Linear dispersion `u_t = xi sum_i u_xi,xi,xi`: waves of length l travel at a speed proportional to 1 / l^2.

    `dispersion` xi is one number for all axes or one per space axis.
    """

    dispersion: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        names = u.space_names
        scales = self.dispersion if jnp.ndim(self.dispersion) else [self.dispersion] * len(names)
        return add(scale * d(u, name, 3) for scale, name in zip(scales, names, strict=True))

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u), "energy": square(u) / 2}

    @classmethod
    def example(cls) -> Example:
        """Two waves that overtake one another, `sin(x - xi t) + cos(2 x - 8 xi t) / 2`."""
        xi = 0.3
        solution = FunctionField.from_function(
            lambda t, x: jnp.sin(x - xi * t) + 0.5 * jnp.cos(2 * x - 8 * xi * t), ("t", "x")
        )
        return Example(cls(dispersion=xi), solution, TURN)

    @classmethod
    def showcase(cls) -> Showcase:
        """Dispersive quantisation (Olver 2010): a step becomes piecewise constant at rational multiples of the
        period, here at a tenth.
        """
        u0 = GridField.from_function(lambda x: jnp.where(x < np.pi, 0.0, 1.0), box(512, 2 * np.pi))
        return Showcase(cls(), u0, t1=np.pi / 5, dt=np.pi / 500)


class HyperDiffusion(AbstractEvolution):
    """Fourth-order diffusion `u_t = -mu lap^2 u` with `diffusivity` mu > 0 (length to the fourth per time)."""

    diffusivity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("HyperDiffusion", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return -self.diffusivity * laplacian(laplacian(u))

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """`exp(-4 mu t) sin(x) cos(y)`."""
        mu = 0.1
        solution = FunctionField.from_function(
            lambda t, x, y: jnp.exp(-4 * mu * t) * jnp.sin(x) * jnp.cos(y), ("t", "x", "y")
        )
        return Example(cls(diffusivity=mu), solution, SQUARE)

    @classmethod
    def showcase(cls) -> Showcase:
        """Noise of which only the longest waves survive."""
        return Showcase(cls(diffusivity=1e-3), noise(box(64, 2 * np.pi, "xy")), t1=1.0, dt=0.02)


class Burgers(AbstractEvolution):
    """Viscous Burgers equation `u_t + (u . grad) u = nu lap u`, one channel per space axis.

    `viscosity` nu > 0 (Burgers 1948); `conservative` takes `div(u u) / 2` for `(u . grad) u`, another equation in more
    than one dimension, which conserves momentum.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-2)
    conservative: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_positive("Burgers", "viscosity", self.viscosity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.viscosity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self_advection(u, self.conservative)

    def invariants(self, u: GridField) -> dict[str, Array]:
        if not self.conservative and len(u.space_names) > 1:
            return {}
        return {f"momentum_{name}": total for name, total in zip(u.space_names, integrate(u), strict=True)}

    @classmethod
    def example(cls) -> Example:
        """`u = -2 nu phi_x / phi` with the heat solution `phi = 2 + exp(-nu t) cos x` (Hopf 1950; Cole 1951)."""
        nu = 0.2

        def solution(t, x):
            decay = jnp.exp(-nu * t)
            return 2 * nu * decay * jnp.sin(x) / (2 + decay * jnp.cos(x))

        return Example(cls(viscosity=nu), FunctionField.from_function(solution, ("t", "x")), TURN, nodes=48)

    @classmethod
    def showcase(cls) -> Showcase:
        """A sine wave that steepens into a shock."""
        u0 = GridField.from_function(lambda x: -jnp.sin(np.pi * x), box(512, 2.0, start=-1.0))
        return Showcase(cls(viscosity=0.01), u0, t1=1.0, dt=2e-3)


def check_diffusivity(equation: str, value) -> None:
    """**Raises** `ValueError` if a diffusivity known now is neither positive nor a symmetric positive definite
    matrix.
    """
    if jnp.ndim(value) < 2 or any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        return check_positive(equation, "diffusivity", value)
    matrix = np.asarray(value)
    if matrix.ndim != 2 or not np.allclose(matrix, matrix.T) or not np.linalg.eigvalsh(matrix).min() > 0:
        raise ValueError(
            f"{equation} needs a positive diffusivity; as a matrix it must be symmetric and positive definite, got "
            f"{matrix.tolist()}; write diffusivity=D @ D.T."
        )
    return None
