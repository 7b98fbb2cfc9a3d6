"""Errors of the runs of configs/resolution/flow.yaml on three grids, and of the U-Nets inside of `nn.AtResolution`.

python experiments/resolution/measure.py runs/resolution
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pdejax.data import Take, read
from pdejax.nn import AtResolution
from pdejax.training import evaluate, load_model

folder = Path(sys.argv[1])
finest = read(folder / "test.h5", inputs=Take("vorticity", 1), targets=Take("vorticity", 2))
tests = {32: finest.subsample(4), 64: finest.subsample(2), 128: finest}
labels = {
    "fixed": "U-Net, kernels of 3 x 3 nodes",
    "resampled": "the same, fields resampled to 32 x 32",
    "scaled": "U-Net, kernels of fixed length",
    "wide": "U-Net, kernels of twice that length",
    "widest": "U-Net, kernels of three times that length",
    "fno": "FNO",
}
errors = {name: [] for name in labels}
for name in labels:
    for path in sorted((folder / name).rglob("model.eqx")):
        found = json.loads(path.with_name("evaluation.json").read_text())["tests"]
        errors[name].append([test["metrics"]["relative_l2"]["mean"] for test in found])
for path in sorted((folder / "fixed").rglob("model.eqx")):
    model = AtResolution(load_model(path), (32, 32))
    errors["resampled"].append([evaluate(model, d, batch_size=25).errors["relative_l2"].mean() for d in tests.values()])

figure, axes = plt.subplots(figsize=(5.2, 3.3))
for i, (name, rows) in enumerate((name, np.array(rows, float)) for name, rows in errors.items() if rows):
    ratios = np.round(rows[:, 1:] / rows[:, :1], 3).tolist()
    print(name, json.dumps({"errors on 32, 64, 128": np.round(rows, 4).tolist(), "over that on 32": ratios}))
    lines = axes.loglog(list(tests)[: rows.shape[1]], rows.T, "o-", color=f"C{i}", markersize=4)
    lines[0].set_label(labels[name])
axes.set_xticks(list(tests), [f"{n} x {n}" for n in tests])
axes.minorticks_off()
axes.set(xlabel="grid of the test; trained on 32 x 32", ylabel="mean relative L2 error")
ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if axes.get_ylim()[0] < t < axes.get_ylim()[1]]
axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
axes.legend(fontsize=7, loc="upper left")
axes.set_ylim(0.006, 8)
figure.tight_layout()
figure.savefig(Path(__file__).parent / "errors.png", dpi=110)
