"""Residuals, gradients and memory of the equilibria, by `python experiments/fno_deq/equilibria.py` after the runs."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from trained import INPUTS, SEEDS, TARGETS, TEST, TIGHT, losses, trained

from pdejax import GridField
from pdejax.nn import diagnose
from pdejax.solvers import FGMRES, Anderson, ImplicitAdjoint, UnrolledAdjoint


@eqx.filter_jit
def gradient(model, inputs, targets):
    return ravel_pytree(eqx.filter_grad(lambda m: jnp.mean(losses(m, inputs, targets)))(model))[0]


@eqx.filter_jit
def diagnosis(model, inputs):
    def one(a):
        w = model.model.around.lift(model.inputs(GridField(a, TEST.grid)))
        return diagnose(model.model.bounded(w.grid), w, 0 * w, key=jax.random.key(1))

    return jax.lax.map(one, inputs, batch_size=16)


if __name__ == "__main__":
    implicit = ImplicitAdjoint(linear=FGMRES(1e-5, max_steps=600))
    for seed in SEEDS:
        print(seed, diagnosis(trained("equilibrium", seed, **TIGHT), INPUTS), flush=True)
    for seed in SEEDS:
        adjoints = ({"max_steps": 100, "adjoint": a} for a in (implicit, UnrolledAdjoint()))
        models = (trained("equilibrium", seed, solver=Anderson(1e-5), **a) for a in adjoints)
        g, h = (gradient(m, INPUTS[:2], TARGETS[:2]) for m in models)
        print(seed, "cosine of gradients", g @ h / jnp.linalg.norm(g) / jnp.linalg.norm(h), flush=True)
    for adjoint in (implicit, UnrolledAdjoint()):
        for steps in (8, 32):
            model = trained("equilibrium", 0, adjoint=adjoint, max_steps=steps)
            size = (
                gradient.lower(model, INPUTS[:16], TARGETS[:16]).compile().compiled.memory_analysis().temp_size_in_bytes
            )
            print(type(adjoint).__name__, steps, "iterations:", size / 1e6, "MB", flush=True)
