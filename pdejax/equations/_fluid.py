import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import advect, curl, inverse_laplacian, laplacian
from ..fields import AbstractField, FunctionField
from ._base import AbstractEvolution, Example, check_positive, parameter


class NavierStokesVorticity(AbstractEvolution):
    """Incompressible flow in the plane by its vorticity: `w_t + v . grad w = nu lap w`, `v = curl psi`, `-lap psi = w`.

    `viscosity` nu > 0. With `curl psi = (psi_y, -psi_x)` the vorticity is `w = dv_y/dx - dv_x/dy`. Grid fields invert
    the Laplacian (the mean vorticity of a periodic box plays no part); a function field must be given as
    `w = -laplacian(psi)`, from which the stream function is read off.

    **Raises** `ValueError` unless there are two space axes.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-3)

    def __check_init__(self):
        check_positive("NavierStokesVorticity", "viscosity", self.viscosity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.viscosity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        velocity = curl(-inverse_laplacian(u))
        return -advect(velocity, u)

    @classmethod
    def example(cls) -> Example:
        """Taylor-Green vortices on a uniform stream-function scale, `psi = exp(-2 nu t) cos x cos y`
        (Taylor & Green 1937).
        """
        nu = 0.05
        psi = FunctionField.from_function(
            lambda t, x, y: jnp.exp(-2 * nu * t) * jnp.cos(x) * jnp.cos(y), ("t", "x", "y")
        )
        return Example(cls(viscosity=nu), -laplacian(psi), {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)})
