from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..fields import GridField
from ..grids import Grid, Sine
from ._checks import check_channels
from ._frozen import Frozen


class Normaliser(eqx.Module):
    """Affine change of units of a field, `v = (u - mean) / std`, with one mean and one deviation per channel.

    The statistics do not depend on position, so a model keeps its meaning on other grids. They are data, not
    parameters: `trainable` leaves them out and no gradient reaches them.

    **Shapes:** `mean`, `std` `(channels,)`; field `(channels, *n)` to field `(channels, *n)`.

    **Raises** `ValueError` for statistics of different lengths or a wrong channel count.
    """

    mean: Array | np.ndarray
    std: Array | np.ndarray

    def __init__(self, mean, std):
        self.mean = np.asarray(mean) if isinstance(mean, list | tuple) else mean
        self.std = np.asarray(std) if isinstance(std, list | tuple) else std
        if np.shape(self.mean) != np.shape(self.std) or np.ndim(self.mean) != 1:
            raise ValueError(
                f"a Normaliser needs one mean and one std per channel, got shapes {np.shape(self.mean)} and "
                f"{np.shape(self.std)}; write Normaliser(mean=[0.0], std=[1.0]) or Normaliser.of(values, grid)."
            )

    @classmethod
    def of(cls, values: Array | np.ndarray, grid: Grid) -> Self:
        """Statistics of samples `(samples, channels, *n)`; a channel without variation keeps its unit.

        On `Sine` axes a constant is not in the space, so there the mean is 0 and `std` is the root mean square.
        """
        values = np.asarray(values, np.float64)
        over = (0, *range(2, values.ndim))
        mean = values.mean(over)
        if any(isinstance(axis, Sine) for axis in grid.axes):
            mean = np.zeros_like(mean)
        std = np.sqrt(((values - mean.reshape(-1, *(1,) * len(grid.axes))) ** 2).mean(over))
        return cls(mean, np.where(std > 0, std, 1.0))

    def __call__(self, u: GridField) -> GridField:
        check_channels("Normaliser", self.mean.shape[-1], u)
        mean, std = self._statistics(u)
        return u.with_values((u.values - mean) / std)

    def inverse(self, v: GridField) -> GridField:
        """Back to the field's own units: `u = std v + mean`."""
        check_channels("Normaliser", self.mean.shape[-1], v)
        mean, std = self._statistics(v)
        return v.with_values(v.values * std + mean)

    def _statistics(self, u: GridField) -> tuple[Array, Array]:
        shape = (-1, *(1,) * len(u.grid.axes))
        mean, std = (jnp.asarray(v, u.dtype).reshape(shape) for v in (self.mean, self.std))
        return jax.lax.stop_gradient(mean), jax.lax.stop_gradient(std)


class Normalised(eqx.Module):
    """A model between normalisers: takes and returns fields in their own units, `u = targets^-1(model(inputs(a)))`.

    **Shapes:** those of `model`. **Raises** what its parts raise.
    """

    model: Callable[[GridField], GridField]
    inputs: Normaliser
    targets: Normaliser

    def __call__(self, a: GridField) -> GridField:
        return self.targets.inverse(self.model(self.inputs(a)))


def trainable(model: PyTree) -> PyTree:
    """Filter for `eqx.partition`: true for floating point leaves, false for all inside a `Normaliser` or `Frozen`."""
    is_data = lambda part: isinstance(part, Normaliser | Frozen)
    return jax.tree.map(lambda leaf: not is_data(leaf) and eqx.is_inexact_array(leaf), model, is_leaf=is_data)
