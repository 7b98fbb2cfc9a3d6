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

RUNS, EXPERTS = Path("runs/mixture"), (1, 4, 16)
# Those that all sizes have.
SEEDS = [s for s in range(10) if (RUNS / f"further-{EXPERTS[-1]}" / f"seed={s}" / "model.eqx").exists()]
TEST = read(RUNS / "test.npz", grid=Grid(x=Fourier(64, length=1.0)))


def depths(router):
    """Of each sample in its cell: 0 on the border of two cells, 1 on a prototype."""
    centres = router.prototypes.read()
    low = jax.vmap(lambda a: resampled(GridField(a, TEST.grid), centres.shape[2:]))(jnp.asarray(TEST.inputs))
    away = np.sort(np.linalg.norm(np.asarray(low)[:, None] - np.asarray(centres)[None], axis=(2, 3)), axis=1)
    return 1 - away[:, 0] / away[:, 1]


def parameters(model):
    """Those of one expert: all that a field meets."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model.expert(0), eqx.is_inexact_array)))


def errors(run):
    """One row a seed, and the models."""
    models = [load_model(RUNS / run / f"seed={seed}" / "model.eqx") for seed in SEEDS]
    found = np.stack([evaluate(m, TEST, batch_size=500).errors["relative_l2"] for m in models])
    print(f"{run}: {parameters(models[0])} active parameters, mean {found.mean(axis=1).round(5)}", end=" ")
    print(f"{found.mean():.5f}, largest {found.max(axis=1).round(4)} {found.max(axis=1).mean():.4f}", flush=True)
    return found, models


if __name__ == "__main__":
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    found = {e: errors(f"further-{e}") for e in EXPERTS}
    wide, _ = errors("wide")
    last = found[EXPERTS[-1]][0]
    for style, (what, statistic) in zip("-:", (("mean", np.mean), ("largest", np.max)), strict=True):
        each = np.stack([statistic(found[e][0], axis=1) for e in EXPERTS])
        print(f"{what}, over one expert:", *(each / each[0]).astype(float).round(3).tolist(), flush=True)
        print(f"{what}, means of the seeds:", each.mean(axis=1).round(5).tolist())
        print(f"{what}, over one FNO of width 32: {(statistic(last, axis=1) / statistic(wide, axis=1)).round(3)}")
        left.loglog(EXPERTS, 100 * each.mean(axis=1), f"C0{style}", label=what)
        left.loglog(EXPERTS, 100 * each, "C0.")
        left.axhline(
            100 * statistic(wide, axis=1).mean(), color="k", ls=style, lw=0.8, label=f"one of width 32, {what}"
        )
    left.set_xticks(EXPERTS, map(str, EXPERTS))
    left.set_yticks((0.3, 0.5, 1, 2, 4), ("0.3", "0.5", "1", "2", "4"))
    left.minorticks_off()
    left.set(xlabel="experts of width 8", ylabel="relative L2 error, %")
    left.legend(fontsize="x-small")
    depth = np.stack([depths(m.router) for m in found[EXPERTS[-1]][1]])
    edges = np.quantile(depth, np.linspace(0, 1, 6))
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        some = (depth >= low) & (depth <= high)
        mean, most = last[some].mean(), last[some].max()
        print(f"depth {low:.2f} to {high:.2f}: mean {mean:.5f} largest {most:.4f}")
        right.plot(depth[some].mean(), 100 * mean, "C0o", depth[some].mean(), 100 * most, "C1o")
    right.set(
        xlabel="depth in the cell (0 border, 1 prototype)",
        ylabel="error of 16 experts, mean and largest, %",
        ylim=(0, None),
    )
    figure.savefig(Path(__file__).parent / "errors.png", dpi=100)
