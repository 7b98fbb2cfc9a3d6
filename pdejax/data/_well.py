import json
from pathlib import Path

import h5py
import numpy as np

from ..grids import AbstractAxis, Cosine, Fourier, Free, Grid, Periodic, Sine
from ._dataset import Dataset
from ._files import existing_file, listed, written_whole
from ._grid_text import described, grid_from
from ._manifest import joined, shard_files
from ._sources import Source, open_source
from ._trajectories import Trajectories
from ._well_fields import fields_of


def write_well(path: str | Path, dataset: Dataset | Trajectories, *, overwrite: bool = False) -> Path:
    """Write a data set as one HDF5 file in the layout of The Well (Ohana et al., 2024, section "Data format").

    Groups `dimensions`, `boundary_conditions`, `scalars`, `t0_fields`, `t1_fields`, `t2_fields`; fields have axes
    `(sample, [time], *space, [component])`. Names come from `metadata["names"]` of trajectories, and from
    `metadata["input_names"]` and `["target_names"]` of pairs, one name for each channel (scalars, `t0_fields`) or one
    for as many channels as there are space axes (a vector, `t1_fields`); without them channels are called `field_0`,
    `input_0`, `target_0`, ... Where inputs and targets have the same names and `metadata["times"]` gives two times,
    they are the two times of one field; targets on a grid with `"t"` vary in time; all else of pairs does not.
    `metadata["parameters"]` become scalars. The attribute `pdejax` holds what the layout has no place for, so that
    `read_well` gives back the same data set. Arrays keep their precision.

    The file is written under a temporary name and renamed when complete.

    **Raises** `FileExistsError` unless `overwrite`, `ValueError` for non-finite data or names that do not fit.
    """
    dataset.check()
    fields, times, plan = fields_of(dataset)
    with written_whole(path, overwrite) as partial, h5py.File(partial, "w") as file:
        _write_facts(file, dataset)
        file.attrs["pdejax"] = json.dumps(plan | {"grid": described(dataset.grid)})
        _write_axes(file, dataset.grid, times, next(iter(fields.values())).values.dtype)
        for order in range(3):
            group = file.create_group(f"t{order}_fields")
            chosen = {name: field for name, field in fields.items() if field.order == order}
            _attribute_names(group, "field_names", list(chosen))
            for name, field in chosen.items():
                stored = group.create_dataset(name, data=field.values)
                stored.attrs["dim_varying"] = [True] * dataset.grid.ndim
                stored.attrs["sample_varying"], stored.attrs["time_varying"] = True, field.timed
    return Path(path)


def read_well(path: str | Path) -> Dataset | Trajectories:
    """The data set that `write_well` wrote, or `write_shards` in a folder, with its grids, names and metadata.

    **Raises** `FileNotFoundError`, or `ValueError` for a damaged shard, or a file of The Well's layout from elsewhere,
    with the call that reads it.
    """
    shards = shard_files(Path(path).expanduser())
    if shards is not None:
        return joined([read_well(shard) for shard in shards])
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
        return _read(source, json.loads(plan))


def _read(source: Source, plan: dict) -> Dataset | Trajectories:
    facts = dict(name=plan["name"], metadata=plan["metadata"])
    grid = grid_from(plan["grid"])
    if "fields" in plan:
        states = (source.arrays[name].read(None) for name in plan["fields"])
        values = [a[:, :, None] if a.ndim == 2 + len(grid.shape) else a for a in states]
        return Trajectories(np.concatenate(values, axis=2), plan["times"], grid, **facts)
    target_grid = grid_from(plan["target_grid"])
    inputs = [_channels(source.arrays[name].read(plan["input_time"]), grid) for name in plan["inputs"]]
    targets = [_channels(source.arrays[name].read(plan["target_time"]), target_grid) for name in plan["targets"]]
    return Dataset(
        np.concatenate(inputs, axis=1), np.concatenate(targets, axis=1), grid, target_grid=target_grid, **facts
    )


def _channels(array: np.ndarray, grid: Grid) -> np.ndarray:
    if array.ndim == 1 + len(grid.shape):
        return array[:, None]
    # A vector of a trajectory is stored (sample, time, component, *space); channels come before all axes.
    return np.moveaxis(array, 2, 1) if grid.names[0] == "t" else array


def _write_facts(file, dataset: Dataset | Trajectories) -> None:
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


def _write_axes(file, grid: Grid, times: list[float], dtype) -> None:
    dimensions, conditions = file.create_group("dimensions"), file.create_group("boundary_conditions")
    _attribute_names(dimensions, "spatial_dims", list(grid.names))
    time = dimensions.create_dataset("time", data=np.asarray(times, dtype))
    time.attrs["sample_varying"], time.attrs["time_varying"] = False, True
    for name, axis in zip(grid.names, grid.axes, strict=True):
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
