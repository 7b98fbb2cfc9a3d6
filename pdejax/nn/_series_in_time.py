from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import AbstractAxis, Grid
from ._checks import check_channels


class SeriesInTime(eqx.Module):
    """An operator on space as a map of initial states to histories: `u(t, x) = a(x) + sum_k c_k(x) (T_k(s) - T_k(-1))`.

    The channels of `model(a)` are the coefficients `c_1 .. c_K` of Chebyshev polynomials of the time, `s` from -1 to 1
    along the axis. The initial condition holds to rounding, the history is smooth in time, and a history costs hardly
    more than a state. For an operator that works in space and time itself see `InSpaceTime`.

    **Arguments:** `model` with `terms` channels for each channel of the state; `time` an axis.

    **Shapes:** field `(channels, *n)` on space to field `(channels, nt, *n)` on `("t", *space)`.

    **Raises** `ValueError` if the model gives another number of channels.
    """

    model: Callable[[GridField], GridField]
    time: AbstractAxis
    terms: int = eqx.field(static=True)

    def __call__(self, a: GridField) -> GridField:
        c = self.model(a)
        check_channels("SeriesInTime", self.terms * a.channels, c)
        s = 2 * (np.asarray(self.time.points) - self.time.start) / self.time.length - 1
        k = np.arange(1, self.terms + 1)
        basis = np.cos(k * np.arccos(np.clip(s, -1.0, 1.0))[:, None]) - (-1.0) ** k
        series: Array = jnp.tensordot(
            jnp.asarray(basis, a.dtype), c.values.reshape(self.terms, a.channels, *a.grid.shape), 1
        )
        grid = Grid(t=self.time, **dict(zip(a.grid.names, a.grid.axes, strict=True)))
        return GridField(a.values[:, None] + jnp.moveaxis(series, 0, 1), grid)
