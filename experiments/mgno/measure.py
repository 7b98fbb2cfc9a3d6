"""Errors and learning curves of MgNO and the FNO, by `python experiments/mgno/measure.py` after the runs."""

import csv
import json
from pathlib import Path

import matplotlib.pyplot as plt

RUNS, NETS = Path("runs/mgno"), {"mgno": "MgNO", "fno": "FNO"}

if __name__ == "__main__":
    figure, axis = plt.subplots(figsize=(6, 3.8), layout="constrained")
    found = {}
    for colour, (run, name) in enumerate(NETS.items()):
        tests = {t["label"]: t["metrics"] for t in json.loads((RUNS / run / "evaluation.json").read_text())["tests"]}
        l2, h1 = ({k: t[metric]["mean"] for k, t in tests.items()} for metric in ("relative_l2", "relative_h1"))
        found[run] = l2["test"], l2["test"] / l2["seen"]
        facts = json.loads((RUNS / run / "run.json").read_text())
        print(f"{name}: {facts['parameters']} parameters, {facts['training_seconds']:.0f} s, L2 {l2}, H1 {h1}")
        print(f"   test over training {found[run][1]:.3f}, H1 {h1['test'] / h1['seen']:.3f}", flush=True)
        with (RUNS / run / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        for key, style, kind in (("train_loss", "--", "training"), ("validation_loss", "-", "50 unseen samples")):
            epochs = [float(row["epoch"]) for row in rows]
            axis.semilogy(epochs, [float(r[key]) for r in rows], style, color=f"C{colour}", label=f"{name}, {kind}")
    print(f"MgNO over FNO {found['mgno'][0] / found['fno'][0]:.3f}")
    axis.set(xlabel="epoch", ylabel="relative H1 error (the loss)")
    axis.legend()
    figure.savefig(Path(__file__).parent / "losses.png", dpi=100)
