"""A training run: config to objects, fit with checkpoints, evaluation and report."""

import datetime
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from ._assemble import Assembly, assemble
from ._directory import RunDirectory, repeat_command, resume_command, write_json
from ._environment import commit, configure, hardware, versions
from ._errors import ConfigError, Interrupted
from ._evaluate import is_trajectories, measure, say_result, store_samples, target_grid
from ._metrics import MetricsLog
from ._progress import Meter, clock
from ._report import write_report
from ._rollouts import store_rollouts
from ._schema import resolved
from ._signals import StopSignals
from ._stages import Stage, stages
from ._voice import Voice
from ._words import by_grid, dotted

# Keys that may differ between a run and its continuation without changing the training itself.
_FREE = (
    "name",
    "output",
    "overwrite",
    "resume",
    "evaluation",
    "data.test",
    "data.transfer",
    "training.steps",
    "training.patience",
    "training.keep",
)


def train_config(config: DictConfig, arguments: list[str], voice: Voice, dry_run: bool = False) -> RunDirectory:
    """Train the model of a config, test it and write the report.

    Raises `ConfigError` for a directory in use, a continuation with another config and parts that
    cannot be built; `Interrupted` after a signal, once the state is saved.
    """
    plain = resolved(config)
    directory = RunDirectory(plain["output"])
    directory.permit(plain["overwrite"], plain["resume"])
    if plain["resume"] and directory.state is not None:
        _check_same(directory, plain)
        if directory.state == "finished" and directory.read_record().get("steps", 0) >= plain["training"]["steps"]:
            voice.say(f"finished    {directory.path} needs no more steps; its report is {directory.report}")
            return directory
    configure(plain["precision"], directory.path.parent / ".cache")
    voice.say(f"building    {plain['name']}")
    began = time.monotonic()
    parts = assemble(plain, voice.console)
    plan = stages(plain["training"], parts, directory.checkpoints)
    facts = _facts(plain, parts)
    for name, text in {**facts["data"], "model": facts["model"]}.items():
        voice.say(f"{name:<11} {text}")
    if dry_run:
        return directory
    resumed = directory.claim(plain["overwrite"], plain["resume"])
    voice.log_to(directory.log)
    directory.config.write_text(OmegaConf.to_yaml(config, resolve=True))
    earlier = directory.read_record() if resumed else {}
    directory.write_record(
        **facts,
        kind="train",
        state="running",
        name=plain["name"],
        seed=plain["seed"],
        steps=plain["training"]["steps"],
        composed=OmegaConf.to_container(config, resolve=False),
        command=repeat_command(arguments),
        resume=resume_command(arguments),
        started=earlier.get("started") or datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        precision="float64" if plain["precision"]["x64"] else "float32",
        versions=versions(),
        hardware=hardware(),
        commit=commit(),
    )
    spent = earlier.get("seconds") or 0.0
    try:
        model = _fit(directory, plain, parts, plan, resumed, voice)
        _finish(directory, plain, parts, model, voice)
    except Interrupted as stop:
        directory.write_record(state="interrupted", seconds=spent + time.monotonic() - began)
        voice.say(
            f"interrupted by {stop} at step {directory.read_record().get('step', 0)}; the state is saved. Go on with"
        )
        voice.say(f"  {resume_command(arguments)}")
        raise
    except BaseException as error:
        directory.write_record(
            state="interrupted" if isinstance(error, KeyboardInterrupt) else "failed", reason=str(error)[:500]
        )
        raise
    directory.write_record(state="finished", seconds=spent + time.monotonic() - began)
    write_report(directory)
    voice.say(f"report      {directory.report}")
    return directory


