import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import laplacian
from ..fields import AbstractField, FunctionField
from ._base import AbstractEvolution, Example, check_positive, parameter
from ._terms import transport


class Advection(AbstractEvolution):
    """Linear advection `u_t + c . grad u = 0`.

    `velocity` is one number for all axes or one per space axis (length per time).
    """

    velocity: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        return -transport(self.velocity, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    @classmethod
    def example(cls) -> Example:
        """A smooth wave `exp(sin(x - c t))`."""
        solution = FunctionField.from_function(lambda t, x: jnp.exp(jnp.sin(x - 0.7 * t)), ("t", "x"))
        return Example(cls(velocity=0.7), solution, {"x": (0.0, 2 * jnp.pi)})


class Diffusion(AbstractEvolution):
    """Heat equation `u_t = nu lap u` with `diffusivity` nu > 0 (length squared per time)."""

    diffusivity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("Diffusion", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    @classmethod
    def example(cls) -> Example:
        """`exp(-5 nu t) sin(x) cos(2 y)`."""
        solution = FunctionField.from_function(
            lambda t, x, y: jnp.exp(-0.5 * t) * jnp.sin(x) * jnp.cos(2 * y), ("t", "x", "y")
        )
        return Example(cls(diffusivity=0.1), solution, {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)})


class AdvectionDiffusion(AbstractEvolution):
    """`u_t + c . grad u = nu lap u` with `velocity` c (one number or one per axis) and `diffusivity` nu > 0."""

    velocity: Array = eqx.field(converter=parameter, default=1.0)
    diffusivity: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("AdvectionDiffusion", "diffusivity", self.diffusivity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.diffusivity * laplacian(u) - transport(self.velocity, u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0

    @classmethod
    def example(cls) -> Example:
        """A decaying travelling wave `exp(-nu t) sin(x - c t)`."""
        solution = FunctionField.from_function(lambda t, x: jnp.exp(-0.1 * t) * jnp.sin(x - 0.5 * t), ("t", "x"))
        return Example(cls(velocity=0.5, diffusivity=0.1), solution, {"x": (0.0, 2 * jnp.pi)})
