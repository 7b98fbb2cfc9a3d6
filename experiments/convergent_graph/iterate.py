"""The networks of networks.py by Picard iteration of a graph network, `python experiments/convergent_graph/iterate.py`.

PIGN with 2 rounds of message passing; the unknown values are missing, zero, at first. Trained on the mean error of its
first 4 iterates, or of the first one only, and iterated up to 12 times.
"""

from pathlib import Path

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
from networks import error, networks, train

from pdejax.operators import PIGN

MOST, SEEDS = 12, (0, 1, 2)


class Iterated(eqx.Module):
    """The first iterates from the values that are held."""

    model: PIGN
    steps: int = eqx.field(static=True)

    def __call__(self, graph):
        return self.model.iterates(graph, graph.nodes[:, 1:], self.steps)


if __name__ == "__main__":
    tests = {"inside": networks(1001, 256, 20, 50, 64), "outside": networks(1002, 256, 50, 100, 100)}
    errors = eqx.filter_jit(lambda model, data: jax.vmap(lambda g, u: error(model, g, u))(*data).mean(axis=0))
    curves = {(steps, name): [] for steps in (4, 1) for name in tests}
    for seed in SEEDS:
        data = networks(seed, 2048, 20, 50, 64)
        for steps in (4, 1):
            first = PIGN(2, 1, 1, 24, 2, key=jax.random.key(seed))
            model = train(Iterated(first, steps), data, jax.random.key(seed + 100)).model
            for name, test in tests.items():
                curves[steps, name].append(errors(Iterated(model, MOST), test))
                print(f"trained on {steps}, seed {seed}, {name}:", np.round(curves[steps, name][-1], 4), flush=True)
    size = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(first, eqx.is_inexact_array)))
    figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for (steps, name), curve in curves.items():
        label = f"trained on K <= {steps}, {'20 to 50' if name == 'inside' else '50 to 100'} nodes"
        axis.semilogy(np.arange(1, MOST + 1), np.mean(curve, axis=0), "o-" if steps > 1 else "x:", label=label)
    axis.set(xlabel="iterations K", ylabel="mean relative error", title=f"PIGN, {size} parameters")
    axis.legend(fontsize=8)
    figure.savefig(Path(__file__).parent / "iterations.png", dpi=110)
