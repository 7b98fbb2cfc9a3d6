"""The drawings of a report, from plain arrays to a matplotlib figure."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._render import Draw, Palette, uniform

FIELD_MAP = "viridis"
ERROR_MAP = "RdBu_r"


@dataclasses.dataclass(frozen=True)
class Axes:
    """Names, points and periodicity of the axes a picture is drawn over."""

    names: tuple[str, ...]
    points: tuple[np.ndarray, ...]
    periodic: tuple[bool, ...]


def losses(rows: Sequence[dict[str, Any]]) -> Draw:
    """Training and validation loss against the step, on a logarithmic scale."""

    def draw(figure: Any, palette: Palette) -> None:
        axes = figure.subplots()
        for key, label, colour in (
            ("train_loss", "training", palette.series[0]),
            ("validation_loss", "validation", palette.series[1]),
        ):
            pairs = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
            if pairs:
                axes.plot(
                    *zip(*pairs, strict=True),
                    color=colour,
                    label=label,
                    marker="o" if len(pairs) < 12 else None,
                    markersize=3,
                )
        if axes.lines:
            axes.legend()
        log_axis(axes.yaxis, axes.set_yscale)
        axes.grid(True, axis="y")
        axes.set(xlabel="step", ylabel="loss", title="Loss during training")

    return draw


def histogram(errors: np.ndarray, metric: str, samples: str) -> Draw:
    """How many test samples have which error, with the mean and the median marked."""

    def draw(figure: Any, palette: Palette) -> None:
        axes = figure.subplots()
        axes.hist(errors, bins=int(np.clip(np.sqrt(errors.size) * 1.5, 8, 40)), color=palette.series[0], alpha=0.75)
        for value, label, colour in (
            (errors.mean(), "mean", palette.series[1]),
            (np.median(errors), "median", palette.series[2]),
        ):
            axes.axvline(value, color=colour, label=f"{label} {value:.3g}")
        axes.legend()
        axes.grid(True, axis="y")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel=metric, ylabel="samples", title=f"Error over {samples}")

    return draw


def resolutions(tests: Sequence[dict[str, Any]], trained: int | None, metric: str) -> Draw:
    """Mean error with the 10th to 90th percentile against the points per axis of each test set."""

    def draw(figure: Any, palette: Palette) -> None:
        axes = figure.subplots()
        tests_sorted = sorted(tests, key=lambda test: test["points"])
        points = np.array([test["points"] for test in tests_sorted], float)
        mean = np.array([test["mean"] for test in tests_sorted])
        low, high = (np.array([test[key] for test in tests_sorted]) for key in ("p10", "p90"))
        axes.errorbar(
            points,
            mean,
            [np.maximum(mean - low, 0), np.maximum(high - mean, 0)],
            color=palette.series[0],
            marker="o",
            markersize=5,
            capsize=3,
            elinewidth=1,
        )
        if trained is not None:
            axes.axvline(
                trained, color=palette.muted, linestyle="--", linewidth=1, label=f"trained on {trained} points"
            )
            axes.legend()
        axes.set_xscale("log", base=2)
        axes.set_xticks(points, [f"{int(p)}" for p in points])
        axes.xaxis.set_minor_locator(_null_locator())
        axes.set_xlim(points.min() / 1.25, points.max() * 1.25)
        axes.set_ylim(0, float(high.max()) * 1.15 or 1.0)
        axes.grid(True, axis="y")
        axes.set(xlabel="points per axis", ylabel=metric, title="Error against resolution")

    return draw


def spectra(parts: dict[str, np.ndarray], periodic: Sequence[bool], title: str) -> Draw:
    """Energy by wavenumber of some sets of fields `(sample, channel, *n)`, each a mean over samples and channels."""
    found = {label: shell_energy(values, periodic) for label, values in parts.items()}
    k = next(iter(found.values()))[0]
    return shells(k, {label: energy for label, (_, energy) in found.items()}, title, "wave number (modes per axis)")


def shells(k: np.ndarray, lines: dict[str, np.ndarray], title: str, words: str) -> Draw:
    """Energies by wave number on logarithmic scales, without the mean."""

    def draw(figure: Any, palette: Palette) -> None:
        axes = figure.subplots()
        for index, (label, energy) in enumerate(lines.items()):
            axes.plot(k[1:], np.maximum(energy[1:], 1e-40), color=palette.series[index], label=label)
        axes.legend()
        axes.set_xscale("log", base=2)
        ticks = k[1] * 2.0 ** np.arange(0, int(np.log2(max(k[-1] / k[1], 2))) + 1)
        axes.set_xticks(ticks, [f"{t:.3g}" for t in ticks])
        axes.xaxis.set_minor_locator(_null_locator())
        log_axis(axes.yaxis, axes.set_yscale)
        axes.grid(True, axis="y")
        axes.set(xlabel=words, ylabel="energy per shell", title=title)

    return draw


def growth(curves: dict[str, Any]) -> Draw:
    """Error of a rollout against time: the median and the band between the 10th and the 90th percentile."""

    def draw(figure: Any, palette: Palette) -> None:
        axes, floor = figure.subplots(), 1e-12
        low, median, high = (np.maximum(curves[name], floor) for name in ("p10", "median", "p90"))
        axes.fill_between(curves["times"], low, high, color=palette.series[0], alpha=0.25, linewidth=0, label="80 %")
        marker = "o" if len(median) < 12 else None
        axes.plot(curves["times"], median, color=palette.series[0], marker=marker, markersize=3, label="median")
        axes.legend()
        log_axis(axes.yaxis, axes.set_yscale)
        axes.grid(True, axis="y")
        axes.set(xlabel="time", ylabel="relative L2 error", title="Error of a free rollout")

    return draw


def shell_energy(values: np.ndarray, periodic: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Mean energy of `values` (sample, channel, *n) in shells of equal wavenumber.

    Periodic axes use the Fourier transform, others the cosine transform, whose mode k is
    half as fast: it enters with k/2.
    """
    from scipy import fft

    coefficients, numbers = np.asarray(values, np.complex128), []
    for index, cyclic in enumerate(periodic):
        axis, n = index + 2, values.shape[index + 2]
        if cyclic:
            coefficients = np.asarray(fft.fft(coefficients, axis=axis, norm="ortho"))
            numbers.append(np.abs(np.fft.fftfreq(n, 1 / n)))
        else:
            coefficients = np.asarray(fft.dct(coefficients, axis=axis, norm="ortho"))
            numbers.append(np.arange(n) / 2)
    mesh = np.meshgrid(*numbers, indexing="ij")
    shell = np.rint(np.sqrt(sum(k**2 for k in mesh))).astype(int).ravel()
    energy = (np.abs(coefficients) ** 2).mean((0, 1)).ravel() / np.prod(values.shape[2:])
    kept = int(min(k.max() for k in numbers)) + 1
    return np.arange(kept), np.bincount(shell, energy)[:kept]


