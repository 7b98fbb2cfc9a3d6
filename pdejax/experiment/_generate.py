"""`pdejax data`: a data set written to a file."""

import time
from pathlib import Path

from omegaconf import DictConfig

from ._build import Keys, build
from ._environment import configure
from ._errors import ConfigError
from ._progress import Counter
from ._schema import resolved
from ._voice import Voice
from ._words import by_grid


def generate(config: DictConfig, voice: Voice) -> Path:
    """Generate the data set of a config and write it in The Well's layout; returns the path.

    Raises `ConfigError` if the file exists and `overwrite` is not set.
    """
    plain = resolved(config)
    path = Path(plain["output"])
    if path.exists() and not plain["overwrite"]:
        raise ConfigError(f"{path} exists: write overwrite=true to replace it, or output=... for another file.")
    configure(plain["precision"], path.parent / ".cache")
    from ..data import write_well

    began = time.monotonic()
    voice.say(f"generating  {plain['dataset']['_target_']}")
    counter = Counter(voice.console)
    try:
        dataset = build(plain["dataset"], "dataset", Keys(plain["seed"]), {"progress": counter})
    finally:
        counter.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_well(path, dataset, overwrite=plain["overwrite"])
    shape = by_grid(dataset.grid.shape)
    voice.say(
        f"written     {path}: {len(dataset)} samples of {dataset.name} on {shape}, {path.stat().st_size / 1e6:.1f} "
        f"MB, {time.monotonic() - began:.1f} s"
    )
    return path
