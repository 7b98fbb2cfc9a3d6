"""Testing a trained model: errors of every sample, timings, and the samples shown in the report."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import DictConfig, OmegaConf

from ._assemble import test_data
from ._compose import parse
from ._directory import RunDirectory, write_json
from ._environment import configure
from ._errors import ConfigError
from ._report import write_report
from ._rollouts import measure_rollouts
from ._schema import TrainConfig, resolved, typed
from ._voice import Voice
from ._words import by_grid, metric_words


def evaluate_run(directory: RunDirectory, overrides: Sequence[str], voice: Voice) -> list[dict[str, Any]]:
    """Test the model of a run on the data of its config as changed by `overrides`; returns the results.

    Those of other data are written to `evaluations/`, beside what is there already, and the report is rebuilt.
    Raises `ConfigError` for a run without a model and for what cannot be built.
    """
    if directory.read_record().get("kind") != "train" or not directory.model.is_file():
        raise ConfigError(
            f"{directory.path} holds no trained model ({directory.model.name}): let `pdejax run` finish a training "
            f"there first."
        )
    plain = resolved(_changed(directory, overrides))
    configure(plain["precision"], directory.path.parent / ".cache")
    from ..training import load_model

    model = load_model(directory.model)
    tests = test_data(plain, voice.console)
    if not tests:
        raise ConfigError(
            "the config names no test data: write data.test._target_=pdejax.data.read data.test.path=...."
        )
    changed = [name for name in tests if any(_concerns(parse(text).key_or_group, name) for text in overrides)] or list(
        tests
    )
    results = [measure(model, name, tests[name], plain["evaluation"]["batch_size"])[0] for name in changed]
    for result, name in zip(results, changed, strict=True):
        result["data"] = plain["data"]["test"] if name == "test" else plain["data"]["transfer"][name]
        say_result(result, voice)
    if not overrides:
        return results
    path = _free(directory, "-".join(changed) + "-" + "x".join(map(str, results[0]["shape"])))
    write_json(path, {"overrides": list(overrides), "tests": results})
    write_report(directory)
    voice.say(f"written     {path}")
    voice.say(f"report      {directory.report}")
    return results


def measure(model: Any, label: str, dataset: Any, batch_size: int) -> tuple[dict[str, Any], np.ndarray]:
    """Errors of a model on one data set, as plain values, and its predictions `(samples, channels, *n)`; on
    trajectories those of free rollouts, `(kept, steps, channels, *n)`.
    """
    from ..training import evaluate, one_step

    more: dict[str, Any] = {}
    if is_trajectories(dataset):
        found, predictions = measure_rollouts(model, dataset, batch_size)
        errors, more = found["samples"], {"rollout": found["rollout"]}
        step, history = one_step(model)
        timed = dataset[:1].windows(history, 1)[:batch_size]
    else:
        evaluation, step, timed = evaluate(model, dataset, batch_size=batch_size), model, dataset
        predictions = np.asarray(evaluation.predictions)
        # The first metric leads the report; a dictionary that went through a jitted function is sorted by name.
        names = sorted(evaluation.errors, key=lambda name: (name != "relative_l2", name[:8] != "relative", name))
        errors = {name: np.asarray(evaluation.errors[name], float) for name in names}
    shape = list(target_grid(dataset).shape)
    result = {
        "label": label,
        "dataset": dataset.name,
        "shape": shape,
        "points": round(float(np.prod(shape)) ** (1 / len(shape))),
        "samples": len(dataset),
        "metrics": {name: _statistics(values) for name, values in errors.items()},
        "errors": {name: values.tolist() for name, values in errors.items()},
        "seconds_per_sample": _seconds_per_sample(step, timed, batch_size),
    }
    return result | more, predictions


def is_trajectories(dataset: Any) -> bool:
    """Whether a test set is one for free rollouts."""
    from ..data import Trajectories

    return isinstance(dataset, Trajectories)


def target_grid(dataset: Any) -> Any:
    """The grid of what is predicted."""
    return dataset.grid if is_trajectories(dataset) else dataset.target_grid


def say_result(result: Mapping[str, Any], voice: Voice) -> None:
    """The first metric of a test in one line; the report has the others."""
    metric, values = next(iter(result["metrics"].items()))
    voice.say(
        f"{result['label']:<11} {metric_words(metric)} {values['mean']:.4f} on average, worst {values['max']:.4f} "
        f"({result['samples']} samples, {by_grid(result['shape'])})"
    )


def store_samples(path: Path, dataset: Any, predictions: np.ndarray, errors: np.ndarray, count: int) -> None:
    """Keep the best, the median and the worst sample, and up to 64 for the spectrum."""
    order = np.argsort(errors)
    ranks = np.unique(np.linspace(0, len(order) - 1, max(count, 1)).astype(int))
    words = {0: "best", len(order) // 2: "median", (len(order) - 1) // 2: "median", len(order) - 1: "worst"}
    chosen, some, grid = order[ranks], slice(0, 64), dataset.target_grid
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        inputs=np.asarray(dataset.inputs)[chosen],
        targets=np.asarray(dataset.targets)[chosen],
        predictions=predictions[chosen],
        index=chosen,
        errors=errors[chosen],
        labels=[words.get(int(rank), f"rank {rank}") for rank in ranks],
        all_targets=np.asarray(dataset.targets)[some],
        all_predictions=predictions[some],
        **_stored_axes(grid),
        **{f"input_{name}": values for name, values in _stored_axes(dataset.grid).items()},
    )


def _stored_axes(grid: Any) -> dict[str, Any]:
    points = {f"points_{i}": axis.points for i, axis in enumerate(grid.axes)}
    periodic = [bool(getattr(axis, "is_periodic", type(axis).__name__ == "Fourier")) for axis in grid.axes]
    return {"axis_names": list(grid.names), "periodic": periodic, **points}


def _statistics(values: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(values, (0.1, 0.9))
    parts = {
        "mean": values.mean(),
        "median": np.median(values),
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
        "p10": low,
        "p90": high,
    }
    return {name: float(value) for name, value in parts.items()}


def _seconds_per_sample(model: Any, dataset: Any, batch_size: int) -> float:
    import equinox as eqx
    import jax

    batch = dataset[: min(batch_size, len(dataset))].input_fields()
    predict = eqx.filter_jit(lambda model, fields: jax.vmap(model)(fields))
    jax.block_until_ready(predict(model, batch))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(predict(model, batch))
        times.append(time.perf_counter() - began)
    return min(times) / min(batch_size, len(dataset))


def _changed(directory: RunDirectory, overrides: Sequence[str]) -> DictConfig:
    composed = directory.read_record().get("composed")
    config = cast(DictConfig, OmegaConf.create(composed) if composed else OmegaConf.load(directory.config))
    for text in overrides:
        override = parse(text)
        if override.is_sweep_override():
            raise ConfigError(f"evaluate takes one value per key, got {text!r}: run it once for each value.")
        if override.is_delete():
            raise ConfigError(f"evaluate takes key=value, got {text!r}: set the key to null instead.")
        OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
    config = typed(config)
    if OmegaConf.get_type(config) is not TrainConfig:
        raise ConfigError(f"{directory.path} is not a training: only trained models are evaluated.")
    return config


def _concerns(key: str, name: str) -> bool:
    return key.startswith("data.test" if name == "test" else f"data.transfer.{name}")


def _free(directory: RunDirectory, stem: str) -> Path:
    path, count = directory.evaluations / f"{stem}.json", 2
    while path.exists():
        path, count = directory.evaluations / f"{stem}-{count}.json", count + 1
    return path
