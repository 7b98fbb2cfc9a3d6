from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array

from ..equations import AbstractEvolution
from ..fields import GridField
from ..solvers import mild_image
from ._errors import relative_l2


class MildResidual(eqx.Module):
    """A loss without labels for histories: what a Picard iteration of the equation changes, `loss(u, P u)`.

    `P` is `solvers.mild_image` from the initial state, which is the second field: give `fit` a data set whose targets
    are its inputs (`data.unlabelled`). Of a history in its place the first frame is taken.

    To first order `u - P u` is the error of `u` as far as the linear part of the equation rules it, where the residual
    `u_t - L u - N(u)` is the error times frequencies: with `relative_l2` an error of one per cent costs one hundredth,
    whatever its waves, and training is nearly as well conditioned as with labels.

    **Arguments:** `equation` with a linear part; `loss` of two histories.

    **Shapes, raises:** those of `solvers.mild_image`.

    Source: the conditioning of residuals by the inverse of the differential operator in De Ryck, Bonnet, Mishra & de
    Bezenac 2024, An operator preconditioning perspective on training in physics-informed machine learning; here that of
    `d/dt - L`, applied by Duhamel's formula.
    """

    equation: AbstractEvolution
    loss: Callable[[GridField, GridField], Array] = relative_l2

    def __call__(self, prediction: GridField, a: GridField) -> Array:
        start = GridField(a.values[:, 0], a.grid.without("t")) if "t" in a.names else a
        return self.loss(prediction, mild_image(self.equation, prediction, start))
