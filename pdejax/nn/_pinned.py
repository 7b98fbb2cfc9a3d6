from collections.abc import Callable

import equinox as eqx

from ..fields import GridField


class Pinned(eqx.Module):
    """A model whose result is zero at the first node: `u = N(a) - N(a)(x_0)`, channel by channel.

    Fixes the constant that an equation on periodic axes leaves open, and that its residual cannot teach.

    **Shapes:** those of `model`. **Raises** what `model` raises.

    Source: the periodic case of Du, Chalapathi & Krishnapriyan 2024, Neural spectral methods, section 3.
    """

    model: Callable[[GridField], GridField]

    def __call__(self, a: GridField) -> GridField:
        u = self.model(a)
        first = u.values.reshape(u.channels, -1)[:, 0]
        return u.with_values(u.values - first.reshape(-1, *(1 for _ in u.grid.axes)))
