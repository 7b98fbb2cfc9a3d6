"""The graph operators of configs/kernel_operators on other points, by `python experiments/kernel_operators/clouds.py`.

Trained on 31 x 31 nodes; tested there, on 61 x 61, and on clouds drawn from the latter, with equal weights and with
those of their Voronoi cells. Errors on a cloud are those at its points.
"""

import itertools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pdejax.data import read
from pdejax.nn import nodes, voronoi_weights
from pdejax.training import evaluate, load_model

RUNS, SIZES, CLOUDS = Path("runs/kernel_operators"), (200, 961), 5
WEIGHTS = {"equal weights": lambda points, domain: None, "Voronoi cells": voronoi_weights}
COARSE, FINE = (read(RUNS / f"{name}.h5", "permeability", "pressure") for name in ("test", "fine"))


def at(model, inputs, where, weights):
    """The pressures at some points: what `nn.Normalised` does on a grid."""
    values = lambda part: jnp.asarray(part, jnp.float32)[:, None]
    a, u = model.inputs, model.targets
    inside = lambda v: model.model.on_points((v - values(a.mean)) / values(a.std), where, FINE.grid, weights)
    return jax.lax.map(lambda v: inside(v) * values(u.std) + values(u.mean), inputs, batch_size=4)


def cloud_error(model, size, seed, weigh):
    """Mean relative error at points drawn at random."""
    chosen = np.random.default_rng(seed).choice(len(nodes(FINE.grid)), size, replace=False)
    flat = lambda values: np.asarray(values, np.float32).reshape(len(FINE), 1, -1)[..., chosen]
    where, u = nodes(FINE.grid)[chosen], flat(FINE.targets)
    weights = weigh(where, FINE.grid)
    apply = eqx.filter_jit(lambda a: at(model, a, where, weights))
    off = apply(jnp.asarray(flat(FINE.inputs))) - u
    return float(np.mean(np.linalg.norm(off, axis=-1) / np.linalg.norm(u, axis=-1)))


if __name__ == "__main__":
    for path in sorted(RUNS.glob("darcy/model=*/model.eqx")):
        model = load_model(path)
        if not hasattr(model.model, "on_points"):
            continue
        found = {"31 x 31": COARSE, "61 x 61": FINE}
        errors = {name: evaluate(model, d, batch_size=4).errors["relative_l2"].mean() for name, d in found.items()}
        for size, (name, weigh) in itertools.product(SIZES, WEIGHTS.items()):
            clouds = [cloud_error(model, size, seed, weigh) for seed in range(CLOUDS)]
            errors[f"{size} points, {name}"] = np.mean(clouds)
        base = errors["31 x 31"]
        words = ", ".join(f"{name}: {error:.4f} ({error / base:.2f})" for name, error in errors.items())
        print(f"{path.parent.name}: {words}", flush=True)
