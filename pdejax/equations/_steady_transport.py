import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import advect, diffuse, upwind
from ..fields import AbstractField, FunctionField
from ._base import AbstractSteady, Example, data
from ._elliptic import check_tensor
from ._terms import transport


class SteadyAdvectionDiffusion(AbstractSteady):
    """Steady advection-diffusion `c . grad u - div(D grad u) = f`: what `AdvectionDiffusion` comes to rest at.

    `velocity` c is one number for all axes, one per axis, or a field with one channel per axis; `diffusivity` D as for
    `Darcy.permeability`; `source` f a number or field. With `upwind=True` the advection is differenced against the wind
    on `Uniform` axes (see `calculus.upwind`): first order, but without the oscillations that central differences show
    where the mesh Peclet number `|c| h / D` exceeds 2 (Roos, Stynes & Tobiska 2008, section I.2.1).
    """

    velocity: Array | AbstractField = eqx.field(converter=data, default=1.0)
    diffusivity: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)
    upwind: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_tensor("SteadyAdvectionDiffusion", "diffusivity", self.diffusivity)

    def residual(self, u: AbstractField) -> AbstractField:
        carried = transport if not isinstance(self.velocity, AbstractField) else advect
        advection = (upwind if self.upwind else carried)(self.velocity, u)
        return advection - diffuse(self.diffusivity, u) - self.source

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(pi y)` in a wind `(3, -1)` with `D = 0.1`."""
        pi = jnp.pi

        def source(x, y):
            sx, cx, sy, cy = jnp.sin(pi * x), jnp.cos(pi * x), jnp.sin(pi * y), jnp.cos(pi * y)
            return 3 * pi * cx * sy - pi * sx * cy + 0.2 * pi**2 * sx * sy

        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(pi * y), ("x", "y"))
        f = FunctionField.from_function(source, ("x", "y"))
        equation = cls(velocity=jnp.asarray((3.0, -1.0)), diffusivity=0.1, source=f)
        return Example(equation, u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})
