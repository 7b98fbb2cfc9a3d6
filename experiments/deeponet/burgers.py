"""Errors of the runs of configs/deeponet/burgers.yaml, and a picture, by `python experiments/deeponet/burgers.py`."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

RUNS, SEEDS = Path("runs/deeponet"), (0, 1, 2)
NAMES = {"deeponet": "DeepONet", "multi_onet": "MultiONet", "pod": "POD-DeepONet"}

if __name__ == "__main__":
    found = {}
    for name, label in NAMES.items():
        tests = [json.loads((RUNS / name / f"seed={seed}" / "evaluation.json").read_text())["tests"] for seed in SEEDS]
        found[label] = np.array([test[0]["errors"]["relative_l2"] for test in tests])
        each = found[label].mean(1)
        print(f"{label}: {each.round(5)} mean {each.mean():.5f}")
    first, *others = found
    for label in others:
        ratios = found[label].mean(1) / found[first].mean(1)
        print(f"{label} over {first}: {ratios.round(3)}, of means {found[label].mean() / found[first].mean():.3f}")
    figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
    axis.boxplot([errors.ravel() for errors in found.values()], tick_labels=list(found))
    axis.set(title="Burgers, 200 unseen samples, 3 seeds", ylabel="relative L2 error", yscale="log")
    figure.savefig(Path(__file__).parent / "burgers.png", dpi=80)
