"""A GRU over 10^4 inputs in parallel over time, float32: sweeps, deviation from the sequential scan, CPU seconds.

    python experiments/parallel_time/measure.py

Deviations are the largest over all steps; seconds are CPU seconds of one call, the least of five.
"""

import json
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from pdejax.solvers.time.parallel import DEER, GaussSeidel, Jacobi, MultipleShooting, QuasiDEER, evaluate

T, SEEDS = 10_000, (0, 1, 2)


class Step(eqx.Module):
    cell: eqx.nn.GRUCell

    def __call__(self, h, x):
        return self.cell(x, h)


def network(n, seed):
    inputs = jax.random.normal(jax.random.key(seed + 100), (T, 2))
    return Step(eqx.nn.GRUCell(2, n, key=jax.random.key(seed))), jnp.zeros(n), inputs


@eqx.filter_jit
def scan(step, h0, xs):
    return jax.lax.scan(lambda h, x: (step(h, x),) * 2, h0, xs)[1]


def seconds(run):
    jax.block_until_ready(run())
    times = [time.process_time()]
    for _ in range(5):
        jax.block_until_ready(run())
        times.append(time.process_time())
    return min(np.diff(times))


def measured(n, seed, method):
    given = network(n, seed)
    run = lambda: evaluate(*given, method, max_steps=T)
    found, wanted = run(), scan(*given)
    row = {"n": n, "method": str(method), "seed": seed, "sweeps": int(found.stats["num_steps"])}
    row |= {"deviation": float(jnp.max(jnp.abs(found.value - wanted))), "residual": float(found.error)}
    row |= {"seconds": seconds(lambda: run().value), "scan_seconds": seconds(lambda: scan(*given))}
    print(json.dumps(row), flush=True)


def picture():
    given = network(2, 0)
    wanted, rest = scan(*given), jnp.zeros((T, 2))
    for method in (Jacobi(), QuasiDEER(rtol=0.0), DEER(0.0)):
        trajectories = [rest]
        for _ in range(40):
            trajectories.append(evaluate(*given, method, guess=trajectories[-1], max_steps=1, throw=False).value)
        errors = [float(jnp.max(jnp.abs(h - wanted))) for h in trajectories]
        plt.semilogy(errors, "o-", markersize=3, label=type(method).__name__)
    plt.gca().set(xlabel="sweeps", ylabel="largest deviation from the scan", title="GRU, n = 2, T = 10⁴, float32")
    plt.legend()
    plt.savefig("experiments/parallel_time/sweeps.png", dpi=100)


for method in (Jacobi(), Jacobi(1e-6), QuasiDEER(), DEER(), GaussSeidel(1000), MultipleShooting(10)):
    for seed in SEEDS:
        measured(2, seed, method)
measured(8, 0, DEER())
picture()
