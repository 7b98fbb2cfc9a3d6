from collections.abc import Callable

import equinox as eqx

from ..fields import GridField
from ..grids import Grid


class AtResolution(eqx.Module):
    """A model that always works on the same grid: fields are resampled to it by their own basis, and results back.

    `u = R^-1 model(R a)`. An operator whose kernels belong to nodes (`MgNO`, `UNet`) so keeps, on any grid, the meaning
    it was trained with; what the model's grid does not resolve is lost.

    **Arguments:** `model`; `grid` a `Grid`, or the numbers of nodes for the axes that a field comes with.

    **Shapes:** those of `model`, on the grid of the input.

    **Raises** what `model` and `GridField.resample` raise.

    Source: Berner et al. 2025, Principled approaches for extending neural architectures to function spaces for operator
    learning, input and output interpolation.
    """

    model: Callable[[GridField], GridField]
    grid: Grid | tuple[int, ...]

    def __call__(self, a: GridField) -> GridField:
        return a.with_values(self.model(a.resample(self.grid).as_values()).resample(a.grid).values)
