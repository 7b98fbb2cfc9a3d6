import json
from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import Grid
from ._parts import as_text, check_finite, chosen, coarser, two_parts


class Dataset(eqx.Module):
    """Pairs of input and target fields on common grids, samples first.

    `inputs` has shape `(samples, in_channels, *grid.shape)`, `targets` `(samples, out_channels, *target_grid.shape)`;
    both may be numpy or jax arrays. `target_grid` differs from `grid` only where targets live elsewhere, for example
    on a space-time grid with an axis `"t"`. `metadata` holds plain values: what was solved, how, and how accurately.

    **Raises** `ValueError` for an empty data set, unequal counts or shapes that do not fit the grids.
    """

    inputs: Array | np.ndarray
    targets: Array | np.ndarray
    grid: Grid
    target_grid: Grid
    name: str = eqx.field(static=True)
    _metadata: str = eqx.field(static=True)

    def __init__(
        self,
        inputs: Array | np.ndarray,
        targets: Array | np.ndarray,
        grid: Grid,
        *,
        name: str = "",
        metadata: Mapping[str, Any] | None = None,
        target_grid: Grid | None = None,
    ):
        self.inputs, self.targets, self.grid = inputs, targets, grid
        self.target_grid = grid if target_grid is None else target_grid
        self.name = name
        self._metadata = as_text(metadata)
        self._check_structure()

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of the facts about these data."""
        return json.loads(self._metadata)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def __getitem__(self, index: slice | np.ndarray | list[int]) -> Self:
        """The samples of a slice, an index array or a boolean mask."""
        index = chosen(index, "inputs")
        return self._with(self.inputs[index], self.targets[index])

    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return self.inputs.shape[1]

    @property
    def out_channels(self) -> int:
        """Number of target channels."""
        return self.targets.shape[1]

    def input_fields(self) -> GridField:
        """The inputs as one field with a leading sample axis on its array."""
        return jax.vmap(lambda v: GridField(v, self.grid))(jnp.asarray(self.inputs))

    def target_fields(self) -> GridField:
        """The targets as one field with a leading sample axis on its array."""
        return jax.vmap(lambda v: GridField(v, self.target_grid))(jnp.asarray(self.targets))

    def split(self, first: int | float, *, key: Array | None = None) -> tuple[Self, Self]:
        """Two parts: the first `first` samples (a count, or a fraction below one) and the rest, shuffled if a key is
        given.

        **Raises** `ValueError` if either part would be empty.
        """
        one, other = two_parts(len(self), first, key)
        return self[one], self[other]

    def subsample(self, stride: int) -> Self:
        """The values at every `stride`-th node of each space axis: the same functions on the coarser nested grid.

        **Raises** `ValueError` if the coarser nodes are not the nodes of a coarser axis.
        """
        at, grid = coarser(self.grid, stride)
        target_at, target_grid = coarser(self.target_grid, stride)
        return self._with(
            self.inputs[(...,) + at],
            self.targets[(...,) + target_at],
            grid,
            target_grid,
            subsampled=stride * self.metadata.get("subsampled", 1),
        )

    def check(self) -> Self:
        """The data set itself, once its structure and the finiteness of every value are verified.

        **Raises** `ValueError` naming the first sample that holds a NaN or an infinity.
        """
        self._check_structure()
        for kind, values in (("inputs", self.inputs), ("targets", self.targets)):
            check_finite(self.name, kind, values)
        return self

    def _check_structure(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ValueError(
                f"data set {self.name!r} has {len(self.inputs)} inputs but {len(self.targets)} targets; give one "
                "target for each input."
            )
        if len(self.inputs) == 0:
            raise ValueError(
                f"data set {self.name!r} is empty; give at least one sample (an empty slice selects none)."
            )
        for kind, values, grid in (("inputs", self.inputs, self.grid), ("targets", self.targets, self.target_grid)):
            if values.ndim != 2 + len(grid.shape) or tuple(values.shape[2:]) != grid.shape:
                raise ValueError(
                    f"{kind} of data set {self.name!r} need shape (samples, channels, "
                    f"{', '.join(map(str, grid.shape))}) on {grid}, got {tuple(values.shape)}; add a channel axis "
                    f"with {kind}[:, None] or give the grid of these nodes."
                )

    def _with(self, inputs, targets, grid: Grid | None = None, target_grid: Grid | None = None, **facts) -> Self:
        """Other arrays under the same name, on the same grids unless others are given, with more facts."""
        return type(self)(
            inputs,
            targets,
            self.grid if grid is None else grid,
            name=self.name,
            metadata=self.metadata | facts,
            target_grid=self.target_grid if target_grid is None else target_grid,
        )

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, {len(self)} samples, inputs {tuple(self.inputs.shape[1:])}, targets "
            f"{tuple(self.targets.shape[1:])}, {self.grid})"
        )
