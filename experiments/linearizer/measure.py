"""Burgers' equation by a linearizer, `python experiments/linearizer/measure.py`.

A propagator f = g^-1 A g, trained on 256 whole trajectories, against dynamic mode decomposition of the rank that
predicts the training data best, on 64 others.
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from snapshots import STEPS, N, relative, train, trajectories

from pdejax.nn._coupling import CouplingNetwork
from pdejax.nn._linearizer import Linearizer

SEEDS, UPDATES = (0, 1, 2), 2000


def rollout(f, u):
    """`f(u), .., f^STEPS(u)`, linear in the coordinates of `g`."""
    latent = jax.lax.scan(lambda z, _: (f.matrix @ z,) * 2, f.inner(u), length=STEPS)[1]
    return jax.vmap(f.inner.inverse)(latent)


def linear(matrix, start):
    powers = np.stack([np.linalg.matrix_power(matrix, k) for k in range(1, STEPS + 1)])
    return np.einsum("kij,cj->cki", powers, start)


def decomposition(data):
    """Dynamic mode decomposition: the matrices of least squares of all ranks, the best in training."""
    u, s, vt = np.linalg.svd(data[:, :-1].reshape(-1, N), full_matrices=False)
    matrices = [(data[:, 1:].reshape(-1, N).T @ u[:, :r] / s[:r]) @ vt[:r] for r in range(4, N + 1, 4)]
    return min(matrices, key=lambda m: relative(linear(m, data[:, 0]), data[:, 1:]))


if __name__ == "__main__":
    curves, test = [], trajectories(1000, 64)
    loss = lambda f, trajectory, key: relative(rollout(f, trajectory[0]), trajectory[1:])
    for seed in SEEDS:
        key, began, data = jax.random.key(seed), time.perf_counter(), trajectories(seed, 256)
        f = train(Linearizer(CouplingNetwork(N, 128, 4, key=key), jnp.eye(N)), loss, data, key, UPDATES)
        once, step = jax.jit(jax.vmap(lambda u, f=f: f.power(u, STEPS))), jax.jit(jax.vmap(f))
        slow = test[:, 0]
        for _ in range(STEPS):
            slow = step(slow)
        found = jax.vmap(lambda u, f=f: rollout(f, u))(test[:, 0])
        modes = linear(decomposition(np.asarray(data, float)), np.asarray(test[:, 0]))
        off = jnp.max(jnp.abs(once(test[:, 0]) - slow))
        print(
            f"seed {seed}: {STEPS} steps in one against one by one {off:.1e}, error {relative(found, test[:, 1:]):.4f},"
        )
        print(f"  decomposition {relative(modes, test[:, 1:]):.4f}, {time.perf_counter() - began:.0f} s", flush=True)
        curves.append([[relative(w[:, k], test[:, k + 1]) for k in range(STEPS)] for w in (found, modes)])
    figure, axis = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    for name, curve in zip(("linearizer", "dynamic mode decomposition"), np.mean(curves, axis=0), strict=True):
        axis.plot(np.arange(1, STEPS + 1) / STEPS, curve, label=name)
    axis.set(xlabel="t", ylabel="relative L2 error", ylim=(0, None), title="64 unseen initial states, mean of 3 seeds")
    axis.legend()
    figure.savefig(Path(__file__).parent / "propagator.png", dpi=110)
