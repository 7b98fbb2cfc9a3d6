import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import d
from ..fields import AbstractField, FunctionField
from ._base import AbstractSteady, Example, check_positive, data, parameter


class MongeAmpere(AbstractSteady):
    """Monge-Ampere equation `det(b I + D^2 u) = f > 0` in two dimensions, the branch with `b |x|^2 / 2 + u` convex.

    `source` f is a number or field. `background` b is zero for the equation itself, with `Dirichlet` ends; with b = 1
    `x + grad u` maps the unit density to f: the optimal transport of a mesh, also on periodic axes. The residual is
    `sqrt((b + u_xx)^2 + (b + u_yy)^2 + 2 u_xy^2 + 2 f) - lap u - 2 b`: the root picks the convex branch, and the
    derivative at zero, from which Newton's method starts, is that of an elliptic operator (Benamou, Froese & Oberman
    2010, section 3: the operator T).

    **Raises** `ValueError` for a source that is not positive, and in other dimensions than two.
    """

    source: Array | AbstractField = eqx.field(converter=data, default=1.0)
    background: Array = eqx.field(converter=parameter, default=0.0)

    def __check_init__(self):
        check_positive("MongeAmpere", "source", self.source)

    def residual(self, u: AbstractField) -> AbstractField:
        if len(u.space_names) != 2:
            raise ValueError(
                f"MongeAmpere is written for two space axes, got {u.space_names}; write Grid(x=..., y=...)."
            )
        x, y = u.space_names
        straight = [d(u, name, 2) + self.background for name in (x, y)]
        square = straight[0] ** 2 + straight[1] ** 2 + 2.0 * d(d(u, x), y) ** 2 + 2.0 * self.source
        return square.map(jnp.sqrt, parity="even") - (straight[0] + straight[1])

    @classmethod
    def example(cls) -> Example:
        """A periodic mesh potential `u = 0.2 sin(x) cos(y) + 0.1 cos(x + y)` with background 1."""

        def density(x, y):
            wave, diagonal = 0.2 * jnp.sin(x) * jnp.cos(y), 0.1 * jnp.cos(x + y)
            across = -0.2 * jnp.cos(x) * jnp.sin(y) - diagonal
            return (1 - wave - diagonal) ** 2 - across**2

        u = FunctionField.from_function(lambda x, y: 0.2 * jnp.sin(x) * jnp.cos(y) + 0.1 * jnp.cos(x + y), ("x", "y"))
        f = FunctionField.from_function(density, ("x", "y"))
        turn = (0.0, 2 * float(jnp.pi))
        return Example(cls(source=f, background=1.0), u, {"x": turn, "y": turn})
