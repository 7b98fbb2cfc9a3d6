from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..fields import GridField


class TimeMean(eqx.Module):
    """A measure of fields of space as one of fields of space and time: its mean over the nodes of the axis `"t"`.

    With `SobolevSquare(-1)` the residual of a diffusive equation is measured in the norm that its error obeys,
    `|e(t)|^2 <= C / nu int |r|_{-1}^2`, where the plain mean square is ruled by the finest scales.

    **Raises** `ValueError` for a field without `"t"` in front of its axes.
    """

    measure: Callable[[GridField], Array]

    def __call__(self, r: GridField) -> Array:
        if r.names[:1] != ("t",) or len(r.names) < 2:
            raise ValueError(f'TimeMean needs a field of ("t", *space), this one has coordinates {r.names}.')
        space = r.grid.without("t")
        each = jax.vmap(lambda values: self.measure(GridField(values, space)), in_axes=1)(r.values)
        return jnp.mean(each)
