import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import inner
from ..equations import AbstractEquation
from ..fields import AbstractField, GridField


def mean_squared_residual(equation: AbstractEquation, u: AbstractField, points: Array | None = None) -> Array:
    """Mean over domain and channels of the squared residual of `u`: `mean |equation.residual(u)|^2`, scalar.

    A function field is taken at `points` `(m, coordinates)`, with equal weights; a grid field is integrated over its
    grid and divided by the volume, or taken at `points` if they are given.

    **Raises** `ValueError` if a function field comes without points.
    """
    residual = equation.residual(u)
    if points is not None:
        return jnp.mean(jnp.abs(residual(points)) ** 2)  # type: ignore[operator]
    if not isinstance(residual, GridField):
        raise ValueError(
            "the residual of a function needs points; write residual_loss(equation, points), points (m, coordinates)."
        )
    volume = float(np.prod([axis.length for axis in residual.grid.axes]))
    return jnp.mean(jnp.abs(inner(residual, residual))) / volume


def residual_loss(equation: AbstractEquation, points: Array | None = None) -> eqx.Partial:
    """The loss `u -> mean_squared_residual(equation, u, points)`, a pytree whose arrays stay arguments under `jit`.

    With a network as a `FunctionField` it is the loss of a physics-informed network, with a model's output the residual
    loss of a physics-informed operator.
    """
    return eqx.Partial(_residual_of, equation, points)


def _residual_of(equation: AbstractEquation, points: Array | None, u: AbstractField) -> Array:
    return mean_squared_residual(equation, u, points)
