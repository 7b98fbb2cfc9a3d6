import json
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np

from .. import grids
from ..grids import AbstractAxis, AbstractBoundary, Cosine, Fourier, Free, Grid, Periodic, Sine
from ._dataset import Dataset
from ._files import existing_file, listed, written_whole
from ._sources import open_source


def write_well(path: str | Path, dataset: Dataset, *, overwrite: bool = False) -> Path:
    """Write a data set as one HDF5 file in the layout of The Well (Ohana et al., 2024, section "Data format").

    Groups `dimensions`, `boundary_conditions`, `scalars`, `t0_fields`, `t1_fields`, `t2_fields`; fields have axes
    `(sample, [time], *space, [component])`. Names come from `metadata["input_names"]` and `["target_names"]`, one
    name for each channel (scalars, `t0_fields`) or one for as many channels as there are space axes (a vector,
    `t1_fields`); without them channels are called `input_0`, `target_0`, ... Where both have the same names and
    `metadata["times"]` gives two times, input and target are the two times of one field; targets on a grid with `"t"`
    are trajectories; all else does not vary in time. `metadata["parameters"]` become scalars. The attribute `pdejax`
    holds what the layout has no place for, so that `read_well` gives back the same data set. Arrays keep their
    precision.

    The file is written under a temporary name and renamed when complete.

    **Raises** `FileExistsError` unless `overwrite`, `ValueError` for non-finite data or names that do not fit.
    """
    dataset.check()
    fields, plan = _fields(dataset)
    times = plan.pop("times")
    with written_whole(path, overwrite) as partial, h5py.File(partial, "w") as file:
        _write_facts(file, dataset)
        file.attrs["pdejax"] = json.dumps(plan)
        _write_axes(file, dataset, times)
        for order in range(3):
            group = file.create_group(f"t{order}_fields")
            chosen = {name: field for name, field in fields.items() if field[2] == order}
            _attribute_names(group, "field_names", list(chosen))
            for name, (values, timed, _) in chosen.items():
                stored = group.create_dataset(name, data=values)
                stored.attrs["dim_varying"] = [True] * dataset.grid.ndim
                stored.attrs["sample_varying"], stored.attrs["time_varying"] = True, timed
    return Path(path)


def read_well(path: str | Path) -> Dataset:
    """The data set that `write_well` wrote, with its grids, names and metadata.

    **Raises** `FileNotFoundError`, or `ValueError` for a file of The Well's layout from elsewhere, with the call that
    reads it.
    """
    path = existing_file(path)
    with h5py.File(path, "r") as file:
        plan = file.attrs.get("pdejax")
    with open_source(path) as source:
        if plan is None:
            raise ValueError(
                f"{path.name} does not say which fields are inputs and which are targets; write read(path, "
                f"inputs=..., targets=...) with names from {listed(source.arrays)}, and Take(name, index) for one "
                "time."
            )
        plan = json.loads(plan)
        inputs = [source.arrays[name].read(plan["input_time"]) for name in plan["inputs"]]
        targets = [source.arrays[name].read(plan["target_time"]) for name in plan["targets"]]
    grid, target_grid = _grid_from(plan["grid"]), _grid_from(plan["target_grid"])
    return Dataset(
        np.concatenate([_channels(a, grid) for a in inputs], axis=1),
        np.concatenate([_channels(a, target_grid) for a in targets], axis=1),
        grid,
        name=plan["name"],
        metadata=plan["metadata"],
        target_grid=target_grid,
    )


def _channels(array: np.ndarray, grid: Grid) -> np.ndarray:
    if array.ndim == 1 + len(grid.shape):
        return array[:, None]
    # A vector of a trajectory is stored (sample, time, component, *space); channels come before all axes.
    return np.moveaxis(array, 2, 1) if grid.names[0] == "t" else array


def _fields(dataset: Dataset) -> tuple[dict[str, tuple[np.ndarray, bool, int]], dict[str, Any]]:
    """Name to (array in the layout, varies in time, tensor order), and the plan that reads them back."""
    facts, ndim = dataset.metadata, dataset.grid.ndim
    trajectory = dataset.target_grid.names == ("t", *dataset.grid.names)
    if "t" in dataset.grid.names or not (trajectory or dataset.target_grid.same_nodes(dataset.grid)):
        raise ValueError(
            f"The Well's layout has one space grid and time first, got inputs on {dataset.grid} and targets on "
            f"{dataset.target_grid}; write targets on the grid of the inputs, or on Grid(t=..., followed by its "
            "axes)."
        )
    inputs = _named(facts.get("input_names"), "input", np.asarray(dataset.inputs), ndim)
    targets = _named(facts.get("target_names"), "target", np.asarray(dataset.targets), ndim)
    times = [float(t) for t in facts.get("times", [0.0])]
    evolution = list(inputs) == list(targets) and len(times) == 2 and not trajectory
    plan: dict[str, Any] = dict(
        inputs=list(inputs), targets=list(targets), input_time=None, target_time=None, times=times[:1]
    )
    if evolution:
        fields = {name: np.stack([inputs[name], targets[name]], axis=1) for name in inputs}
        plan.update(input_time=0, target_time=1, times=times)
    else:
        twice = sorted(set(inputs) & set(targets))
        if twice:
            raise ValueError(
                f"field {twice[0]!r} is both input and target, which needs two times; give metadata times=[t0, t1] "
                "or other names."
            )
        # Channels come first in a data set and time first in the layout; `_named` has moved the channels out of the
        # way.
        fields = inputs | targets
        if trajectory:
            plan["times"] = dataset.target_grid.axis("t").points.tolist()
    timed = {name: evolution or (trajectory and name in targets) for name in fields}
    plan |= dict(name=dataset.name, metadata=facts)
    plan |= dict(grid=_describe(dataset.grid), target_grid=_describe(dataset.target_grid))
    return {n: (v, timed[n], v.ndim - 1 - ndim - int(timed[n])) for n, v in fields.items()}, plan


