import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ._inverse import multiplied, vanishing


def fractional_laplacian(u: GridField, power) -> GridField:
    """`-(-lap)^power u` in the modes of the grid (the spectral definition), channel by channel.

    `power` is any real number: 1 gives `laplacian(u)`, -1 `inverse_laplacian(u)`. Constants go to zero where they are
    in the null space of the Laplacian.

    **Raises** `TypeError` for function fields, `ValueError` if a nodal axis has a `Free` end.
    """
    if not isinstance(u, GridField):
        raise TypeError(
            "a fractional Laplacian is defined by the modes of a grid; "
            "write fractional_laplacian(sample(u, grid), power)."
        )
    return multiplied(u, lambda eigenvalues: _power(eigenvalues, power))


def _power(eigenvalues: np.ndarray, power) -> np.ndarray | Array:
    zero = vanishing(eigenvalues)
    logarithm = np.log(np.where(zero, 1.0, -eigenvalues))
    if isinstance(power, jax.Array):
        return jnp.where(zero, 0, -jnp.exp(power * jnp.asarray(logarithm, power.dtype)))
    return np.where(zero, 0.0, -np.exp(power * logarithm))
