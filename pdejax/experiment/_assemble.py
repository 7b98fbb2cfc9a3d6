"""From a resolved training config to data sets, model, loss and optimiser."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich.console import Console

from ._build import Keys, build, locate, parameters
from ._errors import ConfigError, sentence
from ._progress import Counter


@dataclasses.dataclass(frozen=True)
class Assembly:
    """The objects of a training; `recipe` rebuilds the model's structure when its weights are read from a file."""

    train: Any
    validation: Any
    tests: dict[str, Any]
    model: Any
    recipe: dict[str, Any]
    loss: Callable
    augment: Callable | None
    optimizer: Any
    keys: Keys


def assemble(plain: Mapping[str, Any], console: Console) -> Assembly:
    """Build everything a training config describes, each component with a key of its own."""
    keys = Keys(plain["seed"])
    train, validation = training_data(plain, console)
    recipe = complete(plain["model"], train)
    model = build(recipe, "model", keys)
    try:
        train, validation = windows(train, model), None if validation is None else windows(validation, model)
    except ValueError as error:
        raise ConfigError(f"the trajectories do not fit the model: {sentence(error)}") from error
    if plain["normalise"]:
        from ..training import normalised

        model = normalised(model, train)
    if plain["optimizer"] is None:
        raise ConfigError(
            "the config names no optimizer: write for example optimizer: {_target_: optax.adamw, learning_rate: 1e-3}."
        )
    optimizer = build(plain["optimizer"], "optimizer", keys)
    criterion, tests = loss(plain["loss"], keys), test_data(plain, console)
    augment = None if plain["augment"] is None else build(plain["augment"], "augment", keys)
    places = {("data.test" if name == "test" else f"data.transfer.{name}"): part for name, part in tests.items()}
    for place, part in {"data.train": train, "data.validation": validation, **places}.items():
        if part is not None:
            _try(model, criterion, augment if place == "data.train" else None, part, place)
    return Assembly(train, validation, tests, model, recipe, criterion, augment, optimizer, keys)


def loss(node: Any, keys: Keys) -> Callable:
    """The loss of a config: a dotted path, a `_target_` node, or by default the relative L2 error."""
    if node is None:
        node = "pdejax.objectives.relative_l2"
    return locate(node, "loss") if isinstance(node, str) else build(node, "loss", keys)


def windows(part: Any, model: Any) -> Any:
    """Samples for a model: a data set as it is, trajectories as windows of the model's lengths."""
    from ..data import Trajectories
    from ..training import PushForward, Rollout

    if not isinstance(part, Trajectories):
        return part
    return part.windows(model.history, model.steps) if isinstance(model, Rollout | PushForward) else part.windows(1, 1)


def _try(model: Any, criterion: Callable, augment: Callable | None, part: Any, place: str) -> None:
    """Refuse a model, a loss and data that do not fit before anything is written; nothing is computed."""
    import equinox as eqx
    import jax

    from ..fields import GridField

    def one(a: Any, u: Any) -> Any:
        a, u = GridField(a, part.grid), GridField(u, part.target_grid)
        if augment is not None:
            a, u = augment(jax.random.key(0), a, u)
        return criterion(model(a), u)

    try:
        part = windows(part[:1], model)
        dtype = np.asarray(part.targets[0]).dtype
        eqx.filter_eval_shape(one, *(np.asarray(values[0], dtype) for values in (part.inputs, part.targets)))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the model and the loss do not fit {place}: {sentence(error)}") from error


def complete(node: Any, train: Any) -> dict[str, Any]:
    """The model's config with the channels and the dimension of the training data where it leaves them out."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(
            f"'model' is a node with a _target_, got {node!r}: write model: "
            f"{{_target_: pdejax.operators.FNO, modes: 12, width: 32, depth: 4}}."
        )
    from ..data import Trajectories

    states = isinstance(train, Trajectories)
    facts = {
        "in_channels": train.channels if states else train.in_channels,
        "out_channels": train.channels if states else train.out_channels,
        "ndim": len(train.grid.axes),
    }
    return _filled(node, facts, states)


def _filled(node: Mapping[str, Any], facts: Mapping[str, int], states: bool) -> dict[str, Any]:
    """The node, and the model inside of a wrapper, with what they leave out; `states` if the facts are of one state."""
    from ..training import PushForward, Rollout

    target = locate(node["_target_"], "model")
    if target in (Rollout, PushForward):
        history = int(node.get("history", 1))
        channels = facts["in_channels"] if states else facts["in_channels"] // history
        facts = {**facts, "in_channels": history * channels, "out_channels": channels}
    names = parameters(target) or ()
    filled = dict(node) | {name: value for name, value in facts.items() if name in names and name not in node}
    inner = filled.get("model")
    if isinstance(inner, Mapping) and "_target_" in inner:
        filled["model"] = _filled(inner, facts, states)
    return filled


def training_data(plain: Mapping[str, Any], console: Console) -> tuple[Any, Any]:
    """Training and validation sets; a validation given as a number is taken from the end of the training set."""
    data, keys = plain["data"], data_keys(plain)
    train = dataset(data["train"], "data.train", keys, console)
    validation = data["validation"]
    if isinstance(validation, int | float) and not isinstance(validation, bool):
        held = round(validation * len(train)) if isinstance(validation, float) and validation < 1 else int(validation)
        if not 0 < held < len(train):
            raise ConfigError(
                f"data.validation={validation} takes {held} of {len(train)} training samples: write a fraction as "
                f"0.1, or a count below {len(train)}."
            )
        return train[: len(train) - held], train[len(train) - held :]
    return train, None if validation is None else dataset(validation, "data.validation", keys, console)


def test_data(plain: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """The test sets by name: `test` and those of `data.transfer`."""
    data, keys = plain["data"], data_keys(plain)
    tests = {} if data["test"] is None else {"test": dataset(data["test"], "data.test", keys, console)}
    for name, node in (data["transfer"] or {}).items():
        tests[name] = dataset(node, f"data.transfer.{name}", keys, console)
    return tests


def data_keys(plain: Mapping[str, Any]) -> Keys:
    """Keys of generated data: from `data.seed` where given, so that a sweep over `seed` keeps its data."""
    seed = plain["data"]["seed"]
    return Keys(plain["seed"] if seed is None else seed)


def dataset(node: Any, where: str, keys: Keys, console: Console) -> Any:
    """Checked samples or trajectories; anything else is refused with its place in the config."""
    from ..data import Dataset, Trajectories

    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(
            f"'{where}' is a data set node, got {node!r}: write {where}: {{_target_: pdejax.data.read, path: ...}}."
        )
    counter = Counter(console)
    try:
        built = build(node, where, keys, {"progress": counter})
    finally:
        counter.close()
    if not isinstance(built, Dataset | Trajectories):
        raise ConfigError(
            f"{where} ({node['_target_']}) gives a {type(built).__name__}, neither pdejax.data.Dataset nor "
            f"Trajectories: name a reader or a generator."
        )
    try:
        built.check()
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return built
