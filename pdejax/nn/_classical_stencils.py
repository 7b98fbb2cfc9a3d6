from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..fields import GridField
from ..grids import Chebyshev, Fourier, Grid, Uniform
from ._checks import check_counts


def check_nested(grid: Grid, levels: int) -> None:
    """**Raises** `ValueError` if not every coarser level of a grid has every second node and both ends."""
    check_counts("MgConv.classical", levels=levels)
    for name, axis in zip(grid.names, grid.axes, strict=True):
        periodic = isinstance(axis, Fourier) or (isinstance(axis, Uniform) and axis.is_periodic)
        gaps = axis.n if periodic else axis.n - 1
        if isinstance(axis, Chebyshev) or (not periodic and axis.centred) or gaps % 2 ** (levels - 1):
            wanted = 2 ** (levels - 1)
            raise ValueError(
                f"MgConv.classical with levels={levels} needs equally spaced closed or periodic axes with a number of "
                f"gaps that is a multiple of {wanted}, axis {name!r} is {axis}; write Uniform({4 * wanted + 1})."
            )


def stencil(residual: Callable, names: tuple[str, ...], spacings: np.ndarray) -> np.ndarray:
    """`residual` as `(3, ..)` weights of neighbours at these distances."""
    # The nodes are far enough from the ends that only the inner differences meet the impulse.
    n, ndim = 10, len(names)
    grid = Grid(**{name: Uniform(n, (n - 1) * float(h)) for name, h in zip(names, spacings, strict=True)})
    impulses = np.zeros((3, 1, *grid.shape))
    for i, at in ((1, 4), (2, 5)):
        impulses[(i, 0, *(at,) * ndim)] = 1.0
    responses = jax.vmap(lambda v: residual(GridField(v, grid)).values[0])(
        jnp.asarray(impulses, jnp.result_type(float))
    )
    found = []
    for response, at in zip(np.array(responses[1:] - responses[:1], np.float64), (4, 5), strict=True):
        near = (slice(at - 1, at + 2),) * ndim
        found.append(response[near].copy())
        response[near] = 0.0
        if np.any(response):
            raise ValueError(
                "MgConv.classical needs an equation whose differences reach one node along each axis; write it with "
                "derivatives of order 1 and 2."
            )
    scale = np.max(np.abs(found[0]))
    if not np.allclose(found[0], found[1], rtol=0, atol=1e-5 * scale) or found[0][(1,) * ndim] == 0:
        raise ValueError(
            "MgConv.classical needs constant coefficients and a term that contains the node itself; write "
            "Poisson(), ScreenedPoisson(screening=3.0) or another such equation."
        )
    # What a node hears is the mirror image of what it tells its neighbours.
    return np.flip(found[0])


def jacobi_pair(operator: np.ndarray) -> np.ndarray:
    """`S = a (2 c - A / A_0) / A_0`: `1 - S A` is the Chebyshev polynomial of degree two on `[1 / ndim, 2] A_0`."""
    centre = (1,) * operator.ndim
    low, high = 1 / operator.ndim, 2.0
    middle, reach = (high + low) / 2, (high - low) / 2
    scaled = operator / operator[centre]
    kernel = -scaled
    kernel[centre] += 2 * middle
    return 2 / (2 * middle**2 - reach**2) * kernel / operator[centre]
