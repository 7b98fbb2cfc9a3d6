from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import Frozen, Perceptron, Sensors, check_channels, check_counts, hidden_grid


class PODModes(eqx.Module):
    """Mean and proper orthogonal modes of fields, the linear space of its dimension that is nearest to them.

    Modes are orthogonal in the grid's quadrature over all channels, and as large as the deviations of their
    coefficients: those of the fields have variance one. They are data, not parameters (`nn.Frozen`).

    **Shapes:** `mean` `(channels, *n)` and `modes` `(count channels, *n)`, fields on one grid.
    """

    mean: Frozen
    modes: Frozen

    @classmethod
    def of(cls, values: Float[Array | np.ndarray, "samples channels *n"], grid: Grid, count: int) -> Self:
        """The first `count` modes of samples on a grid.

        **Raises** `ValueError` for more modes than the samples have.
        """
        check_counts("PODModes", count=count)
        values = np.asarray(values, np.float64)
        root = np.sqrt(hidden_grid(grid).weights())
        rows = ((values - values.mean(0)) * root).reshape(len(values), -1)
        _, sizes, vectors = np.linalg.svd(rows, full_matrices=False)
        rank = int(np.sum(sizes > 1e-12 * sizes[0]))
        if count > rank:
            raise ValueError(f"{len(values)} samples have {rank} modes about their mean and count={count}.")
        deviations = sizes[:count, None] / np.sqrt(len(values))
        modes = (deviations * vectors[:count]).reshape(count, *values.shape[1:]) / root
        return cls(*(Frozen(GridField(jnp.asarray(part), grid)) for part in (values.mean(0), np.concatenate(modes))))

    @property
    def size(self) -> int:
        """How many modes there are."""
        return self.modes.content.channels // self.mean.content.channels

    def __call__(self, a: GridField) -> Float[Array, "count"]:
        """Coefficients of a field's projection onto the modes, from its values on their grid.

        **Raises** `ValueError` for another number of channels than theirs.
        """
        grid = self.mean.content.grid
        mean, modes = self.on(grid)
        check_channels("PODModes", len(mean), a)
        weights = jnp.asarray(hidden_grid(grid).weights(), mean.dtype)[None, None]
        dual, wide = (part.reshape(self.size, -1) for part in (weights * modes, modes))
        b = dual @ (a.resample(grid).values.astype(mean.dtype) - mean).reshape(-1) / jnp.sum(dual * wide, axis=1)
        return b.astype(a.dtype)

    def on(self, grid: Grid) -> tuple[Array, Array]:
        """Values of the mean `(channels, *n)` and of the modes `(count, channels, *n)` on another grid."""
        mean, modes = (part.read().resample(grid).values for part in (self.mean, self.modes))
        return mean, modes.reshape(-1, *mean.shape)


class PODDeepONet(eqx.Module):
    """DeepONet whose trunk is the modes of the training outputs: `u = phi_0 + sum_k b_k(a) phi_k`, `phi_0` their mean.

    Outputs keep every linear condition that the training outputs satisfy. Modes come to other grids by the basis of
    theirs.

    **Arguments:** `modes`, made by `PODModes.of(outputs, grid, count)`; `sensors` one number or one per axis, or the
    modes of the inputs, whose coefficients the branch then reads; `width` and `depth` of the default branch; `branch`:
    a network in its place, from rows `(1, in_channels prod(sensors))`, or one number a mode, to `(1, count)`.

    **Shapes:** field `(in_channels, *n)` to field with the channels of the modes, on the grid of the input; `at_nodes`
    gives it on the grid of the modes, which may be that of another domain.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Lu, Meng et al. 2022, A comprehensive and fair comparison of two neural operators; with modes of the inputs
    Bhattacharya, Hosseini, Kovachki & Stuart 2021, Model reduction and neural networks for parametric PDEs, section 3.
    Deviation: the modes carry their deviations.
    """

    branch: Callable[[Array], Array]
    modes: PODModes
    sensors: Sensors | PODModes

    def __init__(
        self,
        in_channels: int,
        modes: PODModes,
        sensors: int | tuple[int, ...] | PODModes,
        width: int,
        depth: int,
        *,
        branch: Callable[[Array], Array] | None = None,
        key: PRNGKeyArray,
    ):
        check_counts("PODDeepONet", width=width, depth=depth)
        ndim, self.modes = len(modes.mean.content.grid.axes), modes
        self.sensors = sensors if isinstance(sensors, PODModes) else Sensors(in_channels, sensors, ndim)
        self.branch = Perceptron(self.sensors.size, modes.size, width, depth, key=key) if branch is None else branch

    def __call__(self, a: GridField) -> GridField:
        return self._on(a, a.grid)

    def at_nodes(self, a: GridField) -> GridField:
        """The output on the grid of the modes."""
        return self._on(a, self.modes.mean.content.grid)

    def _on(self, a: GridField, grid: Grid) -> GridField:
        b = self.branch(self.sensors(a)[None])[0]
        mean, modes = (part.astype(a.dtype) for part in self.modes.on(grid))
        return GridField(mean + jnp.tensordot(b, modes, 1), grid)
