"""`pdejax info`: what is installed here, or what a run is."""

import yaml

from ._directory import RunDirectory
from ._environment import hardware, versions
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
    """State, size, errors and config of a run, from its files alone."""
    record = directory.read_record()
    rows = {
        "run": record.get("name"),
        "what": record.get("summary"),
        "state": record.get("state"),
        "started": record.get("started"),
    }
    if record.get("steps"):
        rows["steps"] = f"{record.get('step', 0)} of {record['steps']}"
    if record.get("parameters"):
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
    if directory.config.is_file():
        voice.say("config")
        for line in yaml.safe_dump(yaml.safe_load(directory.config.read_text()), sort_keys=False).splitlines():
            voice.say(f"  {line}")
