"""One drawing, two pictures: a PNG file on white and an inline SVG that follows the page's light or dark colours."""

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours of a drawing: text, secondary text, rules, and the series in the order they are used."""

    ink: str
    muted: str
    rule: str
    series: tuple[str, ...]


LIGHT = Palette(
    ink="#1c2430", muted="#5b6675", rule="#d9dee5", series=("#2563a8", "#c2571a", "#2e8b57", "#7b4ea3", "#a33b5b")
)

# Placeholders that are replaced by CSS variables in the SVG text; no drawing uses them otherwise.
_LIVE = {"#010203": "--ink", "#010204": "--muted", "#010205": "--rule"} | {
    f"#0102{16 + i:02x}": f"--series-{i + 1}" for i in range(5)
}
LIVE = Palette("#010203", "#010204", "#010205", tuple(f"#0102{16 + i:02x}" for i in range(5)))

Draw = Callable[[Any, Palette], None]
# Name, drawing and size in inches to the SVG element; writes the PNG file of that name.
Drawer = Callable[[str, Draw, tuple[float, float]], str]


def render(draw: Draw, size: tuple[float, float], png: Path) -> str:
    """Draw a figure of `size` inches; writes the PNG file and returns the SVG element."""
    import matplotlib
    from matplotlib.figure import Figure

    png.parent.mkdir(parents=True, exist_ok=True)
    for palette, target in ((LIGHT, png), (LIVE, io.StringIO())):
        with matplotlib.rc_context(_settings(palette)):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure, palette)
            if target is png:
                figure.savefig(png, dpi=160, facecolor="white", metadata={"Software": None})
            else:
                figure.savefig(target, format="svg", transparent=True)
                return _inline(cast(io.StringIO, target).getvalue(), png.stem)
    raise AssertionError


def _settings(palette: Palette) -> dict[Any, Any]:
    ink, muted = palette.ink, palette.muted
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "pdejax",
        "font.size": 9.0,
        "axes.titlesize": 9.5,
        "axes.labelsize": 9.0,
        "axes.edgecolor": muted,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.axisbelow": True,
        "grid.color": palette.rule,
        "grid.linewidth": 0.6,
        "text.color": ink,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.6,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "image.interpolation": "nearest",
    }


def _inline(svg: str, name: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    body = re.sub(r"<style.*?</style>", "", body, flags=re.S)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body)
    body = body.replace("xlink:href", "href")
    prefix = re.sub(r"\W+", "-", name)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'(url\(|href=")#([^")]+)', rf"\1#{prefix}-\2", body)
    # The page's own font in place of the list matplotlib writes.
    body = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", body)
    for colour, variable in _LIVE.items():
        body = body.replace(colour, f"var({variable})")
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)[0]
    head = f'<svg viewBox="0 0 {width} {height}" role="img" class="plot" style="max-width: {float(width) * 1.45:.0f}px"'
    return re.sub(r"<svg[^>]*", head, body, count=1).strip()


def uniform(values: np.ndarray, points: list[np.ndarray]) -> np.ndarray:
    """Values on evenly spaced points between the same ends, for pictures made of equal pixels."""
    for axis, at in enumerate(points):
        if at.size < 3 or np.allclose(np.diff(at), (at[-1] - at[0]) / (at.size - 1), rtol=1e-3):
            continue
        even = np.linspace(at[0], at[-1], max(at.size, 64))
        values = np.apply_along_axis(lambda line, at=at, even=even: np.interp(even, at, line), axis, values)
    return values
