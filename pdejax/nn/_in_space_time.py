from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..fields import GridField
from ..grids import AbstractAxis, Grid


class InSpaceTime(eqx.Module):
    """An operator of space and time as a map of initial states: `u(t, x) = a(x) + (t - t0) / T N(a)(t, x)`.

    `N` takes the state, the same at all times, on the grid with the axis `"t"` in front. The initial condition holds to
    the last bit, so that the residual of an evolution equation is all that a training needs:
    `objectives.SpectralResidual(equation)`.

    **Arguments:** `model` in one dimension more than the state; `time` an axis that begins at `t0` and is `T` long.

    **Shapes:** field `(channels, *n)` on space to field `(channels, nt, *n)` on `("t", *space)`.

    **Raises** what `model` raises.

    Source: the initial values of Du, Chalapathi & Krishnapriyan 2024, Neural spectral methods, section 3.
    """

    model: Callable[[GridField], GridField]
    time: AbstractAxis

    def __call__(self, a: GridField) -> GridField:
        grid = Grid(t=self.time, **dict(zip(a.grid.names, a.grid.axes, strict=True)))
        start = GridField(jnp.broadcast_to(a.values[:, None], (a.channels, *grid.shape)), grid)
        since = (np.asarray(self.time.points) - self.time.start) / self.time.length
        # The first node is the start to the last bit on axes whose nodes are computed, too.
        since = grid.broadcast(np.where(np.abs(since) < 1e-12, 0.0, since), "t")[None]
        return start.with_values(start.values + jnp.asarray(since, a.dtype) * self.model(start).values)