def panel(values: np.ndarray, axes: Axes, title: str, limits: tuple[float, float], signed: bool = False) -> Draw:
    """One field of one or two dimensions; `limits` is the range of the colour scale or of the ordinate."""
    return (
        curve({title: values}, axes, title, limits) if values.ndim == 1 else image(values, axes, title, limits, signed)
    )


def curve(lines: dict[str, np.ndarray], axes: Axes, title: str, limits: tuple[float, float]) -> Draw:
    """One or more fields over one axis."""

    def draw(figure: Any, palette: Palette) -> None:
        plot = figure.subplots()
        for index, (label, values) in enumerate(lines.items()):
            plot.plot(
                axes.points[0], values, color=palette.series[index], linestyle="--" if index else "-", label=label
            )
        if len(lines) > 1:
            plot.legend()
        margin = 0.06 * (limits[1] - limits[0]) or 1.0
        plot.set_ylim(limits[0] - margin, limits[1] + margin)
        plot.grid(True, axis="y")
        plot.set(xlabel=axes.names[0], title=title)

    return draw


def image(values: np.ndarray, axes: Axes, title: str, limits: tuple[float, float], signed: bool = False) -> Draw:
    """A field over two axes, the first to the right and the second upwards, with its colour bar."""

    def draw(figure: Any, palette: Palette) -> None:
        figure.set_layout_engine("none")
        # Fixed places, so that panels side by side have pictures of one size whatever their tick labels.
        width, height = figure.get_size_inches()
        box = (0.42 / width, 0.4 / height, 1 - 1.0 / width, 1 - 0.68 / height)
        plot = figure.add_axes(box)
        scale = figure.add_axes((box[0] + box[2] + 0.07 / width, box[1], 0.085 / width, box[3]))
        (x, y), pixels = axes.points, uniform(values, list(axes.points))
        half = [(at[-1] - at[0]) / (at.size - 1) / 2 for at in (x, y)]
        extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
        ratio = (extent[3] - extent[2]) / (extent[1] - extent[0])
        shown = plot.imshow(
            pixels.T,
            origin="lower",
            extent=extent,
            vmin=limits[0],
            vmax=limits[1],
            cmap=ERROR_MAP if signed else FIELD_MAP,
            aspect="equal" if 0.4 < ratio < 2.5 and "t" not in axes.names else "auto",
        )
        bar = figure.colorbar(shown, cax=scale)
        bar.solids.set_rasterized(True)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7)
        bar.ax.locator_params(nbins=5)
        bar.formatter.set_powerlimits((-2, 3))
        # Above the topmost tick label, which may stand at the very end of the bar.
        bar.ax.yaxis.OFFSETTEXTPAD = 7
        bar.ax.yaxis.get_offset_text().set(size=7, ha="left")
        plot.spines[:].set_visible(False)
        plot.tick_params(length=2)
        plot.locator_params(nbins=3)
        plot.set(xlabel=axes.names[0], ylabel=axes.names[1], title=title)

    return draw


def flatten(values: np.ndarray, axes: Axes) -> tuple[np.ndarray, Axes, str]:
    """The middle slice of a field of more than two dimensions, and a clause for the caption."""
    names, points, periodic, words = list(axes.names), list(axes.points), list(axes.periodic), []
    while values.ndim > 2:
        middle = values.shape[-1] // 2
        values = values[..., middle]
        words.append(f"{names.pop()} = {points.pop()[middle]:.3g}")
        periodic.pop()
    return (
        values,
        Axes(tuple(names), tuple(points), tuple(periodic)),
        f" (slice at {', '.join(words)})" if words else "",
    )


def span(*arrays: np.ndarray) -> tuple[float, float]:
    """The common range of some arrays, never empty."""
    low, high = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def symmetric(values: np.ndarray) -> tuple[float, float]:
    """The range of a signed error, symmetric about zero."""
    top = float(np.abs(values).max()) or 1e-12
    return -top, top


def log_axis(axis: Any, set_scale: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator

    set_scale("log")
    low, high = axis.get_view_interval()
    narrow = low > 0 and high / low < 30
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=7))
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=True))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-") if value < 1e-3 else f"{value:g}")
    )
    axis.set_minor_locator(_null_locator())


def _null_locator() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
