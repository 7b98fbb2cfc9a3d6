"""Errors with and without noise, by `python experiments/fno_deq/measure.py` after the runs of configs/fno_deq.

On samples that no run has seen; equilibria are solved to 5e-5, but as in training where noise is told from no noise.
The noise is that of the runs, 5 % of the deviation.
"""

from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from trained import INPUTS, SEEDS, TARGETS, TEST, TIGHT, losses, trained

from pdejax.data import noisy

ROUGH = jnp.asarray(noisy(TEST, 0.05, seed=3).inputs, jnp.float32)
LAYERS = {"explicit": {}, "equilibrium": TIGHT}


def errors(run, layer, inputs):
    """One row a seed."""
    return np.stack([losses(trained(run, seed, **layer), inputs, TARGETS) for seed in SEEDS])


if __name__ == "__main__":
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    settings = (("clean", "", INPUTS), ("noisy inputs, trained on clean ones", "", ROUGH), ("noise", "-noisy", ROUGH))
    found = {}
    for what, suffix, inputs in settings:
        for name, layer in LAYERS.items():
            each = found[what, name] = errors(name + suffix, layer, inputs)
            print(f"{what}, {name}: {each.mean(axis=1).round(5)} mean {each.mean():.5f}", flush=True)
        ratio = found[what, "equilibrium"].mean(axis=1) / found[what, "explicit"].mean(axis=1)
        print(f"{what}: equilibrium over explicit {ratio.round(3)}", flush=True)
    for name in LAYERS:
        more = (errors(f"{name}-noisy", {}, ROUGH) - errors(name, {}, INPUTS)).mean(axis=1)
        print(f"{name}: noise adds {more.round(6)} mean {more.mean():.6f}", flush=True)
    for axis, what, title in zip(axes, ("clean", "noise"), ("clean inputs", "inputs with 5 % noise"), strict=True):
        for seed in SEEDS:
            x, y = found[what, "explicit"][seed], found[what, "equilibrium"][seed]
            axis.plot(x, y, ".", ms=4, label=f"seed {seed}")
        ends = np.array([found[what, n].min() for n in LAYERS]).min(), max(found[what, n].max() for n in LAYERS)
        axis.plot(ends, ends, "k", lw=0.8)
        axis.set(xlabel="relative L2 error, FNO", ylabel="relative L2 error, FNO-DEQ", title=title)
    axes[0].legend()
    figure.savefig(Path(__file__).parent / "errors.png", dpi=100)
