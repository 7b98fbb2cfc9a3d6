"""Figures of the operators trained by configs/fno_deq/darcy.yaml: `python experiments/fno_deq/measure.py PART`.

PART is `errors`, `equilibria`, `gradients`, `memory` or `figure` (after `errors`). Equilibria are solved to 5e-5, in
single precision; noise is normal with 5 % of the deviation of the inputs, on the test inputs only.
"""

import dataclasses
import json
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax.flatten_util import ravel_pytree

from pdejax import GridField
from pdejax.data import read
from pdejax.nn import diagnose
from pdejax.objectives import relative_l2
from pdejax.solvers import FGMRES, Anderson, ImplicitAdjoint, UnrolledAdjoint
from pdejax.training import load_model

RUNS, HERE, SEEDS, NAMES = Path("runs/fno_deq"), Path(__file__).parent, (0, 1, 2), ("explicit", "equilibrium")
TEST = read(RUNS / "test.h5", "permeability", "pressure")
INPUTS, TARGETS = (jnp.asarray(x, jnp.float32) for x in (TEST.inputs, TEST.targets))
ROUGH = INPUTS + 0.05 * jnp.std(INPUTS) * jax.random.normal(jax.random.key(0), INPUTS.shape)
EXACT = {"solver": Anderson(5e-5, window=10), "max_steps": 300}


def trained(name, seed, **layer):
    """The model of a run, with changes of its implicit layer."""
    model = load_model(RUNS / name / f"seed={seed}" / "model.eqx")
    where = lambda m: m.model.layer
    return eqx.tree_at(where, model, dataclasses.replace(where(model), **layer)) if layer else model


@eqx.filter_jit
def losses(model, inputs, targets):
    one = lambda pair: relative_l2(model(GridField(pair[0], TEST.grid)), GridField(pair[1], TEST.grid))
    return jax.lax.map(one, (inputs, targets), batch_size=16)


@eqx.filter_jit
def gradient(model, inputs, targets):
    return ravel_pytree(eqx.filter_grad(lambda m: jnp.mean(losses(m, inputs, targets)))(model))[0]


@eqx.filter_jit
def equilibrium(model, inputs):
    """Residual and iterations of every sample, and the spectral radius at those of the first ones."""
    lift = jax.vmap(lambda a: model.model.around.lift(model.inputs(GridField(a, TEST.grid))))
    ends = jax.lax.map(lambda a: model.model.solve(model.inputs(GridField(a, TEST.grid)))[1], inputs, batch_size=16)
    radius = lambda w: diagnose(model.model.bounded, w, 0 * w, key=jax.random.key(1)).spectral_radius
    return ends.error, ends.stats["num_steps"], jax.vmap(radius)(lift(inputs[:8]))


def errors():
    found = {name: [] for name in NAMES}
    for name, layer in zip(NAMES, ({}, EXACT), strict=True):
        for seed in SEEDS:
            model = trained(name, seed, **layer)
            found[name].append([losses(model, a, TARGETS).tolist() for a in (INPUTS, ROUGH)])
            print(name, seed, "error, with noise:", np.mean(found[name][-1], axis=1), flush=True)
    (RUNS / "errors.json").write_text(json.dumps(found))


def equilibria():
    for seed in SEEDS:
        residual, steps, radius = equilibrium(trained(NAMES[1], seed, **EXACT), INPUTS)
        print(
            seed,
            f"residual at most {residual.max():.2g}, iterations {steps.mean():.1f}, at most {steps.max()},",
            end="",
        )
        print(f" spectral radius {radius.mean():.2f}, at most {radius.max():.2f}", flush=True)


def gradients():
    tight = {"solver": Anderson(1e-5, window=10), "max_steps": 300}
    for seed in SEEDS:
        adjoints = ImplicitAdjoint(linear=FGMRES(1e-5, max_steps=600)), UnrolledAdjoint()
        g, h = (gradient(trained(NAMES[1], seed, **tight, adjoint=a), INPUTS[:2], TARGETS[:2]) for a in adjoints)
        print(seed, f"cosine {g @ h / jnp.linalg.norm(g) / jnp.linalg.norm(h):.6f}", flush=True)


def memory():
    for seed in SEEDS[:1]:
        for adjoint in (ImplicitAdjoint(), UnrolledAdjoint()):
            for steps in (8, 32):
                model = trained(NAMES[1], seed, adjoint=adjoint, max_steps=steps)
                size = gradient.lower(model, INPUTS[:16], TARGETS[:16]).compile().memory_analysis().temp_size_in_bytes
                print(type(adjoint).__name__, steps, "iterations:", size / 1e6, "MB", flush=True)
