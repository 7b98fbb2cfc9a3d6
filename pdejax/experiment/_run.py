"""A run from Python, as the command line would start it."""

from collections.abc import Sequence
from pathlib import Path


def run(config: str | Path, overrides: Sequence[str] = ()) -> Path | None:
    """Do what `pdejax run CONFIG key=value ...` does; returns the run's directory (None for a data set config).

    Sets jax's precision and compilation cache for the process as the config asks.

    **Raises** `ConfigError` for what cannot be composed or built, `Interrupted` when stopped by a signal.
    """
    # Imported here: `pdejax --help` passes through this package and must load neither hydra nor jax.
    from ._commands import start
    from ._compose import compose
    from ._voice import Voice

    directory = start(compose(config, overrides), ["run", str(config), *overrides], Voice())
    return None if directory is None else directory.path
