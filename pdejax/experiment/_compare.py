"""One page for several runs: their numbers side by side and their validation curves in one plot."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from . import _page as page
from ._directory import RunDirectory
from ._figures import log_axis
from ._metrics import read_metrics
from ._progress import clock
from ._render import Draw, Palette, render
from ._training_report import all_tests
from ._words import by_grid, dotted, metric_words


def write_comparison(directories: Sequence[RunDirectory], path: Path) -> Path:
    """Write a comparison of runs as one self-contained page; returns its path."""
    names = _names(directories)
    configs = [dotted(yaml.safe_load(d.config.read_text()) or {}) if d.config.is_file() else {} for d in directories]
    differing = [
        key for key in dict.fromkeys(k for c in configs for k in c) if len({str(c.get(key, "")) for c in configs}) > 1
    ]
    differing = [key for key in differing if key not in ("output", "name", "overwrite", "resume")]
    rows, columns = [], _columns(directories)
    for directory, name, config in zip(directories, names, configs, strict=True):
        record, errors = directory.read_record(), _errors(directory)
        cells = [f"{errors[column]:.4f}" if column in errors else "-" for column in columns]
        parameters = record.get("parameters")
        facts = [
            record.get("state", "-"),
            f"{parameters:,}" if parameters else "-",
            str(record.get("step", "-")),
            clock(record.get("training_seconds", record.get("solve_seconds"))),
        ]
        rows.append([name, *cells, *facts, *(str(config.get(key, "-")) for key in differing)])
    head = ["run", *columns, "state", "parameters", "steps", "time", *differing]
    body = [
        f"<header><h1>{escape(path.parent.name or 'runs')}: {len(directories)} runs compared</h1></header>",
        page.table(head, rows),
    ]
    body.append(
        "<p>Columns of errors are means over the test set; the last columns are the config keys in which the runs "
        "differ.</p>"
    )
    curves = {name: read_metrics(d.metrics) for name, d in zip(names, directories, strict=True)}
    if any(curves.values()):
        svg = render(
            _curves({n: rows for n, rows in curves.items() if rows}), (7.2, 3.6), path.parent / f"{path.stem}.png"
        )
        body.append(
            page.figure(
                svg,
                "Validation loss of each run against the step, logarithmic (training loss where a run has no "
                "validation set).",
            )
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.page(f"{len(directories)} runs - pdejax", body), encoding="utf-8")
    return path


def _names(directories: Sequence[RunDirectory]) -> list[str]:
    short = [directory.path.resolve().name for directory in directories]
    return short if len(set(short)) == len(short) else [str(directory.path) for directory in directories]


def _errors(directory: RunDirectory) -> dict[str, float]:
    found = {}
    for test in all_tests(directory):
        metric, values = next(iter(test["metrics"].items()))
        found[f"{metric_words(metric)}, {test['label']} ({by_grid(test['shape'])})"] = values["mean"]
    return found


def _columns(directories: Sequence[RunDirectory]) -> list[str]:
    return list(dict.fromkeys(column for directory in directories for column in _errors(directory)))


def _curves(curves: dict[str, list[dict[str, Any]]]) -> Draw:
    def draw(figure: Any, palette: Palette) -> None:
        axes = figure.subplots()
        for index, (name, rows) in enumerate(curves.items()):
            key = "validation_loss" if any(row.get("validation_loss") is not None for row in rows) else "train_loss"
            pairs = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
            style = ("-", "--", ":", "-.")[index // len(palette.series) % 4]
            if pairs:
                axes.plot(
                    *zip(*pairs, strict=True), style, color=palette.series[index % len(palette.series)], label=name
                )
        if 0 < len(axes.lines) <= 12:
            axes.legend()
        log_axis(axes.yaxis, axes.set_yscale)
        axes.grid(True, axis="y")
        axes.set(xlabel="step", ylabel="loss", title="Validation loss")

    return draw
