"""The part of a report that shows a classical solution."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import _figures as figures
from . import _page as page
from ._directory import RunDirectory
from ._progress import clock
from ._render import Draw, Drawer, Palette


def solution_parts(directory: RunDirectory, record: dict[str, Any], draw: Drawer) -> Iterator[str]:
    """Headline numbers, the solution in pictures and what the solver reports."""
    from ..data import read_well
    from ..grids import Fourier

    stats = record.get("stats", {})
    headline = {name: record.get(name, "-") for name in ("equation", "method", "result")}
    if record.get("error") is not None:
        headline["relative residual"] = f"{record['error']:.1e}"
    yield page.numbers(headline | {"time, compilation included": clock(record.get("solve_seconds"))})
    stored = read_well(directory.solution)
    axes = figures.Axes(
        stored.grid.names,
        tuple(axis.points for axis in stored.grid.axes),
        tuple(isinstance(axis, Fourier) for axis in stored.grid.axes),
    )
    values = np.asarray(stored.targets[0])
    yield "<h2>The solution</h2>"
    if stored.target_grid.names[0] == "t":
        yield from _evolution(values, axes, stored.target_grid.axis("t").points, record, draw)
    else:
        names = [name for name in stored.metadata.get("input_names", []) if name != "nothing"]
        yield from _steady(dict(zip(names, np.asarray(stored.inputs[0]), strict=False)), values, axes, draw)
    if stats:
        yield "<h2>What the solver reports</h2>"
        yield page.table(
            ["", ""],
            [[name.replace("_", " "), str(value)] for name, value in stats.items() if value == value],
            numeric=False,
        )


def _evolution(
    values: np.ndarray, axes: figures.Axes, times: np.ndarray, record: dict[str, Any], draw: Drawer
) -> Iterator[str]:
    plots = []
    for channel in range(min(values.shape[0], 3)):
        field, limits = values[channel], figures.span(values[channel])
        name = f"channel {channel}" if values.shape[0] > 1 else "u"
        if field.ndim == 2:
            over = figures.Axes((axes.names[0], "t"), (axes.points[0], times), (False, False))
            svg = draw(
                f"space-time-{channel}", figures.image(field.T, over, f"{name}({axes.names[0]}, t)", limits), (4.9, 3.6)
            )
            plots.append(
                page.figure(
                    svg,
                    f"{name} over space (to the right) and time (upwards), {times.size} instants from t = "
                    f"{times[0]:g} to {times[-1]:g}.",
                )
            )
            svg = draw(f"profiles-{channel}", _profiles(field, axes, times, limits, name), (4.9, 3.6))
            plots.append(page.figure(svg, f"Profiles of {name} at five instants, the first in grey."))
            continue
        row, clause = [], ""
        for index in np.unique(np.linspace(0, times.size - 1, 4).astype(int)):
            flat, over, clause = figures.flatten(field[index], axes)
            row.append(
                draw(
                    f"snapshot-{channel}-{index}",
                    figures.panel(flat, over, f"t = {times[index]:.4g}", limits),
                    (2.4, 2.12),
                )
            )
        yield page.panels([row], f"Snapshots of {name} on one colour scale{clause}.")
    chosen = np.unique(np.linspace(0, times.size - 1, 3).astype(int))
    parts = {f"t = {times[i]:.3g}": values[None, :, i] for i in chosen}
    svg = draw("spectrum", figures.spectra(parts, axes.periodic, "Spectrum of the solution"), (4.9, 3.1))
    caption = "Energy per shell of equal wave number: the grid resolves the solution where the curve ends in rounding."
    plots.append(page.figure(svg, caption))
    balances = record.get("balances")
    if balances:
        svg = draw("balances", _balances(times, balances), (4.9, 3.1))
        plots.append(
            page.figure(
                svg,
                "Integral and L2 norm of the solution in time: constant where the equation conserves them, falling "
                "where it dissipates.",
            )
        )
    yield f'<div class="pair">{"".join(plots)}</div>'


def _steady(given: dict[str, np.ndarray], values: np.ndarray, axes: figures.Axes, draw: Drawer) -> Iterator[str]:
    solved = {"u" if len(values) == 1 else f"channel {i}": field for i, field in enumerate(values[:3])}
    plots, clause = [], ""
    for name, field in (given | solved).items():
        flat, over, clause = figures.flatten(field, axes)
        drawing = figures.panel(flat, over, name, figures.span(flat))
        plots.append(draw(f"field-{name.replace(' ', '-')}", drawing, (4.2, 3.6)))
    words = f"What the equation is given ({', '.join(given)}) and its solution" if given else "The solution"
    yield page.panels([plots], f"{words}{clause}.")


def _profiles(field: np.ndarray, axes: figures.Axes, times: np.ndarray, limits: tuple[float, float], name: str) -> Draw:
    def draw(figure: Any, palette: Palette) -> None:
        plot = figure.subplots()
        for rank, index in enumerate(np.unique(np.linspace(0, times.size - 1, 5).astype(int))):
            plot.plot(
                axes.points[0],
                field[index],
                color=palette.series[rank - 1] if rank else palette.muted,
                label=f"t = {times[index]:.3g}",
            )
        plot.legend()
        plot.grid(True, axis="y")
        margin = 0.06 * (limits[1] - limits[0])
        plot.set_ylim(limits[0] - margin, limits[1] + margin)
        plot.set(xlabel=axes.names[0], title=f"{name} at five instants")

    return draw


def _balances(times: np.ndarray, balances: dict[str, list[float]]) -> Draw:
    def draw(figure: Any, palette: Palette) -> None:
        plot = figure.subplots()
        for index, (name, values) in enumerate(balances.items()):
            plot.plot(times, values, color=palette.series[index], label=name)
        plot.legend()
        plot.grid(True, axis="y")
        plot.set(xlabel="t", title="Balances")

    return draw
