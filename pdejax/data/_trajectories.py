import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import equinox as eqx
import numpy as np
from jaxtyping import Array

from ..grids import Grid
from ._dataset import Dataset
from ._parts import as_text, check_finite, chosen, coarser, two_parts


class Trajectories(eqx.Module):
    """States of evolving systems at common times, on a common grid, samples first.

    `values` has shape `(samples, time, channels, *grid.shape)` and may be a numpy or jax array; `times` are the
    increasing times of the frames. `metadata` holds plain values, among them `names`, one for each channel or one for
    a vector. For training, `windows` and `pairs` make a `Dataset` of frames.

    **Raises** `ValueError` for an empty set, times that do not increase or shapes that do not fit.
    """

    values: Array | np.ndarray
    times: np.ndarray
    grid: Grid
    name: str = eqx.field(static=True)
    _metadata: str = eqx.field(static=True)

    def __init__(
        self,
        values: Array | np.ndarray,
        times: Sequence[float] | Array | np.ndarray,
        grid: Grid,
        *,
        name: str = "",
        metadata: Mapping[str, Any] | None = None,
    ):
        self.values, self.times, self.grid = values, np.asarray(times, np.float64), grid
        self.name, self._metadata = name, as_text(metadata)
        self._check_structure()

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of the facts about these data."""
        return json.loads(self._metadata)

    def __len__(self) -> int:
        return self.values.shape[0]

    def __getitem__(self, index: slice | np.ndarray | list[int]) -> Self:
        """The trajectories of a slice, an index array or a boolean mask."""
        return self._with(self.values[chosen(index, "values")])

    @property
    def frames(self) -> int:
        """Number of times."""
        return self.values.shape[1]

    @property
    def channels(self) -> int:
        """Number of channels of a state."""
        return self.values.shape[2]

    def windows(self, history: int, horizon: int, stride: int = 1) -> Dataset:
        """Pairs of `history` frames and the `horizon` frames after them, beginning at every `stride`-th frame.

        Channels are those of the frames one after the other, the oldest first: `history * channels` of them in an
        input, `horizon * channels` in a target. The windows of the first trajectory come first, in order of time.
        `windows(10, 1)` teaches a step, `windows(10, 40, stride=50)` has one window of 50 frames a trajectory.

        **Raises** `ValueError` for counts below one, or more frames than there are.
        """
        for what, count in (("history", history), ("horizon", horizon), ("stride", stride)):
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
                raise ValueError(f"windows needs a whole {what} >= 1, got {count!r}; write windows(history=10, ...).")
        length = history + horizon
        if length > self.frames:
            raise ValueError(
                f"a window of {history} + {horizon} frames is longer than the {self.frames} frames of "
                f"{self.name!r}; take a horizon of at most {max(0, self.frames - history)}."
            )
        values = np.asarray(self.values)
        starts = range(0, self.frames - length + 1, stride)
        cut = np.stack([values[:, i : i + length] for i in starts], axis=1)
        cut = cut.reshape(len(self) * len(starts), length * self.channels, *self.grid.shape)
        at = history * self.channels
        facts = {"history": history, "horizon": horizon, "stride": stride}
        return self._paired(cut[:, :at], cut[:, at:], windows=facts)

    def pairs(self, most: int | None = None) -> Dataset:
        """All pairs of a frame and one that is not before it, with the time between them as a last input channel.

        The identity pairs of lead time zero belong to them. `most` bounds the number of frames between the two.
        Sample-efficient training of one operator for all lead times (Herde et al., Poseidon, 2024, section 2).
        """
        first, second = np.triu_indices(self.frames)
        near = second - first <= (self.frames if most is None else most)
        first, second = first[near], second[near]
        values = np.asarray(self.values)
        shape = (len(self) * len(first), -1, *self.grid.shape)
        lead = (self.times[second] - self.times[first]).astype(values.dtype)
        channel = np.broadcast_to(lead.reshape(-1, 1, *(1 for _ in self.grid.shape)), (len(lead), 1, *self.grid.shape))
        channel = np.broadcast_to(channel, (len(self), *channel.shape))
        inputs = np.concatenate([values[:, first], channel], axis=2)
        return self._paired(inputs.reshape(shape), values[:, second].reshape(shape), lead_time="last input channel")

    def states(self, inputs: Sequence[int], targets: Sequence[int]) -> Dataset:
        """Every frame as a sample of its own, some of its channels to others: a closure, an observation."""
        values = np.asarray(self.values).reshape(-1, *self.values.shape[2:])
        return self._paired(values[:, list(inputs)], values[:, list(targets)])

    def split(self, first: int | float, *, key: Array | None = None) -> tuple[Self, Self]:
        """Two parts: the first `first` trajectories (a count, or a fraction below one) and the rest, shuffled if a key
        is given.

        **Raises** `ValueError` if either part would be empty.
        """
        one, other = two_parts(len(self), first, key)
        return self[one], self[other]

    def subsample(self, stride: int, frames: int = 1) -> Self:
        """The values at every `stride`-th node of each space axis, at every `frames`-th time.

        **Raises** `ValueError` if the coarser nodes are not the nodes of a coarser axis.
        """
        at, grid = coarser(self.grid, stride)
        values = self.values[(slice(None), slice(None, None, frames), slice(None), *at)]
        done = stride * self.metadata.get("subsampled", 1)
        return self._with(values, self.times[::frames], grid, subsampled=done)

    def between(self, first: float, last: float) -> Self:
        """The frames at times from `first` to `last`, both counted: without a warm-up, say.

        **Raises** `ValueError` if there are none.
        """
        slack = 1e-9 * max(1.0, float(np.abs(self.times).max()))
        at = (self.times >= first - slack) & (self.times <= last + slack)
        if not at.any():
            raise ValueError(f"no frame between {first:g} and {last:g}: {self!r}.")
        return self._with(self.values[:, at], self.times[at])

    def check(self) -> Self:
        """The data set itself, once its structure and the finiteness of every value are verified.

        **Raises** `ValueError` naming the first sample that holds a NaN or an infinity.
        """
        self._check_structure()
        check_finite(self.name, "values", self.values)
        return self

    def _check_structure(self) -> None:
        shape, times = tuple(self.values.shape), self.times
        if len(shape) != 3 + len(self.grid.shape) or shape[3:] != self.grid.shape or 0 in shape:
            raise ValueError(
                f"values of trajectories {self.name!r} need shape (samples, time, channels, "
                f"{', '.join(map(str, self.grid.shape))}) on {self.grid}, none of it zero, got {shape}; add a channel "
                "axis with values[:, :, None] or give the grid of these nodes."
            )
        if times.shape != (shape[1],) or not (np.diff(times) > 0).all():
            raise ValueError(
                f"trajectories {self.name!r} have {shape[1]} frames and need as many increasing times, got "
                f"{times.shape} from {times.min(initial=np.inf):g} to {times.max(initial=-np.inf):g}."
            )

    def _with(self, values, times=None, grid: Grid | None = None, **facts) -> Self:
        times, grid = self.times if times is None else times, self.grid if grid is None else grid
        return type(self)(values, times, grid, name=self.name, metadata=self.metadata | facts)

    def _paired(self, inputs: np.ndarray, targets: np.ndarray, **facts) -> Dataset:
        # Names of channels and the times of frames do not describe the pairs any more.
        kept = {k: v for k, v in self.metadata.items() if k != "names"} | {"frame_times": self.times.tolist()}
        return Dataset(inputs, targets, self.grid, name=self.name, metadata=kept | facts)

    def __repr__(self) -> str:
        return (
            f"Trajectories({self.name!r}, {len(self)} samples, {self.frames} frames in [{self.times[0]:g}, "
            f"{self.times[-1]:g}], states {tuple(self.values.shape[2:])}, {self.grid})"
        )
