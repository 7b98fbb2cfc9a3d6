"""Burgers on 64 nodes, 500 steps of ETDRK4 in float64, in parallel over time.

    python experiments/parallel_time/burgers.py

`u0 = sin x + 0.3 cos 2x`. Deviations from the sequential steps are the largest over the nodes at ten times; seconds
are CPU seconds of one call, the least of five.
"""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np

import pdejax as pj
from pdejax.solvers.time.parallel import DEER, GaussSeidel, ParallelInTime, QuasiDEER

jax.config.update("jax_enable_x64", True)


def measured(viscosity, t1, method):
    grid = pj.Grid(x=pj.Fourier(64))
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x) + 0.3 * jnp.cos(2 * x), grid)
    problem = pj.EvolutionProblem(pj.equations.Burgers(viscosity), u0, t1=t1)
    stepper, saved = pj.solvers.ETDRK4(t1 / 500), np.linspace(0, t1, 11)
    solve = lambda method: pj.solve(problem, method, save_at=saved, throw=False)
    parallel = ParallelInTime(stepper, method)
    found, wanted = solve(parallel), solve(stepper)
    row = {"viscosity": viscosity, "t1": t1, "method": str(method), "ok": bool(found.ok)}
    row |= {"sweeps": int(found.stats["num_sweeps"]), "residual": float(found.error)}
    row["deviation"] = float(jnp.max(jnp.abs(found.value.values - wanted.value.values)))
    row |= {"seconds": seconds(lambda: solve(parallel)), "steps_seconds": seconds(lambda: solve(stepper))}
    print(json.dumps(row), flush=True)


def seconds(run):
    jax.block_until_ready(run().value.data)
    times = [time.process_time()]
    for _ in range(5):
        jax.block_until_ready(run().value.data)
        times.append(time.process_time())
    return min(np.diff(times))


for case in ((0.1, 0.5), (0.1, 1.0), (0.05, 1.0), (0.02, 0.5)):
    for method in (QuasiDEER(rtol=2e-8), GaussSeidel(125, QuasiDEER(rtol=2e-8)), DEER(2e-8)):
        measured(*case, method)
