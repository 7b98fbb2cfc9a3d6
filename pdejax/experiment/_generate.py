"""`pdejax data`: a data set written to a file, or to a folder of shards."""

import inspect
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ._build import Keys, build, locate
from ._environment import configure
from ._errors import ConfigError, sentence
from ._progress import Counter
from ._schema import resolved
from ._voice import Voice
from ._words import by_grid


def generate(config: DictConfig, voice: Voice) -> Path:
    """Generate the data set of a config and write it in The Well's layout; returns the path.

    An `output` that ends in `.h5` or `.hdf5` is one file, any other a folder of shards of `shard` samples. Until a
    file of more samples is complete, its shards lie in a folder beside it: the same command goes on after an
    interruption.

    Raises `ConfigError` if the output is complete and `overwrite` is not set.
    """
    plain = resolved(config)
    path = Path(plain["output"]).expanduser()
    configure(plain["precision"], path.parent / ".cache")
    began = time.monotonic()
    counter = Counter(voice.console)
    write = _file if path.suffix.lower() in (".h5", ".hdf5") else _folder
    try:
        content, size = write(plain, path, counter, voice)
    finally:
        counter.close()
    voice.say(f"written     {path}: {content}, {size / 1e6:.1f} MB, {time.monotonic() - began:.1f} s")
    return path


def _file(plain: Mapping[str, Any], path: Path, counter: Counter, voice: Voice) -> tuple[str, int]:
    from ..data import read_well, remove_shards, write_well

    if path.exists() and not plain["overwrite"]:
        raise ConfigError(f"{path} exists: write overwrite=true to replace it, or output=... for another file.")
    parts = path.with_name(f"{path.name}.shards")
    if _takes_ranges(plain["dataset"]) and plain["dataset"]["samples"] > plain["shard"]:
        _shards(plain, parts, counter, voice)
        dataset = read_well(parts)
    else:
        voice.say(f"generating  {plain['dataset']['_target_']}")
        dataset = build(plain["dataset"], "dataset", Keys(plain["seed"]), {"progress": counter})
    write_well(path, dataset, overwrite=plain["overwrite"])
    remove_shards(parts)
    return f"{len(dataset)} samples of {dataset.name} on {by_grid(dataset.grid.shape)}", path.stat().st_size


def _folder(plain: Mapping[str, Any], path: Path, counter: Counter, voice: Voice) -> tuple[str, int]:
    from ..data import remove_shards, shards_done

    node = plain["dataset"]
    if not _takes_ranges(node):
        raise ConfigError(
            f"{node['_target_']} cannot make some of its samples at a time, so it is not written in shards: name a "
            f"file, as output={path}.h5."
        )
    if shards_done(path) == (node["samples"], node["samples"]):
        if not plain["overwrite"]:
            raise ConfigError(f"{path} is complete: write overwrite=true to replace it, or output=... for another.")
        remove_shards(path)
    _shards(plain, path, counter, voice)
    files = [file.stat().st_size for file in path.glob("shard-*.h5")]
    return f"{node['samples']} samples in {len(files)} shards", sum(files)


def _takes_ranges(node: Mapping[str, Any]) -> bool:
    """Whether the target makes the samples of a range as well as a number of them."""
    parameter = inspect.signature(locate(node["_target_"], "dataset")).parameters.get("samples")
    return parameter is not None and parameter.annotation == int | range and isinstance(node.get("samples"), int)


def _shards(plain: Mapping[str, Any], folder: Path, counter: Counter, voice: Voice) -> None:
    from ..data import shards_done, write_shards

    node, samples = plain["dataset"], plain["dataset"]["samples"]
    done = shards_done(folder)[0]
    voice.say(
        f"{'going on with' if done else 'generating '} {node['_target_']}" + (f" after {done} samples" if done else "")
    )

    def make(which: range) -> Any:
        progress = lambda done, _: counter(which.start + done, samples)
        return build({**node, "samples": which}, "dataset", Keys(plain["seed"]), {"progress": progress})

    request = {key: plain[key] for key in ("seed", "precision")}
    request |= {"dataset": {name: value for name, value in node.items() if name != "samples"}}
    try:
        write_shards(folder, make, samples, size=plain["shard"], request=request, overwrite=plain["overwrite"])
    except KeyboardInterrupt:
        voice.say(
            f"stopped     {shards_done(folder)[0]} of {samples} samples stand; the same command goes on from there"
        )
        raise
    except ValueError as error:
        raise ConfigError(sentence(error)) from error
