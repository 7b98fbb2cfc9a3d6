"""What each sub-command does, and how it answers when something is wrong."""

import argparse
import inspect
import os
import signal
import traceback
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from ._compose import compose
from ._directory import RunDirectory, resume_command
from ._errors import ConfigError, Interrupted, nearest, sentence
from ._schema import DataConfig, SolveConfig
from ._voice import Voice


def execute(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run a parsed command; returns 0, 2 for a refused input, 1 for a failure, 128 + signal when interrupted."""
    voice = Voice()
    actions = {"run": _run, "evaluate": _evaluate, "data": _data, "report": _report, "verify": _verify, "info": _info}
    try:
        return actions[options.command](options, list(arguments), voice) or 0
    except Interrupted as stop:
        return 128 + signal.Signals[str(stop)].value
    except KeyboardInterrupt:
        _complain("stopped; the files that were written are whole.")
        return 130
    except (ConfigError, FileNotFoundError, FileExistsError, PermissionError) as error:
        return _refuse(error, 2)
    except (ValueError, TypeError, LookupError, RuntimeError, OSError) as error:
        voice.note(traceback.format_exc())
        return _refuse(error, 1)


def start(config: DictConfig, arguments: list[str], voice: Voice, dry_run: bool = False) -> RunDirectory | None:
    """Train, solve or generate what a typed config says."""
    kind = OmegaConf.get_type(config)
    if kind is DataConfig:
        from ._generate import generate

        generate(config, voice)
        return None
    if kind is SolveConfig:
        from ._solve import solve_config

        return solve_config(config, arguments, voice, dry_run)
    from ._train import train_config

    return train_config(config, arguments, voice, dry_run)


def _run(options: argparse.Namespace, arguments: list[str], voice: Voice) -> None:
    if options.multirun:
        from ._sweep import sweep

        sweep(options.config, options.overrides, voice)
        return
    start(compose(options.config, options.overrides), arguments, voice, options.dry_run)


def _evaluate(options: argparse.Namespace, arguments: list[str], voice: Voice) -> None:
    from ._evaluate import evaluate_run

    evaluate_run(RunDirectory.existing(options.run), options.overrides, voice)


def _data(options: argparse.Namespace, arguments: list[str], voice: Voice) -> None:
    config = compose(options.config, options.overrides)
    if OmegaConf.get_type(config) is not DataConfig:
        raise ConfigError(
            f"{options.config} describes a run, not a data set: write `pdejax run {options.config}`, or give a "
            f"config with a 'dataset' entry."
        )
    start(config, arguments, voice)


def _report(options: argparse.Namespace, arguments: list[str], voice: Voice) -> None:
    from ._compare import write_comparison
    from ._report import check_reportable, write_report

    directories = [RunDirectory.existing(path) for path in options.runs]
    for directory in directories:
        check_reportable(directory)
    if len(directories) == 1 and options.output is None:
        voice.say(f"report      {write_report(directories[0])}")
        return
    parents = [str(directory.path.resolve().parent) for directory in directories]
    path = Path(options.output) if options.output else Path(os.path.commonpath(parents)) / "comparison.html"
    if path.exists() and path.is_dir():
        raise ConfigError(f"{path} is a folder: name the HTML file to write, as --output {path}/comparison.html.")
    voice.say(f"comparison  {write_comparison(directories, path)}")


def _verify(options: argparse.Namespace, arguments: list[str], voice: Voice) -> int:
    from .. import solvers
    from ..verify import catalogue, verify

    known = catalogue()
    if options.list:
        voice.say("\n".join(sorted(known)))
        return 0
    if options.equation not in known:
        raise ConfigError(
            f"there is no equation {options.equation!r} to verify: {nearest(options.equation, known)}."
            if options.equation
            else f"name an equation to verify: {', '.join(sorted(known))}."
        )
    methods = {
        name: cls
        for name, cls in vars(solvers).items()
        if inspect.isclass(cls) and issubclass(cls, solvers.AbstractMethod) and not inspect.isabstract(cls)
    }
    if options.method is not None and options.method not in methods:
        raise ConfigError(f"there is no method {options.method!r}: {nearest(options.method, methods)}.")
    report = verify(known[options.equation], methods.get(options.method))
    voice.say(str(report))
    return 0 if report.ok else 1


def _info(options: argparse.Namespace, arguments: list[str], voice: Voice) -> None:
    from ._info import describe_model, describe_process, describe_run

    if options.run is None:
        describe_process(voice)
    elif Path(options.run).is_file():
        describe_model(Path(options.run), voice)
    else:
        describe_run(RunDirectory.existing(options.run), voice)


def go_on(arguments: list[str], voice: Voice) -> None:
    """Say the exact command that continues an interrupted run."""
    voice.say("go on with")
    voice.say(f"  {resume_command(arguments)}")


def _refuse(error: Exception, status: int) -> int:
    if os.environ.get("PDEJAX_TRACEBACK"):
        traceback.print_exc()
    plain = isinstance(error, ConfigError | ValueError | RuntimeError)
    _complain(sentence(error) if plain else f"{type(error).__name__}: {sentence(error)}")
    if status == 1 and not os.environ.get("PDEJAX_TRACEBACK"):
        _complain("set PDEJAX_TRACEBACK=1 to see where.")
    return status


def _complain(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"pdejax: {text}")
