"""Time of a training step against the number of points, by `python experiments/galerkin/cost.py ATTENTION ..`."""

import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import pdejax as pj
from pdejax import nn
from pdejax.objectives import relative_l2
from pdejax.operators import GalerkinTransformer

POINTS, BATCH, REPEATS = (512, 1024, 2048, 4096), 2, 12
KINDS = {"galerkin": nn.GalerkinAttention, "fourier": nn.FourierAttention}
KINDS |= {"linear": nn.LinearAttention, "softmax": nn.SoftmaxAttention}


@eqx.filter_jit
def gradient(model, u, grid):
    field = lambda v: pj.GridField(v, grid)
    mean = lambda model: jnp.mean(jax.vmap(lambda v: relative_l2(model(field(v)), field(v[:, ::-1])))(u))
    return eqx.filter_grad(mean)(model)


def seconds(attention, points):
    """The least of several times of the gradient over a batch: others use the machine too."""
    model = GalerkinTransformer(1, 1, 16, 48, 2, 1, attention=attention, key=jax.random.key(0))
    u, grid = jax.random.normal(jax.random.key(1), (BATCH, 1, points)), pj.Grid(x=pj.Fourier(points, length=1.0))
    found = []
    for _ in range(1 + REPEATS):
        began = time.process_time()
        jax.block_until_ready(gradient(model, u, grid))
        found.append(time.process_time() - began)
    return min(found[1:])


if __name__ == "__main__":
    figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name in sys.argv[1:] or KINDS:
        times = [seconds(KINDS[name](), points) for points in POINTS]
        slope = np.polyfit(np.log(POINTS), np.log(times), 1)[0]
        print(f"{name}: slope {slope:.3f}, ms per step {np.round(1e3 * np.array(times), 1).tolist()}", flush=True)
        axis.loglog(POINTS, times, "o-", label=f"{name}, slope {slope:.2f}")
    axis.set(xlabel="points", ylabel="seconds of a training step", xticks=POINTS, xticklabels=POINTS)
    axis.minorticks_off()
    axis.legend()
    figure.savefig(Path(__file__).parent / "cost.png", dpi=80)
