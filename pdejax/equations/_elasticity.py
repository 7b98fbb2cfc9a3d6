import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import cross_derivative
from ..fields import AbstractField, FunctionField, stack
from ._base import AbstractSteady, Example, check_positive, data
from ._terms import add


class LinearElasticity(AbstractSteady):
    """Linear elasticity `-div sigma(u) = f`, `sigma = lambda div(u) I + mu (grad u + grad u^T)` (Lame 1852).

    The displacement u has one channel per space axis. `lame` lambda and `shear` mu > 0, Lame's two parameters, and the
    load `source` f are numbers or fields. On `Uniform` axes of order 2 the operator is conservative, reaches the
    neighbours of a node, and is symmetric and positive definite (see `calculus.cross_derivative`); a Neumann end gives
    the traction `(lambda + 2 mu) slope` along its normal and `mu slope` across it, so that slope zero is a free
    surface.

    **Raises** `ValueError` for a shear modulus that is not positive, and for other numbers of channels. Sine and cosine
    axes do not fit the mixed derivatives.
    """

    lame: Array | AbstractField = eqx.field(converter=data, default=1.0)
    shear: Array | AbstractField = eqx.field(converter=data, default=1.0)
    source: Array | AbstractField = eqx.field(converter=data, default=1.0)

    def __check_init__(self):
        check_positive("LinearElasticity", "shear", self.shear)

    def residual(self, u: AbstractField) -> AbstractField:
        names = u.space_names
        if u.channels != len(names):
            raise ValueError(
                f"a displacement has one channel per space axis, got {u.channels} channels on axes {names}; write "
                f"SteadyProblem(equation, grid, channels={len(names)})."
            )
        return -stack([self._force(u, i) for i in range(len(names))]) - self.source

    def _force(self, u: AbstractField, i: int) -> AbstractField:
        names, lame, shear = u.space_names, self.lame, self.shear
        terms = [u[i].diffuse_along(lame, names[i]), 2.0 * u[i].diffuse_along(shear, names[i])]
        for j, name in enumerate(names):
            if j != i:
                terms.append(u[i].diffuse_along(shear, name))
                terms.append(cross_derivative(lame, u[j], names[i], name))
                terms.append(cross_derivative(shear, u[j], name, names[i]))
        return add(terms)

    @classmethod
    def example(cls) -> Example:
        """`u = (sin x cos y, cos(x + y))` with `lambda = 2`, `mu = 2 + cos x`, and the load worked out by hand."""

        def load(x, y):
            # div u = cos x cos y - sin(x + y); sigma_ij,j with mu' = -sin x along x.
            s, mu, slope = jnp.sin(x + y), 2 + jnp.cos(x), -jnp.sin(x)
            c = jnp.cos(x + y)
            div_x, div_y = -jnp.sin(x) * jnp.cos(y) - c, -jnp.cos(x) * jnp.sin(y) - c
            lap_1, lap_2 = -2 * jnp.sin(x) * jnp.cos(y), -2 * c
            first = (2 + mu) * div_x + mu * lap_1 + slope * 2 * jnp.cos(x) * jnp.cos(y)
            second = (2 + mu) * div_y + mu * lap_2 + slope * (-jnp.sin(x) * jnp.sin(y) - s)
            return -first, -second

        u = FunctionField.from_function(lambda x, y: (jnp.sin(x) * jnp.cos(y), jnp.cos(x + y)), ("x", "y"))
        shear = FunctionField.from_function(lambda x, y: 2 + jnp.cos(x), ("x", "y"))
        f = FunctionField.from_function(load, ("x", "y"))
        turn = (0.0, 2 * float(jnp.pi))
        return Example(cls(lame=2.0, shear=shear, source=f), u, {"x": turn, "y": turn})
