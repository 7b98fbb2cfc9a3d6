"""The stages of a training: one, or those of a curriculum of growing rollouts."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._assemble import Assembly
from ._errors import ConfigError, sentence


@dataclasses.dataclass(frozen=True)
class Stage:
    """Until which step, which model on which data, and where it is saved."""

    until: int
    model: Any
    train: Any
    validation: Any
    folder: Path


def stages(settings: Mapping[str, Any], parts: Assembly, checkpoints: Path) -> list[Stage]:
    """The stages of `training.curriculum`, or the one of a training without.

    Raises `ConfigError` for a curriculum that does not begin at step 0 or does not fit the model.
    """
    from ..training import PushForward, Rollout

    if not settings["curriculum"]:
        return [Stage(settings["steps"], parts.model, parts.train, parts.validation, checkpoints)]
    if not isinstance(parts.model, Rollout | PushForward):
        raise ConfigError(
            f"training.curriculum lengthens rollouts and the model is a {type(parts.model).__name__}: write model: "
            "{_target_: pdejax.training.Rollout, steps: 4, model: {...}}."
        )
    try:
        plan = sorted((int(begin), int(length)) for begin, length in settings["curriculum"])
    except (TypeError, ValueError):
        plan = []
    if not plan or plan[0][0] != 0:
        raise ConfigError(
            f"training.curriculum says from which step on a rollout has how many states, beginning at 0, got "
            f"{settings['curriculum']!r}: write [[0, 1], [1000, 2]]."
        )
    found = []
    for (begin, length), end in zip(plan, [*(begin for begin, _ in plan[1:]), settings["steps"]], strict=True):
        if begin < settings["steps"]:
            found.append(_stage(parts, length, min(end, settings["steps"]), checkpoints / f"from-{begin}"))
    return found


def _stage(parts: Assembly, length: int, until: int, folder: Path) -> Stage:
    from ..training import of_length

    try:
        model, train = of_length(parts.model, parts.train, length)
        validation = None if parts.validation is None else of_length(parts.model, parts.validation, length)[1]
    except ValueError as error:
        raise ConfigError(f"training.curriculum: {sentence(error)}") from error
    return Stage(until, model, train, validation, folder)
