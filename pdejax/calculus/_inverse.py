import jax.numpy as jnp
import numpy as np

from ..fields import Eigenbasis, GridField, stack



def inverse_laplacian(f: GridField) -> GridField:
    """Field `u` with `laplacian(u) = f` and the homogeneous conditions of the grid, channel by channel.

    Where constants are in the null space (all axes periodic or Neumann), the mean of `f` is dropped and `u` has mean
    zero. One forward and one backward transform (fast diagonalisation on `Uniform` and `Chebyshev` axes, Lynch, Rice &
    Thomas 1964).

    **Raises** `ValueError` if a nodal axis has a `Free` end, `TypeError` for function fields.
    """
    if not isinstance(f, GridField):
        raise TypeError("the Laplacian of a function is inverted on a grid; write inverse_laplacian(sample(f, grid)).")
    if f._flips:
        return stack([inverse_laplacian(f[i]) for i in range(f.channels)])
    basis = Eigenbasis(f.grid)
    eigenvalues = basis.laplacian(f.is_real)
    singular = np.abs(eigenvalues) <= 1e-12 * np.abs(eigenvalues).max()
    inverse = np.where(singular, 0.0, 1 / np.where(singular, 1.0, eigenvalues))
    modal = basis.forward(f)
    return basis.backward(modal * jnp.asarray(inverse, modal.real.dtype)[None], f.is_real)
