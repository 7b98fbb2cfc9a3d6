"""A grid as plain values: the class of each axis by name, with its fields."""

from typing import Any

import jax
import numpy as np

from .. import grids
from ..grids import AbstractAxis, AbstractBoundary, Grid


def described(grid: Grid) -> dict[str, Any]:
    """The axes of a grid as values that JSON holds."""
    return {name: _described(axis) for name, axis in zip(grid.names, grid.axes, strict=True)}


def grid_from(description: dict[str, Any]) -> Grid:
    """The grid that was described."""
    return Grid(**{name: _built(axis) for name, axis in description.items()})


def _described(item: Any) -> Any:
    if isinstance(item, AbstractAxis | AbstractBoundary):
        fields = {name: _described(getattr(item, name)) for name in item.__dataclass_fields__}
        return {"kind": type(item).__name__} | fields
    return np.asarray(item).tolist() if isinstance(item, np.ndarray | jax.Array) else item


def _built(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    cls = getattr(grids, item["kind"])
    return cls(**{name: _built(value) for name, value in item.items() if name != "kind"})
