from collections.abc import Callable

import equinox as eqx

from ..fields import GridField


class Residual(eqx.Module):
    """A model of the change: `u = a + model(a)`, with the newest state of `a` where it is a window of several.

    An autoregressive model begins near the identity this way, and what it does not know it leaves alone.

    **Shapes:** field `(history * channels, *n)` to field `(channels, *n)`, the last channels of `a` plus the change.
    **Raises** what `model` raises.
    """

    model: Callable[[GridField], GridField]

    def __call__(self, a: GridField) -> GridField:
        change = self.model(a).values
        return a.with_values(a.values[-change.shape[0] :] + change)
