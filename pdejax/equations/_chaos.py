import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import advect, d, grad, laplacian
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractEvolution, Example, Showcase, check_positive, manufactured, parameter
from ._initial import box, noise
from ._terms import mass, self_advection


class KuramotoSivashinsky(AbstractEvolution):
    """Kuramoto-Sivashinsky equation `u_t + u u_x + a u_xx + b u_xxxx = 0` in one space dimension.

    Derivative form of Kuramoto 1978 and Sivashinsky 1977, as in Kassam & Trefethen 2005, eq. (5.1); `growth` a,
    `damping` b > 0.
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

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `sin(x - t)`."""
        solution = FunctionField.from_function(lambda t, x: jnp.sin(x - t), ("t", "x"))
        return manufactured(cls(), solution, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """Spatio-temporal chaos out of two waves (Kassam & Trefethen 2005, section 5)."""
        u0 = GridField.from_function(lambda x: jnp.cos(x / 16) * (1 + jnp.sin(x / 16)), box(128, 32 * np.pi))
        return Showcase(cls(), u0, t1=150.0, dt=0.25)


class KuramotoSivashinskyPotential(AbstractEvolution):
    """Kuramoto-Sivashinsky equation of a front's height, `h_t + |grad h|^2 / 2 + a lap h + b lap^2 h = 0`, in any
    dimension (Sivashinsky 1977); in one, `u = h_x` obeys `KuramotoSivashinsky`.

    `growth` a, `damping` b > 0. The mean height drifts.
    """

    growth: Array = eqx.field(converter=parameter, default=1.0)
    damping: Array = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        check_positive("KuramotoSivashinskyPotential", "damping", self.damping)

    def linear(self, u: AbstractField) -> AbstractField:
        curvature = laplacian(u)
        return -self.growth * curvature - self.damping * laplacian(curvature)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -0.5 * advect(grad(u), u)

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves `sin(x - t) + cos(x + y) / 2`."""
        solution = FunctionField.from_function(
            lambda t, x, y: jnp.sin(x - t) + 0.5 * jnp.cos(x + y + 0.5 * t), ("t", "x", "y")
        )
        return manufactured(cls(), solution, {"x": (0.0, 2 * np.pi), "y": (0.0, 2 * np.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """The cells of a flame front, dividing and merging."""
        return Showcase(cls(), 0.1 * noise(box(64, 60.0, "xy")), t1=60.0, dt=0.1)


class Nikolaevskiy(AbstractEvolution):
    """Nikolaevskiy equation `u_t + u u_x = -d^2/dx^2 (r - (1 + d^2/dx^2)^2) u` in one space dimension.

    `growth` r: waves of lengths around 2 pi grow if it is positive, while long waves stay neutral, which gives chaos
    right at onset (Tribelsky & Tsuboi 1996).
    """

    growth: Array = eqx.field(converter=parameter, default=0.3)

    def linear(self, u: AbstractField) -> AbstractField:
        name = u.space_names[0]
        return (1 - self.growth) * d(u, name, 2) + 2 * d(u, name, 4) + d(u, name, 6)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -self_advection(u)

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": mass(u)}

    @classmethod
    def example(cls) -> Example:
        """The manufactured waves `sin(x - t) + cos(2 x) / 4`, the second one damped."""
        solution = FunctionField.from_function(
            lambda t, x: jnp.sin(x - t) + 0.25 * jnp.exp(-t) * jnp.cos(2 * x), ("t", "x")
        )
        return manufactured(cls(), solution, {"x": (0.0, 2 * np.pi)}, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Soft-mode turbulence: waves of length 2 pi, moved about by slow long ones."""
        return Showcase(cls(), 0.1 * noise(box(256, 40 * np.pi)), t1=200.0, dt=0.2)
