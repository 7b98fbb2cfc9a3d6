"""Rollouts of the runs of configs/stability/flow.yaml: when they diverge, errors, energies and spectra.

python experiments/stability/curves.py runs/stability
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

folder = Path(sys.argv[1])
labels = {
    "all": "FNO, all modes",
    "half": "FNO, half of the modes",
    "stabilised": "StabilisedFNO",
    "stabilised-long": "StabilisedFNO, 40 epochs",
    "dynamic": "StabilisedFNO, filter from the field",
}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.2))
for i, (name, label) in enumerate(labels.items()):
    for path in sorted((folder / name).rglob("evaluation.json")):
        (test,) = json.loads(path.read_text())["tests"]
        errors, rollout = test["errors"], test["rollout"]
        mean, stable = np.array(rollout["mean"]), np.array(errors["steps_before_divergence"])
        row = {"error after 1, 200, 1000 steps": [round(float(mean[n - 1]), 4) for n in (1, 200, 1000)]}
        row |= {"steps before divergence, least, median": [float(stable.min()), float(np.median(stable))]}
        largest = np.array(errors["largest_energy"])
        row |= {"largest energy, worst, median": [round(float(f(largest)), 3) for f in (np.max, np.median)]}
        row |= {"error of the spectrum at the end": round(rollout["spectrum_errors"][-1], 4)}
        print(path.parent.relative_to(folder), json.dumps(row))
        steps = np.arange(1, len(mean) + 1)
        axes[0].loglog(steps, np.array(rollout["median"]), color=f"C{i}", lw=1)
        axes[1].loglog(steps, np.array(rollout["energy"]), color=f"C{i}", lw=1)
        k = np.array(rollout["wavenumbers"]) / (2 * np.pi)
        axes[2].loglog(k[1:], np.array(rollout["spectrum"]["prediction"])[1:], color=f"C{i}", lw=1)
    if (folder / name).is_dir():
        axes[1].plot([], [], color=f"C{i}", label=label)
axes[2].loglog(k[1:], np.array(rollout["spectrum"]["truth"])[1:], "k", lw=1.5)
axes[1].plot([], [], "k", label="truth")
axes[0].axhline(1, color="0.7", lw=0.8)
axes[1].axhline(2, color="0.7", lw=0.8)
axes[0].set(xlabel="step", ylabel="median relative L2 error", ylim=(1e-3, 30))
axes[1].set(xlabel="step", ylabel="energy over that of the truth, median", ylim=(0.01, 100))
axes[2].set(xlabel="wave number", ylabel="energy", title="spectrum after 1000 steps", xlim=(1, 24), ylim=(1e-9, 1e2))
axes[1].legend(fontsize=6, loc="lower left")
figure.tight_layout()
figure.savefig(Path(__file__).parent / "rollouts.png", dpi=110)
