"""The part of a report that shows a trained model."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from . import _figures as figures
from . import _page as page
from ._directory import RunDirectory
from ._metrics import read_metrics
from ._progress import clock, number
from ._render import Draw, Drawer
from ._rollout_report import rollout_parts
from ._words import by_grid, metric_words

WIDE = (4.9, 3.1)
SMALL = (2.4, 2.12)


def all_tests(directory: RunDirectory) -> list[dict[str, Any]]:
    """The evaluations of a run: those it made itself and those `pdejax evaluate` added, each once."""
    found = {}
    own = [directory.evaluation] if directory.evaluation.is_file() else []
    for path in [*own, *sorted(directory.evaluations.glob("*.json"))]:
        for test in json.loads(path.read_text())["tests"]:
            found.setdefault((test["label"], test["dataset"], tuple(test["shape"]), test["samples"]), test)
    return list(found.values())


def training_parts(directory: RunDirectory, record: dict[str, Any], draw: Drawer) -> Iterator[str]:
    """Headline numbers, tables and pictures of a trained model."""
    rows, tests = read_metrics(directory.metrics), all_tests(directory)
    yield page.numbers(_headline(record, tests))
    metric = next(iter(tests[0]["metrics"])) if tests else "relative_l2"
    if tests:
        yield "<h2>Errors on test data</h2>"
        yield _test_table(tests)
        yield f"<p>{escape(_reading(tests[0], metric))}</p>"
    plots = []
    if rows:
        svg = draw("losses", figures.losses(rows), WIDE)
        plots.append(page.figure(svg, _loss_caption(rows, record)))
    if tests:
        errors = np.asarray(tests[0]["errors"][metric])
        svg = draw("histogram", figures.histogram(errors, metric_words(metric), _named(tests[0])), WIDE)
        plots.append(
            page.figure(
                svg, f"Number of test samples by {metric_words(metric)}, {errors.size} samples of {_named(tests[0])}."
            )
        )
        plots.append(_resolution_figure(draw, record, tests, metric))
    samples = load_samples(directory.samples)
    if samples is not None:
        truth, prediction = samples["all_targets"], samples["all_predictions"]
        parts = {"truth": truth, "prediction": prediction, "error": prediction - truth}
        svg = draw("spectrum", figures.spectra(parts, samples["axes"].periodic, "Where the error lies"), WIDE)
        plots.append(page.figure(svg, _spectrum_caption(samples)))
    if plots:
        yield "<h2>Training and error in pictures</h2>"
        yield f'<div class="pair">{"".join(plots)}</div>'
    if tests and "rollout" in tests[0]:
        yield from rollout_parts(draw, tests[0], directory.rollouts)
    if samples is not None:
        yield "<h2>Best, median and worst test samples</h2>"
        yield from _sample_figures(draw, samples, tests[0], metric)


def _headline(record: dict[str, Any], tests: Sequence[dict[str, Any]]) -> dict[str, str]:
    found = {}
    for test in tests[:2]:
        metric, values = next(iter(test["metrics"].items()))
        found[f"mean {metric_words(metric)}, {_named(test)}"] = f"{values['mean']:.4f}"
    if tests:
        metric, values = next(iter(tests[0]["metrics"].items()))
        found["median / worst sample"] = f"{values['median']:.3f} / {values['max']:.3f}"
        if tests[0].get("seconds_per_sample"):
            found["time per prediction"] = f"{1e3 * tests[0]['seconds_per_sample']:.3g} ms"
    if record.get("parameters"):
        found["trainable parameters"] = f"{record['parameters']:,}".replace(",", "\u202f")
    if record.get("steps"):
        found["steps"] = f"{record.get('step', 0)} of {record['steps']}"
    if record.get("training_seconds") is not None:
        found["training time"] = clock(record["training_seconds"])
    return found


def _test_table(tests: Sequence[dict[str, Any]]) -> str:
    rows = []
    for test in tests:
        for metric, values in test["metrics"].items():
            cells = [f"{values[key]:.4f}" for key in ("mean", "median", "p90", "max")]
            rows.append([_named(test), metric_words(metric), str(test["samples"]), *cells])
    return page.table(["test set", "error", "samples", "mean", "median", "90 % below", "worst"], rows)


def _reading(test: dict[str, Any], metric: str) -> str:
    values = test["metrics"][metric]
    return (
        f"The {metric_words(metric)} of a sample is the norm of prediction minus truth divided by the norm of the "
        f"truth, with the quadrature weights of the grid. "
        f"On {_named(test)} it is {values['mean']:.4f} on average; the standard deviation over samples is "
        f"{values['std']:.4f}."
    )


def _loss_caption(rows: Sequence[dict[str, Any]], record: dict[str, Any]) -> str:
    last = rows[-1]
    text = f"Loss against the step, logarithmic. At step {last['step']}: training {number(last.get('train_loss'))}"
    best = min((row["validation_loss"] for row in rows if row.get("validation_loss") is not None), default=None)
    if best is None:
        return text + "."
    return text + f", validation {number(last.get('validation_loss'))}; lowest validation loss {number(best)}."


def _resolution_figure(draw: Drawer, record: dict[str, Any], tests: Sequence[dict[str, Any]], metric: str) -> str:
    points = [
        {"points": test["points"], **{key: test["metrics"][metric][key] for key in ("mean", "p10", "p90")}}
        for test in tests
        if metric in test["metrics"]
    ]
    svg = draw("resolution", figures.resolutions(points, record.get("trained_points"), metric_words(metric)), WIDE)
    caption = (
        "Mean error on each test set against its points per axis; bars reach from the 10th to the 90th percentile "
        "of the samples. The same weights are used throughout."
    )
    if len({point["points"] for point in points}) < 2:
        caption += " Only one resolution was tested: `pdejax evaluate RUN data.test...` adds others."
    return page.figure(svg, caption)


def _spectrum_caption(samples: dict[str, Any]) -> str:
    kind = "Fourier" if all(samples["axes"].periodic) else "cosine"
    return (
        f"Energy per shell of equal wave number ({kind} modes), mean over {len(samples['all_targets'])} test samples. "
        "Where the error meets the truth, the model has learnt nothing of these scales."
    )


def load_samples(path: Path) -> dict[str, Any] | None:
    """The stored test samples, or None where a run has none."""
    if not path.is_file():
        return None
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    stored["axes"] = _axes(stored, "")
    # Inputs may live elsewhere, an initial state on space and its history on space and time.
    stored["input_axes"] = _axes(stored, "input_") if "input_axis_names" in stored else stored["axes"]
    return stored


def _axes(stored: dict[str, Any], kind: str) -> figures.Axes:
    names = tuple(str(name) for name in stored[f"{kind}axis_names"])
    points = tuple(stored[f"{kind}points_{i}"] for i in range(len(names)))
    return figures.Axes(names, points, tuple(bool(p) for p in stored[f"{kind}periodic"]))


def _sample_figures(draw: Drawer, samples: dict[str, Any], test: dict[str, Any], metric: str) -> Iterator[str]:
    for rank, label in enumerate(str(word) for word in samples["labels"]):
        rows, clause = [], ""
        for channel in range(min(samples["targets"].shape[1], 3)):
            chosen = (
                samples["inputs"][rank, min(channel, samples["inputs"].shape[1] - 1)],
                samples["targets"][rank, channel],
                samples["predictions"][rank, channel],
            )
            row, clause = _panels(draw, f"sample-{label}-{channel}", chosen, samples["input_axes"], samples["axes"])
            rows.append(row)
        many = (
            f"; rows are the first {len(rows)} of {samples['targets'].shape[1]} channels"
            if samples["targets"].shape[1] > 1
            else ""
        )
        yield page.panels(
            rows,
            f"{label.capitalize()} of {test['samples']} samples (index {samples['index'][rank]}): "
            f"{metric_words(metric)} {samples['errors'][rank]:.4f}. "
            f"Truth and prediction share one scale; the error is prediction minus truth{clause}{many}.",
        )


def _panels(
    draw: Drawer, name: str, fields: Sequence[np.ndarray], input_axes: figures.Axes, axes: figures.Axes
) -> tuple[list[str], str]:
    flat = [figures.flatten(field, own) for field, own in zip(fields, (input_axes, axes, axes), strict=True)]
    (a, input_axes, _), (truth, axes, clause), (prediction, _, _) = flat
    error, limits = prediction - truth, figures.span(truth, prediction)
    if truth.ndim == 1:
        middle: list[tuple[str, Draw]] = [
            ("fit", figures.curve({"truth": truth, "prediction": prediction}, axes, "truth and prediction", limits))
        ]
    else:
        middle = [
            ("truth", figures.panel(truth, axes, "truth", limits)),
            ("prediction", figures.panel(prediction, axes, "prediction", limits)),
        ]
    drawings = [
        ("input", figures.panel(a, input_axes, "input", figures.span(a))),
        *middle,
        ("error", figures.panel(error, axes, "error", figures.symmetric(error), signed=True)),
    ]
    return [draw(f"{name}-{part}", drawing, SMALL) for part, drawing in drawings], clause


def _named(test: dict[str, Any]) -> str:
    return f"{test['label']} ({by_grid(test['shape']).replace(' x ', '×')})"
