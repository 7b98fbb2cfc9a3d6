"""Figures of the operators trained by configs/fno_deq/darcy.yaml, by `python experiments/fno_deq/measure.py`.

Noise is normal, 5 % of the deviation of the training inputs, on the test inputs only. Equilibria are solved to 2e-5 in
single precision.
"""

import dataclasses
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

RUNS, SEEDS, NOISE = Path("runs/fno_deq"), (0, 1, 2), 0.05
TEST = read(RUNS / "test.h5", "permeability", "pressure")
INPUTS, TARGETS = (jnp.asarray(x, jnp.float32) for x in (TEST.inputs, TEST.targets))
ROUGH = INPUTS + NOISE * 4.5 * jax.random.normal(jax.random.key(0), INPUTS.shape)


def with_layer(model, **changes):
    """The normalised operator whose implicit layer has another solver, adjoint or number of steps."""
    return eqx.tree_at(lambda m: m.model.layer, model, dataclasses.replace(model.model.layer, **changes))


@eqx.filter_jit
def errors(model, inputs):
    one = lambda a, u: relative_l2(model(GridField(a, TEST.grid)), GridField(u, TEST.grid))
    return jax.lax.map(lambda pair: one(*pair), (inputs, TARGETS), batch_size=32)


@eqx.filter_jit
def equilibria(model, inputs):
    """Residual and iterations of each sample, and the spectral radius at the equilibrium of the first eight."""
    lifted = lambda a: model.model.around.lift(model.inputs(GridField(a, TEST.grid)))
    layer, zero = model.model.bounded, lambda w: w.with_values(jnp.zeros_like(w.values))
    found = lambda w: layer.solve(w, zero(w))
    residual, steps = jax.lax.map(
        lambda a: (lambda s: (s.error, s.stats["num_steps"]))(found(lifted(a))), inputs, batch_size=32
    )
    radius = jax.vmap(lambda w: diagnose(layer, w, zero(w), key=jax.random.key(1)).spectral_radius)
    return residual, steps, radius(jax.vmap(lifted)(inputs[:8]))


@eqx.filter_jit
def gradient(model, inputs, targets):
    def loss(model):
        one = lambda a, u: relative_l2(model(GridField(a, TEST.grid)), GridField(u, TEST.grid))
        return jnp.mean(jax.vmap(one)(inputs, targets))

    return eqx.filter_grad(loss)(model)


def memory(model) -> int:
    """Bytes that the compiled gradient of a batch of 16 needs for its intermediates."""
    return gradient.lower(model, INPUTS[:16], TARGETS[:16]).compile().memory_analysis().temp_size_in_bytes


if __name__ == "__main__":
    found = {"explicit": [], "equilibrium": []}
    exact = ImplicitAdjoint(linear=FGMRES(1e-5, max_steps=400))
    for seed in SEEDS:
        models = {name: load_model(RUNS / name / f"seed={seed}" / "model.eqx") for name in found}
        tight = with_layer(models["equilibrium"], solver=Anderson(2e-5), max_steps=200, adjoint=exact)
        for name, model in {"explicit": models["explicit"], "equilibrium": tight}.items():
            clean, rough = errors(model, INPUTS), errors(model, ROUGH)
            found[name].append((clean, rough))
            print(f"seed {seed}, {name}: error {clean.mean():.4f}, with noise {rough.mean():.4f}", end=", ")
            size = sum(x.size for x in jax.tree.leaves(eqx.filter(model.model, eqx.is_array)))
            print(f"{size} parameters, training residual" if name == "x" else f"{size} parameters")
        residual, steps, radius = equilibria(tight, INPUTS)
        print(f"  residual {residual.max():.2g} at most, {steps.mean():.1f} iterations (at most {steps.max()}),", end=" ")
        print(f"spectral radius {radius.max():.2f} at most")
        unrolled = with_layer(tight, adjoint=UnrolledAdjoint(), max_steps=int(steps.max()) + 20, solver=Anderson(1e-6))
        g, h = (ravel_pytree(gradient(m, INPUTS[:4], TARGETS[:4]))[0] for m in (tight, unrolled))
        print(f"  cosine of implicit and unrolled gradient {g @ h / jnp.linalg.norm(g) / jnp.linalg.norm(h):.6f}")
