import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def existing_file(path: str | Path) -> Path:
    """The path of a file that exists.

    **Raises** `FileNotFoundError` naming the nearest file of the same folder, or the folder that is missing.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, a data file was wanted; it holds {listed(f.name for f in path.iterdir())}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"no file {path}: its folder {path.parent} does not exist; give the path of the data file."
        )
    names = [f.name for f in path.parent.iterdir() if f.is_file()]
    raise FileNotFoundError(f"no file {path}; {hint(path.name, names)}the folder holds {listed(names)}.")


def listed(names: Iterable[str], limit: int = 20) -> str:
    """Names for a sentence, sorted, at most `limit`."""
    names = sorted(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "nothing") + more


def hint(name: str, names: Iterable[str]) -> str:
    """`did you mean 'x'? ` if a name is near, else nothing."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""


@contextlib.contextmanager
def written_whole(path: str | Path, overwrite: bool) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only when the block ends well.

    An interruption leaves what stood at `path` untouched. **Raises** `FileExistsError` unless `overwrite`.
    """
    path = Path(path).expanduser()
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists and is not overwritten; write overwrite=True or give another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
