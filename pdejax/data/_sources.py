"""What a data file holds, whatever its format: named arrays with samples first, coordinates, facts."""

import abc
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import h5py
import numpy as np
import scipy.io

from ._files import listed


class AbstractStored(eqx.Module):
    """An array in a file, read only when asked for."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole, samples first."""

    @abc.abstractmethod
    def read(self, index: int | None) -> np.ndarray:
        """The whole array, or the part at `index` along its second axis (in trajectories: time)."""


class StoredArray(AbstractStored):
    """A numpy array or HDF5 data set; `reversed_axes` for MATLAB files, which HDF5 shows column first."""

    array: Any
    reversed_axes: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[::-1] if self.reversed_axes else self.array.shape

    def read(self, index: int | None) -> np.ndarray:
        if self.reversed_axes:
            values = np.transpose(self.array[()])
            return values if index is None else values[:, index]
        return self.array[()] if index is None else self.array[:, index]


class StoredGroups(AbstractStored):
    """One group per sample, each holding `data` of shape `(time, *space, channels)`.

    Read as `(samples, time, channels, *space)`.
    """

    groups: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.groups[0]["data"].shape
        return (len(self.groups), shape[0], shape[-1], *shape[1:-1])

    def read(self, index: int | None) -> np.ndarray:
        at = slice(None) if index is None else index
        return np.stack([np.moveaxis(group["data"][at], -1, 0 if index is not None else 1) for group in self.groups])


class StoredWell(AbstractStored):
    """A field in The Well's layout `([sample], [time], *space, *components)`.

    Absent axes are filled in and the components come before space.
    """

    data: Any
    samples: int
    space: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        time = (self._time,) if self.data.attrs["time_varying"] else ()
        return (self.samples, *time, *self._components, *self.space)

    @property
    def _time(self) -> int:
        return self.data.shape[int(self.data.attrs["sample_varying"])]

    @property
    def _components(self) -> tuple[int, ...]:
        attrs = self.data.attrs
        stored = int(attrs["sample_varying"]) + int(attrs["time_varying"]) + int(np.sum(attrs["dim_varying"]))
        return (int(np.prod(self.data.shape[stored:])),) if self.data.ndim > stored else ()

    def read(self, index: int | None) -> np.ndarray:
        attrs = self.data.attrs
        timed = bool(attrs["time_varying"])
        if index is not None and not timed:
            raise ValueError(
                f"field {Path(self.data.name).name!r} does not vary in time, so it has no time {index}; give its "
                "name alone."
            )
        lead = (slice(None),) * int(attrs["sample_varying"])
        values = self.data[(*lead, index)] if index is not None else self.data[()]
        timed = timed and index is None
        if not attrs["sample_varying"]:
            values = values[None]
        before = 1 + int(timed)
        for i, varies in enumerate(attrs["dim_varying"]):
            if not varies:
                values = np.expand_dims(values, before + i)
        values = values.reshape(values.shape[: before + len(self.space)] + self._components)
        values = np.broadcast_to(values, (self.samples, *values.shape[1:before], *self.space, *self._components))
        return np.moveaxis(values, -1, before) if self._components else values


class Source(eqx.Module):
    """The named arrays of a file, the coordinates of its axes (empty if it has none) and the facts it states."""

    arrays: Mapping[str, AbstractStored]
    coordinates: dict[str, np.ndarray] = eqx.field(default_factory=dict)
    periodic: frozenset[str] = frozenset()
    facts: dict[str, Any] = eqx.field(default_factory=dict)


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The contents of a data file by its suffix: `.npz`, `.mat` (all versions), `.h5` / `.hdf5`.

    **Raises** `ValueError` for other suffixes, with what to write instead.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with np.load(path) as file:
            yield Source({name: StoredArray(file[name]) for name in file.files})
    elif suffix in (".h5", ".hdf5", ".mat"):
        if suffix == ".mat" and not h5py.is_hdf5(path):
            arrays = scipy.io.loadmat(path)
            yield Source({k: StoredArray(v) for k, v in arrays.items() if isinstance(v, np.ndarray)})
            return
        if not h5py.is_hdf5(path):
            raise ValueError(
                f"{path} is not an HDF5 file although it is named so; check how it was made or downloaded."
            )
        with h5py.File(path, "r") as file:
            yield _hdf5_source(file, matlab=suffix == ".mat")
    else:
        raise ValueError(_refusal(path))


def _refusal(path: Path) -> str:
    if path.suffix.lower() in (".pt", ".pth", ".pkl", ".pickle"):
        return (
            f"{path.name} is a pickle, and reading it would run code from the file; convert it once where torch "
            "is installed: np.savez('data.npz', **{k: v.numpy() for k, v in torch.load('data.pt').items()})."
        )
    return (
        f"{path.name} has the suffix {path.suffix!r}; data are read from .npz, .mat, .h5 and .hdf5: write "
        "np.savez('data.npz', x=x, y=y)."
    )


def _hdf5_source(file, matlab: bool) -> Source:
    if "t0_fields" in file:
        return _well_source(file)
    first = next(iter(file), None)
    if not matlab and first is not None and getattr(file[first], "get", None) and "data" in file[first]:
        # PDEBench, one group per sample.
        groups = tuple(file[name] for name in sorted(file) if "data" in file[name])
        axes = groups[0].get("grid", {})
        coordinates = {name: axes[name][()] for name in axes if name != "t"}
        return Source({"data": StoredGroups(groups)}, coordinates, facts=_facts(file.attrs))
    arrays = {}
    file.visititems(lambda name, item: arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    # PDEBench, one array per quantity: coordinates are named x-coordinate, y-coordinate, ...
    coordinates = {name[0]: arrays[name][()] for name in arrays if name.endswith("-coordinate") and name[0] != "t"}
    kept = {name: StoredArray(a, matlab) for name, a in arrays.items() if not name.endswith("-coordinate") and a.ndim}
    return Source(kept, coordinates, facts=_facts(file.attrs))


def _well_source(file) -> Source:
    names = [str(name) for name in file["dimensions"].attrs["spatial_dims"]]
    coordinates = {name: file["dimensions"][name][()] for name in names}
    if any(c.ndim != 1 for c in coordinates.values()):
        raise ValueError(
            f"{file.filename}: coordinates that vary from sample to sample are not read; axes: {listed(names)}."
        )
    shape = tuple(len(c) for c in coordinates.values())
    samples = int(file.attrs["n_trajectories"])
    arrays = {}
    for order in range(3):
        group = file.get(f"t{order}_fields", {})
        arrays.update({name: StoredWell(group[name], samples, shape) for name in group})
    periodic = {
        str(name)
        for bc in file.get("boundary_conditions", {}).values()
        if str(bc.attrs["bc_type"]).upper() == "PERIODIC"
        for name in np.atleast_1d(bc.attrs["associated_dims"])
    }
    return Source(arrays, coordinates, frozenset(periodic), _facts(file.attrs))


def _facts(attrs) -> dict[str, Any]:
    plain = (str, int, float, np.number, np.bool_)
    return {str(k): v for k, v in attrs.items() if isinstance(v, plain) and k != "pdejax"}
