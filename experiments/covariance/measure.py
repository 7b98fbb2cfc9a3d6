"""Errors with and without changes of coordinates, by `python experiments/covariance/measure.py` after the runs."""

import json
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from pdejax import GridField
from pdejax.data import EllipticCovariance, TensorWarps, elliptic

RUNS, SEEDS = Path("runs/covariance"), (0, 1, 2)
NETS = {"dilated_resnet": "dilated ResNet", "fno": "FNO", "deeponet": "DeepONet"}


def error(run, seed):
    """Mean relative L2 error on the 500 samples."""
    tests = json.loads((RUNS / run / f"seed={seed}" / "evaluation.json").read_text())["tests"]
    return tests[0]["metrics"]["relative_l2"]["mean"]


def histograms(axis):
    """What the changes of coordinates do to the range of the coefficients."""
    data = elliptic(200, 100, key=jax.random.key(5))
    change = EllipticCovariance(TensorWarps(), nodes=4)

    def one(key, a, u):
        return change(key, GridField(a, data.grid), GridField(u, data.grid))[0].values

    changed = jax.vmap(one)(jax.random.split(jax.random.key(0), 200), data.inputs, data.targets)
    for values, label in ((data.inputs, "as drawn"), (changed, "in other coordinates")):
        axis.hist(np.log10(np.asarray(values)[:, 0]).ravel(), 60, density=True, histtype="step", label=label)
    axis.set(xlabel="log10 a", ylabel="density", title="values of the coefficient")
    axis.legend()


if __name__ == "__main__":
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    ratios = {}
    for place, net in enumerate(NETS):
        plain, changed = (np.array([error(net + suffix, seed) for seed in SEEDS]) for suffix in ("-plain", ""))
        ratios[net] = changed / plain
        print(f"{net}: plain {plain.round(4)} changed {changed.round(4)} ratio {ratios[net].round(3)}", end=" ")
        print(f"mean {changed.mean() / plain.mean():.3f}", flush=True)
        for offset, errors, colour, label in ((-0.1, plain, "C0", "as drawn"), (0.1, changed, "C1", "with changes")):
            left.semilogy(np.full(3, place + offset), errors, "o", color=colour, label=None if place else label)
    means = np.array([r for r in ratios.values()]).mean(axis=0)
    print(f"mean ratio over the nets, by seed {means.round(3)}, mean {means.mean():.3f}")
    left.set_xticks(range(len(NETS)), NETS.values())
    left.set(ylabel="relative L2 error, 500 unseen samples", title="200 training samples")
    left.legend()
    histograms(right)
    figure.savefig(Path(__file__).parent / "errors.png", dpi=100)
