"""What data sets of every kind have in common: parts of their samples, coarser grids, checks, facts as text."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from ..grids import AbstractAxis, Grid


def chosen(index: slice | np.ndarray | list[int] | Array, array: str) -> slice | np.ndarray:
    """An index of samples that keeps the sample axis.

    **Raises** `TypeError` for a single number, with what to write; `array` names an array of the data set.
    """
    if not isinstance(index, slice | np.ndarray | list | jax.Array):
        raise TypeError(
            f"a data set is indexed by a slice or an index array, got {index!r}; write dataset[{index}:{index} + 1] "
            f"for one sample, dataset.{array}[{index}] for its array."
        )
    return index if isinstance(index, slice) else np.asarray(index)


def two_parts(samples: int, first: int | float, key: Array | None) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the first `first` samples (a count, or a fraction below one) and of the rest, shuffled by a key.

    **Raises** `ValueError` if either part would be empty.
    """
    count = round(first * samples) if isinstance(first, float) and 0 < first < 1 else first
    if not isinstance(count, int | np.integer) or not 0 < count < samples:
        raise ValueError(
            f"cannot split {samples} samples at {first!r}: both parts need at least one; write "
            f"split({max(1, 4 * samples // 5)}) or split(0.8)."
        )
    order = np.arange(samples) if key is None else np.asarray(jax.random.permutation(key, samples))
    return order[:count], order[count:]


def coarser(grid: Grid, stride: int) -> tuple[tuple[slice, ...], Grid]:
    """The slices that take every `stride`-th node of each space axis, and the grid of those nodes.

    **Raises** `ValueError` if they are not the nodes of a coarser axis.
    """
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


def check_finite(name: str, kind: str, values: Array | np.ndarray) -> None:
    """**Raises** `ValueError` naming the first sample that holds a NaN or an infinity."""
    good = np.isfinite(np.asarray(values)).reshape(len(values), -1).all(axis=1)
    if not good.all():
        raise ValueError(
            f"{kind} of data set {name!r} are not finite in {np.count_nonzero(~good)} of {len(values)} samples, first "
            f"in sample {int(np.argmin(good))}; drop them with dataset[np.isfinite(dataset.{kind})"
            ".reshape(len(dataset), -1).all(1)] before check()."
        )


def as_text(metadata: Mapping[str, Any] | None) -> str:
    """Facts as text: a hashable static field that cannot be changed behind the back of a jitted function.

    **Raises** `TypeError` for values that are not plain.
    """
    return json.dumps(dict(metadata or {}), default=_plain)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | jax.Array):
        return np.asarray(value).tolist()
    raise TypeError(
        f"metadata holds plain values (numbers, text, lists, dicts), got {type(value).__name__}; convert it first."
    )
