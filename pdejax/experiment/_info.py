"""`pdejax info`: what is installed here, or what a run or a model is."""

from pathlib import Path

import yaml

from ._card import card_lines, modes, read_card, size
from ._directory import RunDirectory
from ._environment import hardware, versions
from ._errors import sentence
from ._progress import clock
from ._training_report import all_tests
from ._voice import Voice
from ._words import by_grid, metric_words


def describe_process(voice: Voice) -> None:
    """Versions of the packages and the devices jax finds."""
    for name, version in versions().items():
        voice.say(f"{name:<18} {version}")
    for name, value in hardware().items():
        voice.say(f"{name:<18} {', '.join(value) if isinstance(value, list) else value}")


def describe_run(directory: RunDirectory, voice: Voice) -> None:
    """State, errors, config and the card of a run."""
    record = directory.read_record()
    rows = {
        "run": record.get("name"),
        "what": record.get("summary"),
        "state": record.get("state"),
        "started": record.get("started"),
    }
    if record.get("steps"):
        rows["steps"] = f"{record.get('step', 0)} of {record['steps']}"
    trained = record.get("kind") == "train" and directory.model.is_file()
    if record.get("parameters") and not trained:
        rows["parameters"] = f"{record['parameters']:,}"
    if record.get("seconds") is not None:
        rows["time"] = clock(record["seconds"])
    rows["command"] = record.get("command")
    if record.get("resume") and record.get("state") != "finished":
        rows["go on with"] = record["resume"]
    for name, value in rows.items():
        if value is not None:
            voice.say(f"{name:<12} {value}")
    for test in all_tests(directory):
        for metric, values in test["metrics"].items():
            shape = by_grid(test["shape"])
            voice.say(
                f"{test['label']:<12} {metric_words(metric)} {values['mean']:.4f} (worst {values['max']:.4f}) on "
                f"{test['samples']} samples, {shape}"
            )
    if trained:
        try:
            for line in card_lines(read_card(directory, voice)):
                voice.say(line)
        except (OSError, ValueError) as error:
            voice.say(f"card         cannot be measured: {sentence(error)}")
    if directory.config.is_file():
        voice.say("config")
        for line in yaml.safe_dump(yaml.safe_load(directory.config.read_text()), sort_keys=False).splitlines():
            voice.say(f"  {line}")


def describe_model(path: Path, voice: Voice) -> None:
    """Classes, size and modes of a model file."""
    from ..training import load_model

    model = inner = load_model(path)
    names = [type(model).__name__]
    while hasattr(inner, "model"):
        inner = inner.model
        names.append(type(inner).__name__)
    voice.say(f"model        {' of '.join(names)}")
    for line in card_lines({**size(model), "modes": modes(model)}):
        voice.say(line)