def _named(names: list[str] | None, default: str, values: np.ndarray, ndim: int) -> dict[str, np.ndarray]:
    channels = values.shape[1]
    names = names or [f"{default}_{i}" for i in range(channels)]
    if len(names) == 1 and channels == ndim > 1:
        return {names[0]: np.moveaxis(values, 1, -1)}
    if len(names) != channels or len(set(names)) != channels:
        raise ValueError(
            f"{channels} {default} channels need as many different names, got {names}; set "
            f"metadata[{default + '_names'!r}]."
        )
    return {name: values[:, i] for i, name in enumerate(names)}


def _write_facts(file, dataset: Dataset) -> None:
    parameters = {k: v for k, v in dataset.metadata.get("parameters", {}).items() if isinstance(v, int | float)}
    file.attrs["dataset_name"] = dataset.name
    file.attrs["grid_type"] = "cartesian"
    file.attrs["n_spatial_dims"] = dataset.grid.ndim
    file.attrs["n_trajectories"] = len(dataset)
    _attribute_names(file, "simulation_parameters", list(parameters))
    scalars = file.create_group("scalars")
    _attribute_names(scalars, "field_names", list(parameters))
    for name, value in parameters.items():
        file.attrs[name] = value
        stored = scalars.create_dataset(name, data=value)
        stored.attrs["sample_varying"] = stored.attrs["time_varying"] = False


def _write_axes(file, dataset: Dataset, times: list[float]) -> None:
    dtype = np.asarray(dataset.inputs).dtype
    dimensions, conditions = file.create_group("dimensions"), file.create_group("boundary_conditions")
    _attribute_names(dimensions, "spatial_dims", list(dataset.grid.names))
    time = dimensions.create_dataset("time", data=np.asarray(times, dtype))
    time.attrs["sample_varying"], time.attrs["time_varying"] = False, True
    for name, axis in zip(dataset.grid.names, dataset.grid.axes, strict=True):
        stored = dimensions.create_dataset(name, data=axis.points.astype(dtype))
        stored.attrs["sample_varying"] = stored.attrs["time_varying"] = False
        kinds = [_kind(axis, end) for end in ("lower", "upper")]
        for kind in dict.fromkeys(kinds):
            mask = np.zeros(axis.n, bool)
            mask[0], mask[-1] = (k == kind for k in kinds)
            group = conditions.create_group(f"{name}_{kind.lower()}")
            _attribute_names(group, "associated_dims", [name])
            _attribute_names(group, "associated_fields", [])
            group.attrs["bc_type"] = kind
            group.attrs["sample_varying"] = group.attrs["time_varying"] = False
            group.create_dataset("mask", data=mask)


def _kind(axis: AbstractAxis, end: str) -> str:
    side = getattr(axis, end, Free())
    if isinstance(axis, Fourier) or isinstance(side, Periodic):
        return "PERIODIC"
    return "WALL" if isinstance(axis, Sine | Cosine) or not isinstance(side, Free) else "OPEN"


def _attribute_names(item, attribute: str, names: list[str]) -> None:
    item.attrs.create(attribute, names, shape=(len(names),), dtype=h5py.string_dtype())


# The grid as plain values: the class of each axis by name, with its fields.


def _describe(grid: Grid) -> dict[str, Any]:
    return {name: _described(axis) for name, axis in zip(grid.names, grid.axes, strict=True)}


def _described(item: Any) -> Any:
    if isinstance(item, AbstractAxis | AbstractBoundary):
        fields = {name: _described(getattr(item, name)) for name in item.__dataclass_fields__}
        return {"kind": type(item).__name__} | fields
    return np.asarray(item).tolist() if isinstance(item, np.ndarray | jax.Array) else item


def _grid_from(description: dict[str, Any]) -> Grid:
    return Grid(**{name: _built(axis) for name, axis in description.items()})


def _built(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    cls = getattr(grids, item["kind"])
    return cls(**{name: _built(value) for name, value in item.items() if name != "kind"})
