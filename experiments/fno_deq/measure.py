"""Errors with and without noise, by `python experiments/fno_deq/measure.py` after the runs of configs/fno_deq.

The noise is normal with 5 % of the deviation of the inputs, on the test inputs only. Equilibria are solved to 5e-5.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from trained import INPUTS, SEEDS, TARGETS, TIGHT, losses, trained

ROUGH = INPUTS + 0.05 * jnp.std(INPUTS) * jax.random.normal(jax.random.key(0), INPUTS.shape)

if __name__ == "__main__":
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for name, layer in (("explicit", {}), ("equilibrium", TIGHT)):
        models = [trained(name, seed, **layer) for seed in SEEDS]
        clean, rough = (np.stack([losses(m, a, TARGETS) for m in models]) for a in (INPUTS, ROUGH))
        for axis, what, found in zip(axes, ("error", "increase by noise"), (clean, rough - clean), strict=True):
            print(f"{name}, {what}:", found.mean(axis=1), "mean", found.mean(), flush=True)
            axis.hist(found.ravel(), bins=30, histtype="step", label=name)
            axis.set(xlabel=f"relative L2 {what}", ylabel="samples of three seeds")
    axes[0].legend()
    figure.savefig(Path(__file__).parent / "errors.png", dpi=100)
