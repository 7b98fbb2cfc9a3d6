"""Errors against the number of experts, by `python experiments/mixture/measure.py` after the runs."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from pdejax import Fourier, Grid, GridField
from pdejax.data import read
from pdejax.nn import resampled
from pdejax.training import evaluate, load_model

RUNS, SEEDS = Path("runs/mixture"), (0, 1, 2)
TEST = read(RUNS / "test.npz", grid=Grid(x=Fourier(64, length=1.0)))


def distances(router):
    """From each sample to every prototype, `(samples, experts)`."""
    centres = router.prototypes.read()
    low = jax.vmap(lambda a: resampled(GridField(a, TEST.grid), centres.shape[2:]))(jnp.asarray(TEST.inputs))
    return np.linalg.norm(np.asarray(low)[:, None] - np.asarray(centres)[None], axis=(2, 3))


def parameters(model):
    """Those of one expert: all that a field meets."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model.expert(0), eqx.is_inexact_array)))


if __name__ == "__main__":
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    found = {}
    for run in ("1", "4", "16", "wide"):
        models = [load_model(RUNS / run / f"seed={seed}" / "model.eqx") for seed in SEEDS]
        errors = found[run] = np.stack([evaluate(m, TEST, batch_size=500).errors["relative_l2"] for m in models])
        print(f"{run}: {parameters(models[0])} active parameters, mean {errors.mean(axis=1).round(5)}", end=" ")
        print(f"{errors.mean():.5f}, max {errors.max(axis=1).round(4)} {errors.max(axis=1).mean():.4f}", flush=True)
        if run == "16":
            away = [np.sort(distances(m.router), axis=1) for m in models]
            # 0 on the border of two cells, 1 on a prototype.
            depth = np.stack([1 - d[:, 0] / d[:, 1] for d in away])
    for what, statistic in (("mean", np.mean), ("largest", np.max)):
        each = {run: statistic(errors, axis=1) for run, errors in found.items()}
        print(
            f"{what}: 16 over 1 {(each['16'] / each['1']).round(3)}, over wide {(each['16'] / each['wide']).round(3)}"
        )
        (line,) = left.loglog((1, 4, 16), [each[e].mean() for e in ("1", "4", "16")], "-", label=f"{what} error")
        for e in ("1", "4", "16"):
            left.loglog([int(e)] * 3, each[e], ".", color=line.get_color())
        left.axhline(each["wide"].mean(), color=line.get_color(), ls=":", label=f"one FNO of width 32, {what}")
    left.set_xticks((1, 4, 16), ("1", "4", "16"))
    left.set(xlabel="experts of width 8", ylabel="relative L2 error")
    left.legend()
    edges = np.quantile(depth, np.linspace(0, 1, 6))
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        some = (depth >= low) & (depth <= high)
        at, mean, most = depth[some].mean(), found["16"][some].mean(), found["16"][some].max()
        print(f"depth {low:.2f} to {high:.2f}: mean {mean:.5f} largest {most:.4f}")
        right.semilogy(at, mean, "C0o")
        right.semilogy(at, most, "C1o")
    right.set(xlabel="depth in the cell (0 border, 1 prototype)", ylabel="relative L2 error, 16 experts")
    figure.savefig(Path(__file__).parent / "errors.png", dpi=100)