def _fit(
    directory: RunDirectory,
    plain: Mapping[str, Any],
    parts: Assembly,
    plan: Sequence[Stage],
    resumed: bool,
    voice: Voice,
) -> Any:
    from ..training import Checkpoints, fit, save_model

    settings = plain["training"]
    saved = [Checkpoints(stage.folder, settings["keep"], settings["checkpoint_every"]) for stage in plan]
    reached = max(checkpoints.latest_step or 0 for checkpoints in saved)
    log = MetricsLog(directory.metrics, keep_until=reached if resumed else 0)
    before, began = directory.read_record().get("training_seconds") or 0.0, time.monotonic()
    earlier = 0.0
    result: Any = None

    def on_update(metrics: Mapping[str, Any]) -> None:
        log.append({**metrics, "seconds": earlier + metrics["seconds"]})
        directory.write_record(step=int(metrics["step"]), training_seconds=before + time.monotonic() - began)

    with StopSignals(voice.say) as signals:
        for stage, checkpoints in zip(plan, saved, strict=True):
            result = fit(
                stage.model,
                stage.train,
                loss=parts.loss,
                augment=parts.augment,
                optimizer=parts.optimizer,
                steps=stage.until,
                batch_size=settings["batch_size"],
                key=parts.keys("training"),
                validation=stage.validation,
                state=None if result is None else result.state,
                ema=settings["ema"],
                log_every=settings["log_every"],
                patience=settings["patience"],
                checkpoints=checkpoints,
                progress=Meter(voice.console, on_update),
            )
            if result.stopped in ("interrupted", "nonfinite"):
                break
            earlier += result.history[-1]["seconds"]
    if result.stopped == "interrupted":
        raise Interrupted(signals.received or "SIGINT")
    step = int(result.state.step)
    if result.stopped == "nonfinite":
        raise ConfigError(
            f"the loss is not finite at step {step + 1}: lower the learning rate, clip the gradient "
            "(optax.clip_by_global_norm in optax.chain), or write precision.x64=true."
        )
    model = result.model
    if settings["curriculum"]:
        model = type(model)(model.model, parts.model.steps, parts.model.history)
    save_model(directory.model, model, {"model": parts.recipe, "normalise": plain["normalise"]})
    spent = clock(before + time.monotonic() - began)
    reason = f", stopped by patience={settings['patience']}" if result.stopped == "patience" else ""
    voice.say(f"trained     {step} steps in {spent}{reason}; model in {directory.model}")
    return model


def _finish(directory: RunDirectory, plain: Mapping[str, Any], parts: Assembly, model: Any, voice: Voice) -> None:
    results = []
    for name, dataset in parts.tests.items():
        result, predictions = measure(model, name, dataset, plain["evaluation"]["batch_size"])
        say_result(result, voice)
        if not results and is_trajectories(dataset):
            store_rollouts(directory.rollouts, dataset, predictions)
        elif not results:
            metric = next(iter(result["errors"]))
            import numpy as np

            store_samples(
                directory.samples,
                dataset,
                predictions,
                np.asarray(result["errors"][metric]),
                plain["evaluation"]["samples"],
            )
        results.append(result)
    write_json(directory.evaluation, {"tests": results})


def _facts(plain: Mapping[str, Any], parts: Assembly) -> dict[str, Any]:
    import equinox as eqx
    import jax

    from ..nn import trainable

    count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(parts.model, trainable(parts.model))))
    shape = parts.train.target_grid.shape
    sets = {"train": parts.train, "validation": parts.validation, **parts.tests}
    name = plain["model"]["_target_"].rsplit(".", 1)[-1]
    return {
        "parameters": int(count),
        "trained_points": round(float(_product(shape)) ** (1 / len(shape))),
        "model": f"{name} with {count:,} trainable parameters",
        "data": {
            label: f"{len(d)} samples of {d.name or 'unnamed data'} on {by_grid(target_grid(d).shape)}"
            for label, d in sets.items()
            if d is not None
        },
        "summary": f"{name} trained on {len(parts.train)} samples of {parts.train.name}, {by_grid(shape)}",
    }


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def _check_same(directory: RunDirectory, plain: Mapping[str, Any]) -> None:
    if not directory.config.is_file():
        return
    before = dotted(yaml.safe_load(directory.config.read_text()))
    now = dotted(plain)
    for key in dict.fromkeys([*before, *now]):
        free = any(key == name or key.startswith(name + ".") for name in _FREE)
        if not free and before.get(key) != now.get(key):
            raise ConfigError(
                f"{directory.path} was started with {key}={before.get(key)} and cannot be continued with "
                f"{key}={now.get(key)}: "
                "write the earlier value, or name=... for a run of its own."
            )
