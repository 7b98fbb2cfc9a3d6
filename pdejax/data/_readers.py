from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import numpy as np

from ..grids import AbstractAxis, Fourier, Grid, Uniform
from ._dataset import Dataset
from ._files import existing_file, hint, listed
from ._manifest import joined, shard_files
from ._sources import Source, open_source


class Take(eqx.Module):
    """The part at `index` along the second axis of a stored array: one time of a trajectory `(samples, time, *space)`.

    `read(path, inputs=Take("tensor", 0), targets=Take("tensor", -1))` pairs the first state with the last.
    """

    name: str = eqx.field(static=True)
    index: int = eqx.field(static=True)


Selection = str | Take | Sequence[str | Take]


def read(
    path: str | Path,
    inputs: Selection = "x",
    targets: Selection = "y",
    grid: Grid | None = None,
    *,
    target_grid: Grid | None = None,
    values: tuple[float, float] | None = None,
) -> Dataset:
    """Data set from a `.npz`, `.mat` (any version) or `.h5` / `.hdf5` file (PDEBench, The Well, or plain named
    arrays), or from a folder of shards (see `write_shards`).

    Arrays are `(samples, *space)` or `(samples, channels, *space)` (`(samples, *space, channels)` is recognised by
    its shape); several names are joined as channels. All times of a trajectory become channels, unless `target_grid`
    has an axis `"t"`; one time is `Take(name, index)`.

    **Arguments:** `inputs`, `targets`: array names, `Take(name, index)`, or sequences of them. `grid` says what kind
    of axes and which lengths the data have; its sizes are replaced by those of the file, so one grid serves files of
    every resolution. By default it is made from the coordinates in the file (`Fourier` where The Well's layout says
    periodic, else `Uniform` on the same nodes), and without coordinates the closed unit box of `Uniform` axes is
    assumed, which `metadata["grid"]` then says. `values=(low, high)` are the numbers for false and true in boolean
    inputs.

    Darcy files that hold `n` points per axis, the first on the boundary and the last short of the far one, lie on
    `Grid(x=Fourier(n, length=1.0), y=Fourier(n, length=1.0))`: nodes `k / n` exclude the right end and nest under
    halving.

    **Raises** `FileNotFoundError`, `LookupError` (with the names there are) or `ValueError` (format, shape,
    non-finite values), each in one sentence.
    """
    shards = shard_files(Path(path).expanduser())
    if shards is not None:
        return joined([read(shard, inputs, targets, grid, target_grid=target_grid, values=values) for shard in shards])
    path = existing_file(path)
    with open_source(path) as source:
        x, y = _gather(source, inputs, path), _gather(source, targets, path)
        facts = {"file": path.name, **source.facts}
        if grid is None:
            grid, facts["grid"] = _grid_of(source, x[0])
    if values is not None:
        x = [_mapped(array, values) for array in x]
    grid, x = _fit(x, grid, inputs, path)
    if target_grid is None:
        target_grid, y = None, _fit(y, grid, targets, path, exact=True)[1]
    else:
        target_grid, y = _fit(y, target_grid, targets, path)
    return Dataset(x, y, grid, name=path.stem, metadata=facts, target_grid=target_grid).check()


def _gather(source: Source, selection: Selection, path: Path) -> list[np.ndarray]:
    arrays = []
    for item in [selection] if isinstance(selection, str | Take) else selection:
        name, index = (item.name, item.index) if isinstance(item, Take) else (item, None)
        if name not in source.arrays:
            raise LookupError(
                f"{path.name} has no array {name!r}; {hint(name, source.arrays)}it holds "
                f"{listed(f'{n} {stored.shape}' for n, stored in source.arrays.items())}."
            )
        stored = source.arrays[name]
        if index is not None and not (len(stored.shape) > 1 and -stored.shape[1] <= index < stored.shape[1]):
            raise ValueError(
                f"array {name!r} of {path.name} has shape {stored.shape}: no index {index} along its second axis."
            )
        arrays.append(np.asarray(stored.read(index)))
    return arrays


def _mapped(array: np.ndarray, values: tuple[float, float]) -> np.ndarray:
    if array.dtype != bool:
        raise ValueError(
            f"values={values} stand for false and true, but the inputs are {array.dtype}, not boolean; leave values "
            "out."
        )
    return np.where(array, np.float32(values[1]), np.float32(values[0]))


def _fit(arrays: list[np.ndarray], grid: Grid, selection, path: Path, exact: bool = False) -> tuple[Grid, np.ndarray]:
    """The arrays joined as `(samples, channels, *space)` and the grid with their sizes."""
    joined = []
    for array in arrays:
        rank = len(grid.shape)
        if array.ndim == rank + 1:
            array = array[:, None]
        elif array.ndim == rank + 2:
            if array.shape[1:-1] == grid.shape and array.shape[2:] != grid.shape:
                array = np.moveaxis(array, -1, 1)
        else:
            raise ValueError(
                f"{selection!r} of {path.name} has shape {array.shape}, which is neither (samples, *space) nor "
                f"(samples, channels, *space) on the {rank} axes of {grid}; give a grid of other axes, or one time "
                "with Take(name, index)."
            )
        joined.append(_floating(array))
    shapes = {array.shape[:1] + array.shape[2:] for array in joined}
    if len(shapes) > 1 or (exact and joined[0].shape[2:] != grid.shape):
        raise ValueError(
            f"the arrays {selection!r} of {path.name} have shapes {sorted(a.shape for a in joined)}, which do not "
            f"fit each other and {grid}; give target_grid if targets live on other nodes."
        )
    dtype = np.result_type(*joined)
    return grid.with_shape(joined[0].shape[2:]), np.concatenate([a.astype(dtype, copy=False) for a in joined], axis=1)


def _floating(array: np.ndarray) -> np.ndarray:
    # Booleans, integers and halves become float32; single and double precision stay.
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _grid_of(source: Source, array: np.ndarray) -> tuple[Grid, str]:
    if source.coordinates:
        axes = {name: _axis_of(name, points, name in source.periodic) for name, points in source.coordinates.items()}
        return Grid(**axes), "from the coordinates of the file"
    names = ("x", "y", "z")[: array.ndim - 1]
    if len(names) != array.ndim - 1 or not names:
        raise ValueError(
            f"inputs of shape {array.shape} in a file without coordinates need a grid; write read(path, "
            "grid=Grid(x=Uniform(n), y=Uniform(n))) with the axes of the data."
        )
    return Grid(**{name: Uniform(n) for name, n in zip(names, array.shape[1:], strict=True)}), "assumed closed unit box"


def _axis_of(name: str, points: np.ndarray, periodic: bool) -> AbstractAxis:
    points = np.asarray(points, dtype=float)
    span = points[-1] - points[0]
    spacing = span / (len(points) - 1)
    # Coordinates in files are single precision as a rule.
    if not np.allclose(np.diff(points), spacing, rtol=1e-3, atol=1e-5 * abs(span)):
        raise ValueError(
            f"the coordinates of axis {name!r} are not equispaced; give the grid, for example "
            f"Grid({name}=Chebyshev(n))."
        )
    if periodic:
        return Fourier(len(points), length=spacing * len(points), start=points[0])
    return Uniform(len(points), length=span, start=points[0])
