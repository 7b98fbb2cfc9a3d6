"""The operators trained by configs/fno_deq/darcy.yaml, and data that no run has seen, in single precision."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp

from pdejax import GridField
from pdejax.data import read
from pdejax.objectives import relative_l2
from pdejax.solvers import Anderson
from pdejax.training import load_model

RUNS, SEEDS = Path("runs/fno_deq"), (0, 1, 2)
TEST = read(RUNS / "fresh.h5", "permeability", "pressure")
INPUTS, TARGETS = (jnp.asarray(x, jnp.float32) for x in (TEST.inputs, TEST.targets))
TIGHT = {"solver": Anderson(5e-5, window=10), "max_steps": 300}


def trained(name, seed, **layer):
    """The model of a run, with changes of its implicit layer."""
    model, where = load_model(RUNS / name / f"seed={seed}" / "model.eqx"), lambda m: m.model.layer
    return eqx.tree_at(where, model, dataclasses.replace(where(model), **layer)) if layer else model


@eqx.filter_jit
def losses(model, inputs, targets):
    """The error of each sample."""
    one = lambda pair: relative_l2(model(GridField(pair[0], TEST.grid)), GridField(pair[1], TEST.grid))
    return jax.lax.map(one, (inputs, targets), batch_size=16)
