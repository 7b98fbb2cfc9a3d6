import json
from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import AbstractAxis, Grid


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
    # Kept as text: a hashable static field that cannot be changed behind the back of a jitted function.
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
        self._metadata = json.dumps(dict(metadata or {}), default=_plain)
        self._check_structure()

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of the facts about these data."""
        return json.loads(self._metadata)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def __getitem__(self, index: slice | np.ndarray | list[int]) -> Self:
        """The samples of a slice, an index array or a boolean mask."""
        if not isinstance(index, slice | np.ndarray | list | jax.Array):
            raise TypeError(
                f"a data set is indexed by a slice or an index array, got {index!r}; write dataset[{index}:{index} + "
                f"1] for one sample, dataset.inputs[{index}] for its array."
            )
        index = index if isinstance(index, slice) else np.asarray(index)
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
        count = round(first * len(self)) if isinstance(first, float) and 0 < first < 1 else first
        if not isinstance(count, int | np.integer) or not 0 < count < len(self):
            raise ValueError(
                f"cannot split {len(self)} samples at {first!r}: both parts need at least one; write "
                f"split({max(1, 4 * len(self) // 5)}) or split(0.8)."
            )
        order = np.arange(len(self)) if key is None else np.asarray(jax.random.permutation(key, len(self)))
        return self[order[:count]], self[order[count:]]

    def subsample(self, stride: int) -> Self:
        """The values at every `stride`-th node of each space axis: the same functions on the coarser nested grid.

        **Raises** `ValueError` if the coarser nodes are not the nodes of a coarser axis.
        """
        at, grid = _coarser(self.grid, stride)
        target_at, target_grid = _coarser(self.target_grid, stride)
        facts = {**self.metadata, "subsampled": stride * self.metadata.get("subsampled", 1)}
        return type(self)(
            self.inputs[(...,) + at],
            self.targets[(...,) + target_at],
            grid,
            name=self.name,
            metadata=facts,
            target_grid=target_grid,
        )

    def check(self) -> Self:
        """The data set itself, once its structure and the finiteness of every value are verified.

        **Raises** `ValueError` naming the first sample that holds a NaN or an infinity.
        """
        self._check_structure()
        for kind, values in (("inputs", self.inputs), ("targets", self.targets)):
            good = np.isfinite(np.asarray(values)).reshape(len(self), -1).all(axis=1)
            if not good.all():
                raise ValueError(
                    f"{kind} of data set {self.name!r} are not finite in {np.count_nonzero(~good)} of {len(self)} "
                    f"samples, first in sample {int(np.argmin(good))}; drop them with "
                    f"dataset[np.isfinite(dataset.{kind}).reshape(len(dataset), -1).all(1)] before check()."
                )
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

    def _with(self, inputs, targets) -> Self:
        return type(self)(
            inputs, targets, self.grid, name=self.name, metadata=self.metadata, target_grid=self.target_grid
        )

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, {len(self)} samples, inputs {tuple(self.inputs.shape[1:])}, targets "
            f"{tuple(self.targets.shape[1:])}, {self.grid})"
        )


def _coarser(grid: Grid, stride: int) -> tuple[tuple[slice, ...], Grid]:
    if isinstance(stride, bool) or not isinstance(stride, int | np.integer) or stride < 1:
        raise ValueError(f"subsample needs a whole stride >= 1, got {stride!r}; write subsample(2).")
    at, axes = [], []
    for name, axis in zip(grid.names, grid.axes, strict=True):
        at.append(slice(None) if name == "t" else slice(None, None, stride))
        axes.append(axis if name == "t" else _coarser_axis(name, axis, stride))
    return tuple(at), grid.with_axes(axes)


def _coarser_axis(name: str, axis: AbstractAxis, stride: int) -> AbstractAxis:
    coarse = _nested(axis, stride)
    if coarse is None:
        fitting = [s for s in range(2, axis.n) if _nested(axis, s) is not None]
        raise ValueError(
            f"the nodes 0, {stride}, {2 * stride}, ... of axis {name!r} ({axis.n} nodes) are not those of a coarser "
            f"axis of its kind; strides that fit: {', '.join(map(str, fitting[:8])) or 'none'}."
        )
    return coarse


def _nested(axis: AbstractAxis, stride: int) -> AbstractAxis | None:
    points = axis.points[::stride]
    try:
        coarse = axis.with_size(len(points))
    except ValueError:  # too few nodes for this kind of axis
        return None
    return coarse if np.allclose(coarse.points, points, rtol=0, atol=1e-9 * axis.length) else None


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | jax.Array):
        return np.asarray(value).tolist()
    raise TypeError(
        f"metadata holds plain values (numbers, text, lists, dicts), got {type(value).__name__}; convert it first."
    )
