"""Errors with and without spectral blocks, by `python experiments/latent_spectral/measure.py` after the runs."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

RUNS = Path("runs/latent_spectral")
SEEDS = sorted(int(path.parent.name.removeprefix("seed=")) for path in RUNS.glob("spectral/*/evaluation.json"))


def errors(run):
    """One row a seed: the errors of the samples."""
    files = (RUNS / run / f"seed={seed}" / "evaluation.json" for seed in SEEDS)
    return np.array([json.loads(file.read_text())["tests"][0]["errors"]["relative_l2"] for file in files])


if __name__ == "__main__":
    spectral, plain = errors("spectral"), errors("plain")
    for name, found in (("with blocks", spectral), ("without", plain)):
        print(f"{name}: {found.mean(axis=1).round(5)} mean {found.mean():.5f}")
    ratio = spectral.mean(axis=1) / plain.mean(axis=1)
    print(f"with over without: {ratio.round(3)}, of the means {spectral.mean() / plain.mean():.3f}")
    figure, axis = plt.subplots(figsize=(4.2, 4), layout="constrained")
    for seed, x, y in zip(SEEDS, plain, spectral, strict=True):
        axis.plot(100 * x, 100 * y, ".", ms=4, label=f"seed {seed}")
    axis.axline((0, 0), slope=1, color="k", lw=0.8)
    axis.set(xlabel="relative L2 error without spectral blocks, %", ylabel="with them, %", title="100 unseen samples")
    axis.legend()
    figure.savefig(Path(__file__).parent / "errors.png", dpi=100)
