"""Learning curves on Darcy 61 x 61, by `python experiments/fno/losses.py` after both runs of configs/fno/darcy.yaml."""

import csv
from pathlib import Path

import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for run, label in (("darcy", "FNO, 2.4 million parameters"), ("darcy-mgno", "MgNO, 0.2 million")):
    with (Path("runs/fno") / run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    axis.semilogy([float(r["epoch"]) for r in rows], [100 * float(r["train_loss"]) for r in rows], label=label)
axis.set(xlabel="epoch", ylabel="relative L2 error on training samples, %")
axis.legend()
figure.savefig(Path(__file__).parent / "losses.png", dpi=100)
