import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ._dataset import Dataset
from ._files import listed
from ._manifest import MANIFEST, checksum, manifest_of, save_manifest, shard_path
from ._trajectories import Trajectories
from ._well import write_well


def write_shards(
    folder: str | Path,
    make: Callable[[range], Dataset | Trajectories],
    samples: int,
    *,
    size: int = 128,
    request: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a large data set as a folder of files of at most `size` samples, and go on where that was interrupted.

    `make(range(first, stop))` makes those samples, as the generators here do with `samples=range(first, stop)`. Each
    shard is a file of `write_well`, written whole, with its SHA-256 in `manifest.json`; called again, the shards that
    stand and are unharmed are kept and the others made, to the same bits as without the interruption. A damaged one is
    warned of and made again. More samples may be asked for later. `request` is what the data depend on, in plain
    values: the shards of another request, or of another size, are refused, or replaced if `overwrite`.

    `read_well(folder)` and `read(folder, ...)` verify and read them all.

    **Raises** `ValueError` for a folder that holds something else.
    """
    folder = Path(folder).expanduser()
    manifest = _begun(folder, {"size": size, "request": json.loads(json.dumps(request))}, overwrite)
    manifest["samples"] = samples
    # What a killed process was writing.
    for path in folder.glob(".*.partial"):
        path.unlink()
    save_manifest(folder, manifest)
    for i, first in enumerate(range(0, samples, size)):
        path, which = shard_path(folder, i), range(first, min(first + size, samples))
        entry = manifest["shards"].get(path.name)
        if entry is not None and entry["samples"] == len(which):
            if path.is_file() and checksum(path) == entry["sha256"]:
                continue
            warnings.warn(f"{path} is not as it was written and is made again.", stacklevel=2)
        write_well(path, make(which), overwrite=True)
        manifest["shards"][path.name] = {"samples": len(which), "sha256": checksum(path)}
        save_manifest(folder, manifest)
    return folder


def shards_done(folder: str | Path) -> tuple[int, int]:
    """Number of samples in the shards of a folder, and of those that were asked for; zeros where there is none."""
    manifest = manifest_of(Path(folder).expanduser())
    if manifest is None:
        return 0, 0
    done = sum(entry["samples"] for entry in manifest["shards"].values())
    return min(done, manifest["samples"]), manifest["samples"]


def remove_shards(folder: str | Path) -> None:
    """Remove what `write_shards` wrote, and the folder if nothing else is in it."""
    folder = Path(folder).expanduser()
    for path in [*folder.glob("shard-*.h5"), *folder.glob(".*.partial"), folder / MANIFEST]:
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _begun(folder: Path, wanted: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    manifest = manifest_of(folder)
    differing = [name for name, value in wanted.items() if manifest is not None and manifest[name] != value]
    if manifest is not None and not differing:
        return manifest
    if manifest is not None and not overwrite:
        raise ValueError(
            f"{folder} holds shards of another data set: {_difference(manifest, wanted, differing[0])}; give another "
            "folder, or overwrite it."
        )
    if manifest is not None:
        remove_shards(folder)
    others = [f.name for f in folder.iterdir() if f.suffix != ".partial"] if folder.is_dir() else []
    if others:
        raise ValueError(f"{folder} holds {listed(others, 3)} and no shards; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return wanted | {"samples": 0, "shards": {}}


def _difference(manifest: dict[str, Any], wanted: dict[str, Any], name: str) -> str:
    old, new = manifest[name], wanted[name]
    if isinstance(old, dict) and isinstance(new, dict):
        name = next(key for key in {**old, **new} if old.get(key) != new.get(key))
        old, new = old.get(name), new.get(name)
    return f"{name} was {json.dumps(old)} and is {json.dumps(new)}"
