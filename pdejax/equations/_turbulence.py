import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import d, laplacian, project
from ..fields import AbstractField, FunctionField, GridField, at_nodes, stack
from ._base import AbstractEvolution, Example, Showcase, check_positive, parameter
from ._fluid import forced, source
from ._velocity import beltrami, deviatoric_divergence, momentum, momentum_flux, taylor_green, triangle


class LargeEddySimulation(AbstractEvolution):
    """Incompressible flow filtered at a width Delta: `u_t + div(u u) + grad p = nu lap u + div(2 nu_t S) + f`,
    `div u = 0`, with Smagorinsky's eddy viscosity `nu_t = (C_s Delta)^2 |S|`, `|S|^2 = 2 S_ij S_ij`.

    `viscosity` nu > 0, `constant` C_s (0.1 to 0.2), `width` Delta > 0, usually the spacing of the grid, and `forcing` f
    as in `NavierStokes`; S is the strain rate `(grad u + grad u^T) / 2` (Smagorinsky 1963). The projection is as in
    `NavierStokes`; the residual is for grid fields.

    **Raises** `ValueError` in one dimension or for another number of channels.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-4)
    width: Array = eqx.field(converter=parameter, default=0.1)
    constant: Array = eqx.field(converter=parameter, default=0.17)
    forcing: Array | AbstractField | None = eqx.field(converter=source, default=0.0)

    def __check_init__(self):
        check_positive("LargeEddySimulation", "viscosity", self.viscosity)
        check_positive("LargeEddySimulation", "width", self.width)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.viscosity * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return project(self.force(u, t))

    def force(self, u: AbstractField, t) -> AbstractField:
        """`f - div(u u - 2 nu_t S)` before projection, up to a gradient."""
        names = u.space_names
        slopes = [d(u, name) for name in names]
        (strain,) = at_nodes(stack([(slopes[j][i] + slopes[i][j]) * 0.5 for i, j in triangle(len(names))]))
        rates = [strain[k] for k in range(strain.channels)]
        square = sum(
            (r**2 * (2.0 if i == j else 4.0) for r, (i, j) in zip(rates, triangle(len(names)), strict=True)), 0.0
        )
        eddy = (2 * (self.constant * self.width) ** 2) * square.map(_root, parity="even")
        stress = [flux - eddy * rate for flux, rate in zip(momentum_flux(u), rates, strict=True)]
        return forced(-deviatoric_divergence(stress, names), self.forcing, t)

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The momentum, unless a forcing with a mean changes it."""
        return momentum(u)

    @classmethod
    def example(cls) -> Example:
        """A manufactured flow whose strain vanishes nowhere, so that the eddy viscosity is smooth: an
        Arnold-Beltrami-Childress flow with one dominant wave, on a mean stream.
        """

        def solution(t, x, y, z):
            waves = beltrami(x - 0.5 * t, y, z, 0.1, 0.1, 1.0)
            return tuple(mean + jnp.exp(-t) * wave for mean, wave in zip((0.5, 0.0, 0.0), waves, strict=True))

        velocity = FunctionField.from_function(solution, ("t", "x", "y", "z"))
        free = cls(viscosity=0.05, width=0.5)
        force = d(velocity, "t") - free.linear(velocity) - free.force(velocity, 0.0)
        domain = {name: (0.0, 2 * jnp.pi) for name in ("x", "y", "z")}
        return Example(cls(viscosity=0.05, width=0.5, forcing=force), velocity, domain, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """The Taylor-Green vortex at a Reynolds number of 1600 on a grid far too coarse for it without the model."""
        u0 = taylor_green(32)
        return Showcase(cls(viscosity=1 / 1600, width=u0.grid.axes[0].length / 32), u0, t1=8.0, dt=0.1)


def _root(square: Array) -> Array:
    # The square root with slope zero at zero, where the stress |S| S has none either.
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)
