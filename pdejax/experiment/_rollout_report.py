"""The part of a report that shows free rollouts of a trained model."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from . import _figures as figures
from . import _page as page
from ._render import Drawer

WIDE = (4.9, 3.1)
SMALL = (2.4, 2.12)


def rollout_parts(draw: Drawer, test: dict[str, Any], path: Path) -> Iterator[str]:
    """Error against time, the spectrum at the end, and frames beside the truth."""
    rollout = test["rollout"]
    yield "<h2>Free rollouts</h2>"
    steps, stable = len(rollout["times"]), rollout["stable"]
    yield (
        f"<p>{escape(test['label'])}: {test['samples']} trajectories continued freely for {steps} steps. "
        f"{100 * stable[-1]:.0f} % of them never diverge: no error above 1, not more than twice the energy of the "
        "truth, all values finite.</p>"
    )
    plots = [page.figure(draw("rollout-error", figures.growth(rollout), WIDE), _growth_caption(rollout))]
    if "spectrum" in rollout:
        lines = {name: np.asarray(values) for name, values in rollout["spectrum"].items()}
        drawing = figures.shells(np.asarray(rollout["wavenumbers"]), lines, "Spectrum at the end", "wave number")
        caption = (
            f"Energy by wave number at t = {rollout['times'][-1]:.4g}, mean over the samples; the relative difference "
            f"of the two is {rollout['spectrum_errors'][-1]:.3g}."
        )
        plots.append(page.figure(draw("rollout-spectrum", drawing, WIDE), caption))
    yield f'<div class="pair">{"".join(plots)}</div>'
    if path.is_file():
        yield from _frames(draw, path)


def _growth_caption(rollout: dict[str, Any]) -> str:
    return (
        f"Relative L2 error of each frame: median over the samples and the band that holds 80 % of them. "
        f"Mean at the first step {rollout['mean'][0]:.3g}, at the last {rollout['mean'][-1]:.3g}."
    )


def _frames(draw: Drawer, path: Path) -> Iterator[str]:
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    names = tuple(str(name) for name in stored["axis_names"])
    points = tuple(stored[f"points_{i}"] for i in range(len(names)))
    axes = figures.Axes(names, points, tuple(bool(p) for p in stored["periodic"]))
    for index, (truth, prediction) in enumerate(zip(stored["truth"], stored["predictions"], strict=True)):
        pair = (truth[:, 0], np.clip(np.nan_to_num(prediction[:, 0]), *_wide(truth[:, 0])))
        rows, clause = (_history if len(names) == 1 else _rows)(draw, f"rollout-{index}", pair, stored["times"], axes)
        channels = "" if truth.shape[1] == 1 else f"; the first of {truth.shape[1]} channels"
        yield page.panels(
            rows,
            f"Trajectory {index} of the test set. Truth and prediction share one scale; the difference is prediction "
            f"minus truth{clause}{channels}.",
        )


def _history(draw: Drawer, name: str, pair: Any, times: np.ndarray, axes: figures.Axes) -> tuple[list[list[str]], str]:
    """One row of pictures over time and space."""
    if len(times) == 1:
        lines = {"truth": pair[0][0], "prediction": pair[1][0]}
        return [[draw(name, figures.curve(lines, axes, "truth and prediction", figures.span(*pair)), SMALL)]], ""
    over = figures.Axes(("t", *axes.names), (times, *axes.points), (False, *axes.periodic))
    return [_row(draw, name, pair, over, ("truth", "prediction", "difference"))], ""


def _rows(draw: Drawer, name: str, pair: Any, times: np.ndarray, axes: figures.Axes) -> tuple[list[list[str]], str]:
    """One row of pictures over space for each time."""
    rows, clause = [], ""
    for t, truth, prediction in zip(times, *pair, strict=True):
        (truth, flat, clause), (prediction, _, _) = (figures.flatten(u, axes) for u in (truth, prediction))
        titles = (f"truth, t = {t:.3g}", "prediction", "difference")
        rows.append(_row(draw, f"{name}-{t:.3g}", (truth, prediction), flat, titles))
    return rows, clause


def _row(draw: Drawer, name: str, pair: Any, axes: figures.Axes, titles: tuple[str, str, str]) -> list[str]:
    truth, prediction = pair
    difference, limits = prediction - truth, figures.span(truth, prediction)
    drawings = [
        figures.panel(truth, axes, titles[0], limits),
        figures.panel(prediction, axes, titles[1], limits),
        figures.panel(difference, axes, titles[2], figures.symmetric(difference), signed=True),
    ]
    words = ("truth", "prediction", "difference")
    return [draw(f"{name}-{word}", drawing, SMALL) for word, drawing in zip(words, drawings, strict=True)]


def _wide(truth: np.ndarray) -> tuple[float, float]:
    """Three times the range of the truth: a rollout that has exploded is not drawn further."""
    low, high = figures.span(truth)
    return low - (high - low), high + (high - low)
