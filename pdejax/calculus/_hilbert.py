import numpy as np

from ..fields import GridField
from ..grids import Fourier, along, scale


def hilbert(u: GridField, name: str) -> GridField:
    """Hilbert transform along a periodic coordinate: symbol `-i sign(k)`, so `hilbert(cos x) = sin x`.

    **Raises** `TypeError` for function fields, `ValueError` for other axes.
    """
    if not isinstance(u, GridField):
        raise TypeError(
            "the Hilbert transform is defined by the modes of a grid; write hilbert(sample(u, grid), name)."
        )
    if not isinstance(u.grid.axis(name), Fourier):
        raise ValueError(f"the Hilbert transform needs a Fourier axis, {name!r} is {u.grid.axis(name)}.")
    c, i = u.coefficients, u.grid.index(name)
    axis = u.grid.coefficient_axes(u.is_real)[i]
    # A real field cannot carry the phase of its Nyquist mode.
    sign = np.where(2 * np.abs(axis.modes) == axis.n, 0, -np.sign(axis.modes))
    dim = c.ndim - len(u.grid.axes) + i
    return u.with_coefficients(scale(c, along(sign, dim, c.ndim), imaginary=True))
