"""Generating 85 x 85 Darcy data: pdejax in batches against scipy's sparse direct solver, one sample after the other.

    python experiments/benchmarks/darcy_data.py [--nodes 85] [--samples 256] [--rounds 5] [--cores N]

Both sides solve the five-point flux form of -div(a grad u) = 1 with a in {3, 12} and zero Dirichlet values for the
same permeabilities, in float64. scipy assembles and factorises each sample, exact to rounding, with two column
orderings: COLAMD, its default, and the faster MMD_AT_PLUS_A. pdejax stops where `darcy_fno` does (RTOL below). It is
timed for the solves alone and for the whole call `darcy_fno`, which also draws the media and measures its own
discretisation error on a grid twice as fine. Rounds are interleaved in alternating order; figures are medians. By
default the process uses every core it is given (scipy's factorisation is serial) and the unit is wall seconds; with
`--cores 1` it is pinned to one core and the unit is CPU seconds, which are robust on a shared machine. About a minute;
the last line is JSON.
"""

import argparse
import gc
import json
import os
import statistics
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--nodes", type=int, default=85)
parser.add_argument("--samples", type=int, default=256)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument(
    "--cores", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
)
options = parser.parse_args()
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(options.cores)

# Thread counts and affinity must be set before the numerical libraries start.
import jax  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
import scipy.sparse as sparse  # noqa: E402
from scipy.sparse.linalg import spsolve  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.data import darcy_fno  # noqa: E402

jax.config.update("jax_enable_x64", True)
# On one pinned core with one thread, CPU seconds are wall seconds of a quiet machine and robust on a shared one.
clock = time.process_time if options.cores == 1 else time.perf_counter


def assemble(a: np.ndarray) -> sparse.csc_array:
    """Five-point matrix of -div(a grad u) on the interior nodes, scaled by the squared spacing."""
    m = a.shape[0] - 2
    x, y = (a[1:] + a[:-1])[:, 1:-1] / 2, (a[:, 1:] + a[:, :-1])[1:-1] / 2
    diagonal = (x[1:] + x[:-1] + y[:, 1:] + y[:, :-1]).ravel()
    east = np.pad(y[:, 1:-1], ((0, 0), (0, 1))).ravel()[:-1]
    north = x[1:-1].ravel()
    return sparse.diags_array([diagonal, -east, -east, -north, -north], offsets=[0, 1, -1, m, -m], format="csc")


def scipy_solver(permeabilities: np.ndarray, ordering: str):
    m = permeabilities.shape[-1] - 2
    load = np.full(m * m, 1 / (m + 1) ** 2)

    def solve_all() -> np.ndarray:
        inner = [spsolve(assemble(a), load, permc_spec=ordering).reshape(m, m) for a in permeabilities]
        return np.pad(np.stack(inner), ((0, 0), (1, 1), (1, 1)))

    return solve_all


RTOL, CHUNK = 1e-6, 16


def pdejax_solver(permeabilities: np.ndarray):
    n = permeabilities.shape[-1]
    closed = pj.Grid(x=pj.Uniform(n), y=pj.Uniform(n))
    fixed = pj.Uniform(n, lower=pj.Dirichlet(), upper=pj.Dirichlet())
    grid = pj.Grid(x=fixed, y=fixed)

    @jax.jit
    @jax.vmap
    def batch(a):
        darcy = pj.equations.Darcy(permeability=pj.GridField(a[None], closed), source=1.0)
        return pj.solve(pj.SteadyProblem(darcy, grid), pj.solvers.ConjugateGradient(rtol=RTOL)).value.values[0]

    def solve_all() -> np.ndarray:
        chunks = range(0, len(permeabilities), CHUNK)
        return np.concatenate([np.asarray(batch(permeabilities[i : i + CHUNK])) for i in chunks])

    return solve_all


def main() -> None:
    key = jax.random.key(0)

    def whole_call() -> np.ndarray:
        return darcy_fno(options.samples, options.nodes, key=key, solve_at=options.nodes).targets[:, 0]

    start = clock()
    data = darcy_fno(options.samples, options.nodes, key=key, solve_at=options.nodes)
    first = {"pdejax_darcy_fno": clock() - start}
    permeabilities = data.inputs[:, 0]
    runs = {
        "scipy_colamd": scipy_solver(permeabilities, "COLAMD"),
        "scipy_mmd": scipy_solver(permeabilities, "MMD_AT_PLUS_A"),
        "pdejax_solve": pdejax_solver(permeabilities),
        "pdejax_darcy_fno": whole_call,
    }
    answers = {}
    for name, run in runs.items():
        start = clock()
        answers[name] = run()
        first.setdefault(name, clock() - start)
    seconds = {name: [] for name in runs}
    for i in range(options.rounds):
        for name in list(runs) if i % 2 == 0 else list(runs)[::-1]:
            gc.collect()
            start = clock()
            runs[name]()
            seconds[name].append(clock() - start)

    median = {name: statistics.median(s) for name, s in seconds.items()}
    best = min(("scipy_colamd", "scipy_mmd"), key=median.get)
    reference = answers[best]
    agreement = {
        name: max(np.linalg.norm(u - v) / np.linalg.norm(v) for u, v in zip(answers[name], reference, strict=True))
        for name in runs
        if name != best
    }
    ratio = {
        f"{name} vs {peer}": statistics.median(b / o for b, o in zip(seconds[peer], seconds[name], strict=True))
        for name in ("pdejax_solve", "pdejax_darcy_fno")
        for peer in ("scipy_colamd", "scipy_mmd")
    }
    for name in runs:
        print(f"{name:18s} {1e3 * median[name] / options.samples:9.3f} ms/sample   first call {first[name]:.2f} s")
    print("speed: " + ", ".join(f"{name} {value:.1f}x" for name, value in ratio.items()))
    rounded = {k: {n: float(f"{v:.4g}") for n, v in d.items()} for k, d in (("ratio", ratio), ("agreement", agreement))}
    print(
        json.dumps(
            {
                "bench": "darcy_data",
                "nodes": options.nodes,
                "samples": options.samples,
                "rounds": options.rounds,
                "cores": options.cores,
                "unit": "cpu" if options.cores == 1 else "wall",
                "ms_per_sample": {n: float(f"{1e3 * s / options.samples:.4g}") for n, s in median.items()},
                "first_call_s": {n: float(f"{s:.4g}") for n, s in first.items()},
                "best_peer": best,
                **rounded,
                "versions": {m.__name__: m.__version__ for m in (jax, np, scipy, pj)},
            }
        )
    )


if __name__ == "__main__":
    main()
