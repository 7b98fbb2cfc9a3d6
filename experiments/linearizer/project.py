"""Damaged Burgers' snapshots projected, `python experiments/linearizer/project.py`.

The trajectories of snapshots.py; damaged: noise of deviation 0.1, and every fifth entry on the average set to zero.
From clean snapshots and damaged ones that do not belong to them: an idempotent network of rank 8 against PCA. From
pairs: g^-1 P g, P eight ones on a diagonal, against linear regression.
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from snapshots import N, relative, train, trajectories

from pdejax.nn._coupling import CouplingNetwork
from pdejax.nn._idempotent import IdempotentLosses, Projection
from pdejax.nn._linearizer import Linearizer

RANK, SEEDS, UPDATES = 8, (0, 1, 2), 1000


def damaged(u, key):
    noise, lost = jax.random.split(key)
    return jnp.where(jax.random.bernoulli(lost, 0.2, u.shape), 0, u + 0.1 * jax.random.normal(noise, u.shape))


def unpaired(f, sample, key):
    return IdempotentLosses()(f, sample[0], damaged(sample[1], key))


def paired(f, sample, key):
    return relative(f(damaged(sample[0], key)), sample[0])


if __name__ == "__main__":
    clean = trajectories(1000, 64).reshape(-1, N)
    spoilt = damaged(clean, jax.random.key(1000))
    shown = {"true": clean, "damaged": spoilt}
    print(f"damaged {relative(spoilt, clean):.4f}")
    for seed in SEEDS:
        key, began, data = jax.random.key(seed), time.perf_counter(), trajectories(seed, 256).reshape(-1, N)
        pairs = jnp.stack([data, jax.random.permutation(key, data)], axis=1)
        network = jax.vmap(train(Projection(N, RANK, 128, 2, key=key), unpaired, pairs, key, UPDATES))
        keep = np.arange(N) < RANK
        exact = jax.vmap(train(Linearizer(CouplingNetwork(N, 128, 4, key=key), keep), paired, pairs, key, UPDATES))
        mean = data.mean(axis=0)
        basis = jnp.linalg.svd(data - mean, full_matrices=False)[2]
        onto = {r: mean + (spoilt - mean) @ basis[:r].T @ basis[:r] for r in range(1, N + 1)}
        best = min(onto, key=lambda r: relative(onto[r], clean))
        regression = jnp.linalg.lstsq(damaged(data, key), data)[0]
        made, image = network(spoilt), exact(spoilt)
        print(f"seed {seed}: idempotent network {relative(made, clean):.4f}, applied again moves", end=" ")
        print(
            f"{relative(network(made), made):.4f}, PCA {relative(onto[RANK], clean):.4f}, of the best rank {best}",
            end=" ",
        )
        print(
            f"{relative(onto[best], clean):.4f}; linearizer {relative(image, clean):.4f}, applied again moves", end=" "
        )
        print(f"{jnp.max(jnp.abs(exact(image) - image)):.1e} at most, regression", end=" ")
        print(f"{relative(spoilt @ regression, clean):.4f}, {time.perf_counter() - began:.0f} s", flush=True)
    shown |= {"PCA, rank 8": onto[RANK], "idempotent network": made, "linearizer, from pairs": image}
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained", sharey=True)
    for axis, i in zip(axes, (10, 31, 52), strict=True):
        for name, u in shown.items():
            axis.plot(np.arange(N) / N, u[i], "." if name == "damaged" else "-", label=name, lw=1)
    axes[0].legend(fontsize=7)
    figure.savefig(Path(__file__).parent / "projections.png", dpi=110)
