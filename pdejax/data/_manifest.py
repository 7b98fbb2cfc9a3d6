"""The manifest of a folder of shards: what was asked for, which files there are, and their checksums."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._files import listed, written_whole
from ._trajectories import Trajectories

MANIFEST = "manifest.json"


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """What the manifest of a folder says; `None` where there is none."""
    path = folder / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else None


def save_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest whole."""
    with written_whole(folder / MANIFEST, overwrite=True) as partial:
        partial.write_text(json.dumps(manifest, indent=1))


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shard_path(folder: Path, index: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard-{index:05d}.h5"


def shard_files(folder: Path) -> list[Path] | None:
    """The shards of a folder in order, each verified; `None` for a path that is no such folder.

    **Raises** `ValueError` for a damaged or missing one, with what to do.
    """
    manifest = manifest_of(folder)
    if manifest is None:
        return None
    count = -(-manifest["samples"] // manifest["size"])
    paths = [shard_path(folder, i) for i in range(count)]
    missing = [path.name for path in paths if path.name not in manifest["shards"]]
    if missing:
        raise ValueError(
            f"{folder} is not complete: {listed(missing, 3)} of {count} shards are still to be made; run the command "
            "that began it once more, and it goes on."
        )
    for path in paths:
        if not path.is_file() or checksum(path) != manifest["shards"][path.name]["sha256"]:
            state = "damaged (its checksum is not the one it was written with)" if path.is_file() else "missing"
            raise ValueError(
                f"{path} is {state}; copy it again, or run the command that made {folder} once more, which makes "
                "this shard anew and keeps the others."
            )
    return paths


def joined(parts: Sequence[Any]) -> Any:
    """The samples of parts of one data set, pairs or trajectories, with the facts of the first."""
    first = parts[0]
    names = ("values",) if isinstance(first, Trajectories) else ("inputs", "targets")
    arrays: Any = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return first._with(*arrays)
