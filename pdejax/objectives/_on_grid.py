from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array

from ..fields import GridField
from ..grids import Grid


class OnGrid(eqx.Module):
    """A loss of the same node values read on other axes: derivatives are then those of `grid`.

    A model that lives on `Fourier` axes is so trained on the finite differences of `Uniform` ones.

    **Arguments:** `grid` with the nodes of the prediction and of the target.

    **Raises** `ValueError` if the nodes differ.
    """

    loss: Callable[[GridField, GridField], Array]
    grid: Grid

    def __call__(self, prediction: GridField, target: GridField) -> Array:
        return self.loss(prediction.on(self.grid), target.on(self.grid))
