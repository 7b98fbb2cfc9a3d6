import numpy as np

from ..fields import GridField
from ..grids import Fourier, Grid, along
from ._differential import div, grad
from ._inverse import multiplied, reciprocal


def project(v: GridField) -> GridField:
    """Leray projection `v - grad(lap^-1 div v)`: a vector field without its gradient part, free of divergence.

    Exact on `Fourier` axes, where it keeps the mean of `v`; on `Uniform` axes the divergence left is of the order of
    the stencils.

    **Raises** `ValueError` unless there is one channel per space axis, `TypeError` for function fields.
    """
    if not isinstance(v, GridField):
        raise TypeError(
            "a function has no domain to solve for the pressure on; write project(sample(v, grid)), or describe the "
            "flow by a stream function, v = curl(psi)."
        )
    lost = _nyquist(v.grid, v.is_real)
    return v - grad(multiplied(div(v), lambda eigenvalues: reciprocal(eigenvalues + lost)))


def _nyquist(grid: Grid, real: bool) -> np.ndarray:
    """What the Laplacian has more than `div grad`: first derivatives drop the Nyquist mode of an even axis."""
    total, axes = np.zeros(()), grid.coefficient_axes(real)
    for i, (name, axis, stored) in enumerate(zip(grid.names, grid.axes, axes, strict=True)):
        if isinstance(axis, Fourier) and name != "t":
            square = np.where(2 * np.abs(stored.modes) == axis.n, (np.pi * axis.n / axis.length) ** 2, 0.0)
            total = total + along(square, i, len(axes))
    return total
