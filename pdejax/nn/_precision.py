from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from ..fields import GridField


class InPrecision(eqx.Module):
    """A model run in another floating type: mixed precision as `InPrecision(model, "bfloat16")`.

    The field is cast to `dtype`, in which the layers then compute, casting their weights; transforms and reductions
    stay in float32 inside of them, and the result has the type of the input. Parameters keep theirs, and so do their
    gradients and the optimiser. Put it inside of `Normalised`, whose units leave little to round.

    **Shapes:** those of `model`. **Raises** `TypeError` for a `dtype` that is none.

    Source: Micikevicius et al. 2018, Mixed precision training; no scaling of the loss, bfloat16 has float32's range.
    """

    model: Callable[[GridField], GridField]
    dtype: str = eqx.field(static=True, converter=lambda dtype: jnp.dtype(dtype).name)

    def __call__(self, a: GridField) -> GridField:
        u = self.model(a.with_values(a.values.astype(self.dtype)))
        return u.with_values(u.values.astype(a.dtype))
