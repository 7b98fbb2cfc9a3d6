"""Draw the free rollout of the page on neural operators: `python docs/rollout.py` writes docs/operators/rollout.png.

The run comes first: `pdejax run configs/fno/navier_stokes.yaml`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pdejax.experiment._render import Palette, render

RUN, PICTURE = Path("runs/fno/navier_stokes"), Path(__file__).parent / "operators" / "rollout.png"


def draw(frames: dict[str, np.ndarray], rollout: dict[str, Any]) -> Any:
    """Vorticity of one flow at some times above what the operator makes of it; errors and spectra on the right."""

    def drawn(figure: Any, palette: Palette) -> None:
        truth, found, times = frames["truth"][0, :, 0], frames["predictions"][0, :, 0], frames["times"]
        left, right = figure.subfigures(1, 2, width_ratios=(len(times), 1.4))
        for i, plot in enumerate(left.subplots(2, len(times), squeeze=False).flat):
            row, column = divmod(i, len(times))
            top = np.abs(truth[column]).max()
            values = (truth, found)[row][column]
            plot.imshow(values.T, origin="lower", cmap="RdBu_r", vmin=-top, vmax=top, interpolation="bicubic")
            plot.set(xticks=[], yticks=[], title=f"t = {times[column]:.0f}" if row == 0 else "")
            plot.spines[:].set_visible(False)
            if column == 0:
                plot.set_ylabel(("truth", "operator")[row])
        growth, spectrum = right.subplots(2)
        growth.fill_between(rollout["times"], rollout["p10"], rollout["p90"], color=palette.series[0], alpha=0.25)
        growth.plot(rollout["times"], rollout["median"], color=palette.series[0])
        growth.set(ylim=(0, None), xlabel="t", xticks=times, title="relative L2 error")
        shells = np.asarray(rollout["wavenumbers"]) / (2 * np.pi)
        for name, colour, style in (("truth", palette.ink, "-"), ("prediction", palette.series[1], "--")):
            spectrum.loglog(shells[1:], np.asarray(rollout["spectrum"][name])[1:], style, color=colour, label=name)
        spectrum.set(xlabel="waves per side", title=f"energy at t = {rollout['times'][-1]:.0f}")
        spectrum.legend(fontsize=7)

    return drawn


if __name__ == "__main__":
    (test,) = json.loads((RUN / "evaluation.json").read_text())["tests"]
    with np.load(RUN / "figures" / "rollouts.npz") as file:
        render(draw(dict(file), test["rollout"]), (7.6, 3.5), PICTURE)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1e3:.0f} kB")
