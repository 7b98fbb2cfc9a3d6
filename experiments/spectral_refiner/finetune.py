"""Fine-tune the output layer of a trained operator on four unseen flows, without labels, by two residuals.

python experiments/spectral_refiner/finetune.py runs/spectral_refiner/trained/model.eqx runs/spectral_refiner/fine.h5
"""

import json
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import pdejax as pj
from pdejax.objectives import FrameMean, FrameResidual, MarchedResidual, SobolevSquare, relative_l2

jax.config.update("jax_enable_x64", True)
STEPS, FRAMES, PER_FRAME = 50, 10, 4
truth = pj.data.read_well(sys.argv[2]).between(1, 20).windows(10, FRAMES)
grid, (nx, ny) = truth.grid, truth.grid.shape
model = pj.training.load_model(sys.argv[1]).with_output_modes((nx // 2 - 1, ny // 2 - 1, 6))
model = jax.tree.map(lambda leaf: leaf.astype(np.float64) if eqx.is_inexact_array(leaf) else leaf, model)

force = lambda x, y: 0.1 * (jnp.sin(2 * jnp.pi * (x + y)) + jnp.cos(2 * jnp.pi * (x + y)))
equation = pj.equations.NavierStokesVorticity(1e-3, forcing=pj.GridField.from_function(force, grid))
dual = SobolevSquare(-1.0, 10**-1.5)
marched = MarchedResidual(equation, pj.solvers.ARS222(dt=1e-6), dual)
followed = FrameResidual(equation, 1 / PER_FRAME, dual)
# As published, where the coefficients of the source are sums over 256 x 256 nodes and 80 times, and not means.
rates = {"source": optax.adam(0.2 / (256 * 256 * 80)), "last": optax.adam(1e-4)}
optimizer = optax.partition(rates, ("source", "last"))


def frames(tuned, series, a, count):
    whole = eqx.tree_at(lambda m: (m.source, m.last), model, tuned)
    return pj.GridField(whole.output(series, a, grid, count), grid)


def residuals(tuned, series, a):
    u = frames(tuned, series, a, PER_FRAME * FRAMES).values
    after_one_another = followed(pj.GridField(u[1:], grid), pj.GridField(u[:1], grid))
    return jnp.sqrt(marched(frames(tuned, series, a, FRAMES))), jnp.sqrt(after_one_another)


def tune(which, a, u):
    series, start = model.series(a, grid), (model.source, model.last)
    first = residuals(start, series, a)[which]
    measures = lambda tuned: (*residuals(tuned, series, a), FrameMean(relative_l2)(frames(tuned, series, a, FRAMES), u))

    def step(carry, _):
        tuned, state = carry
        # Relative to the start: Adam does not see gradients far below 1e-8.
        gradient = jax.grad(lambda tuned: residuals(tuned, series, a)[which] / first)(tuned)
        updates, state = optimizer.update(gradient, state)
        tuned = optax.apply_updates(tuned, updates)
        return (tuned, state), measures(tuned)

    _, rows = jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS)
    return jax.tree.map(lambda start, row: jnp.concatenate([start[None], row]), measures(start), rows)


figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.0))
names = ("residual by a marching step", "residual of the frames", "relative L2 error")
for k, label in enumerate(("a marching step", "the frames")):
    run = eqx.filter_jit(lambda a, u, k=k: tune(k, a, pj.GridField(u, grid)))
    rows = [run(jnp.asarray(a), jnp.asarray(u)) for a, u in zip(truth.inputs, truth.targets, strict=True)]
    for axis, name, values in zip(axes, names, map(np.asarray, zip(*rows, strict=True)), strict=True):
        print(json.dumps({"tuned by": label, "of": name, "start, end": values[:, [0, -1]].tolist()}))
        axis.semilogy(values.T, f"C{k}", lw=1, label=[f"tuned by {label}", "_", "_", "_"])
        axis.set(xlabel="step", title=name)
exact = [float(jnp.sqrt(marched(pj.GridField(jnp.asarray(u), grid)))) for u in truth.targets]
print(json.dumps({"residual by a marching step of the reference": exact}))
axes[0].axhline(np.mean(exact), color="k", ls=":", label="of the reference")
axes[0].legend(fontsize=7)
figure.tight_layout()
figure.savefig(Path(__file__).parent / "tuning.png", dpi=110)
