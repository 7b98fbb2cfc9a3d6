"""Burgers data at 8192 nodes: samples per second of pdejax and of exponax.

    python experiments/benchmarks/exponax_burgers_data.py [--dtype float32|float64] [--cores N]

`u_t + u u_x = 0.1 u_xx` on the periodic unit interval to t = 1, initial states `N(0, 625 (-Laplacian + 25)^-2)` given
on 8192 nodes, eight at a time, and the solution wanted there. exponax takes 200 ETDRK4 steps on the 8192 nodes. pdejax
takes its ETDRK4 steps on the grid that `solvers.sufficient_grid` chooses from the tail of the spectrum (of the first
two samples, for half of the accuracy 1e-6) and resamples to and fro, which is timed. `exponax, our grid` is told that
grid by hand. Errors are relative L2 distances to exponax in float64 with a quarter of its step. The last line is JSON.
"""

import time

from timing import emit, options, race, rounded

chosen = options(__doc__, dtype="float64", steps=200, rounds=7)

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import pdejax as pj  # noqa: E402

jax.config.update("jax_enable_x64", True)
N, BATCH, NU, STEPS, ACCURACY = 8192, 8, 0.1, 200, 1e-6
dtype = jnp.dtype(chosen.dtype)
GRID = pj.Grid(x=pj.Fourier(N, length=1.0))
EQUATION = pj.equations.Burgers(NU)


def method(steps):
    """Our stepper; the tail of the spectrum is at rounding, so that products need no dealiasing."""
    return pj.solvers.ETDRK4(dt=1 / steps, dealias=1.0)


def ours(grid):
    """Batched rollout on another grid, from and to the given one."""

    def one(values):
        u0 = pj.GridField(values, GRID).resample(grid)
        solution = pj.solve(pj.EvolutionProblem(EQUATION, u0), method(chosen.steps), throw=False)
        return solution.value.resample(GRID).values

    return jax.jit(jax.vmap(one))


def theirs(n, steps, wanted):
    """Batched rollout of theirs on `n` nodes, its tables cast to the dtype."""

    def cast(leaf):
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)):
            return leaf
        return leaf.astype(jnp.result_type(wanted, jnp.complex64) if jnp.iscomplexobj(leaf) else wanted)

    stepper = ex.stepper.Burgers(1, 1.0, n, 1 / steps, diffusivity=NU, order=4)
    rollout = jax.tree.map(cast, ex.RepeatedStepper(stepper, steps))
    if n == N:
        return jax.jit(jax.vmap(rollout.step))
    move = ex.map_between_resolutions
    return jax.jit(jax.vmap(lambda u: move(rollout.step(move(u, n)), N)))


def main() -> None:
    field = pj.data.GaussianRandomField(2.0, 5.0, 25.0)
    keys = jax.random.split(jax.random.key(0), BATCH)
    wide = jnp.stack([field.sample(GRID, key=key).values for key in keys]).astype(jnp.float64)
    values = wide.astype(dtype)
    start = time.perf_counter()
    found = [
        pj.solvers.sufficient_grid(pj.EvolutionProblem(EQUATION, pj.GridField(v, GRID)), method(STEPS), ACCURACY / 2)
        for v in wide[:2]
    ]
    grid = max(found, key=lambda g: g.shape)
    seconds = time.perf_counter() - start
    runs = {
        "pdejax": ours(grid),
        "exponax": theirs(N, STEPS, dtype),
        "exponax, our grid": theirs(grid.shape[0], STEPS, dtype),
    }
    line = race({name: lambda run=run: jax.block_until_ready(run(values)) for name, run in runs.items()}, chosen)
    exact = np.asarray(theirs(N, 4 * STEPS, jnp.float64)(wide))
    distance = lambda u: rounded(np.linalg.norm(np.asarray(u, float) - exact) / np.linalg.norm(exact), 3)
    emit(
        f"exponax_burgers_data_{chosen.dtype}_{chosen.cores}core",
        (jax, ex, pj),
        nodes=N,
        our_nodes=grid.shape[0],
        our_steps=chosen.steps,
        seconds_to_choose=rounded(seconds, 3),
        samples_per_s={name: rounded(BATCH / taken, 3) for name, taken in line["median_s"].items()},
        relative_error={name: distance(run(values)) for name, run in runs.items()},
        **line,
    )


if __name__ == "__main__":
    main()
