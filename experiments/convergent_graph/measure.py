"""Steady diffusion networks by convergent graph solvers, `python experiments/convergent_graph/measure.py`.

2048 networks of 20 to 50 nodes for training, 256 of these sizes and 256 of 50 to 100 nodes to test.
"""

import time
from pathlib import Path

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
from networks import error, networks, train

from pdejax.nn import FixedPoint
from pdejax.nn._graph import GraphNetwork
from pdejax.operators._convergent_graph_solver import ConvergentGraphSolver, GraphContraction
from pdejax.solvers import FGMRES, Anderson, ImplicitAdjoint

SEEDS = (0, 1, 2)
NEAR_ONE = FixedPoint(GraphContraction(0.95), Anderson(1e-5), ImplicitAdjoint(FGMRES(1e-4)), max_steps=200)


if __name__ == "__main__":
    build = {
        "GNN, 5 rounds": lambda key: GraphNetwork(2, 1, 1, 0, 16, 5, key=key),
        "CGS, gamma = 0.5": lambda key: ConvergentGraphSolver(2, 1, 1, 16, 32, 1, key=key),
        "CGS, gamma = 0.95": lambda key: ConvergentGraphSolver(2, 1, 1, 16, 32, 1, layer=NEAR_ONE, key=key),
    }
    inside, outside = networks(1001, 256, 20, 50, 64), networks(1002, 256, 50, 100, 100)
    errors = eqx.filter_jit(lambda model, data: jax.vmap(lambda g, u: error(model, g, u))(*data))
    curves = {name: [] for name in build}
    for seed in SEEDS:
        data = networks(seed, 2048, 20, 50, 64)
        for name, make in build.items():
            began, first = time.perf_counter(), make(jax.random.key(seed))
            model = jax.block_until_ready(train(first, data, jax.random.key(seed + 100)))
            seconds, found = time.perf_counter() - began, [errors(model, d) for d in (inside, outside)]
            curves[name].append(np.concatenate(found))
            size = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(first, eqx.is_inexact_array)))
            print(f"{name}, seed {seed}: {size} parameters, error {found[0].mean():.4f} inside,", end=" ")
            print(f"{found[1].mean():.4f} outside, {seconds:.0f} s", end="")
            if isinstance(model, ConvergentGraphSolver):
                solution = eqx.filter_jit(lambda m, g: jax.vmap(m.solve)(g))(model, outside[0])
                steps, solved = solution.stats["num_steps"], np.asarray(solution.error) <= 1e-5
                print(f", evaluations mean {steps.mean():.1f}, most {steps.max()}, solved {solved.mean():.3f}", end="")
            print(flush=True)
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    nodes = np.concatenate([d[0].node_mask.sum(axis=1) for d in (inside, outside)])
    bins = np.arange(20, 101, 10)
    for name, curve in curves.items():
        means = [np.mean(curve, axis=0)[(nodes >= a) & (nodes < a + 10)].mean() for a in bins[:-1]]
        axis.plot(bins[:-1] + 5, means, "o-", label=name)
    axis.axvline(50, color="grey", linestyle=":")
    axis.set(xlabel="nodes (training: 20 to 50)", ylabel="mean relative error", ylim=(0, None))
    axis.legend()
    figure.savefig(Path(__file__).parent / "sizes.png", dpi=110)
