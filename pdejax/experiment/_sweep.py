"""`--multirun`: Hydra's own sweeper and launcher over the runner."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ._compose import compose, config_file, framed, located, parse, prefixed, search_path, sentences
from ._directory import RunDirectory
from ._errors import ConfigError
from ._schema import resolved
from ._voice import Voice


def sweep(config: str, overrides: Sequence[str], voice: Voice) -> None:
    """One run per combination of swept values, in `<output>/<key=value,...>/`, then a page that compares them.

    The sweep is Hydra's: `seed=0,1,2`, `choice(...)`, `range(...)`, group sweeps such as
    `model=fno,unet`, and `hydra/launcher=...` or `hydra/sweeper=...` plugins where installed.
    """
    file = config_file(config)
    swept = [override for override in map(parse, overrides) if override.is_sweep_override()]
    if not swept:
        raise ConfigError("--multirun needs at least one key with several values: write for example seed=0,1,2.")
    fixed = [text for text in overrides if not parse(text).is_sweep_override() and not text.startswith("hydra")]
    base = resolved(compose(file, fixed))
    home = Path(base["output"])
    task = functools.partial(
        _job, file=file, keys=[override.key_or_group for override in swept], home=str(home), config=config
    )
    with located(file) as roots, sentences(file):
        settings = [
            search_path(roots),
            f"hydra.sweep.dir={_quoted(home)}",
            "hydra.sweep.subdir=.hydra/${hydra.job.num}",
            "hydra.output_subdir=null",
            "hydra.job.chdir=false",
            "hydra/job_logging=disabled",
            "hydra/hydra_logging=disabled",
        ]
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        hydra.multirun(file.stem, task, [*settings, *prefixed(overrides, roots)], with_log_configuration=False)
    done = sorted(path.parent for path in home.glob("*/run.json"))
    if len(done) > 1:
        from ._compare import write_comparison

        voice.say(f"comparison  {write_comparison([RunDirectory(path) for path in done], home / 'comparison.html')}")


def _job(config_node: DictConfig, *, file: Path, keys: Sequence[str], home: str, config: str) -> str:
    from ._commands import start

    task = list(HydraConfig.get().overrides.task)
    chosen = [text.lstrip("+") for text in task if parse(text).key_or_group in keys]
    label = ",".join(chosen).replace("/", "_").replace("'", "").replace('"', "")
    typed = framed(config_node, file)
    output = str(Path(home) / label)
    typed["output"], typed["name"] = output, f"{typed.name} {label}"
    voice = Voice()
    voice.say(f"run {label}", style="bold")
    plain = [text.removeprefix("++") for text in task]
    start(typed, ["run", config, *plain, f"output={_quoted(output)}"], voice)
    return output


def _quoted(path: Any) -> str:
    return '"' + str(path).replace('"', r"\"") + '"'
