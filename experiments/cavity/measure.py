"""The lid-driven cavity, by `OPENBLAS_NUM_THREADS=1 python experiments/cavity/measure.py`: tables, times, a picture.

Seconds of CPU, without compilation except in `first`. The peer starts from its solution at the Reynolds number before.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from peer import sparse_newton

import pdejax as pj
from pdejax.equations import SteadyNavierStokes
from pdejax.solvers._flow_preconditioner import LineElimination
from pdejax.solvers.linear._fgmres import FGMRES
from pdejax.solvers.nonlinear._newton_krylov import NewtonKrylov

jax.config.update("jax_enable_x64", True)
HERE, DATA = Path(__file__).parent, Path(__file__).parents[3] / "shared" / "data"
METHOD = NewtonKrylov(FGMRES(rtol=1e-2, max_steps=60), LineElimination(), rtol=1e-9)


def timed(run, *args):
    start = time.process_time()
    return jax.block_until_ready(run(*args)), time.process_time() - start


def misses(flow, table, reynolds):
    """Largest distance to the tables of u and v, without the entry of v at 0.9063 that is known to be wrong."""
    for i, name in enumerate("uv"):
        along = np.array(table["yx"[i]])
        points = np.full((len(along), 2), 0.5)
        points[:, 1 - i] = along
        wrong = (name == "v") & (reynolds == 400) & (along == 0.9063)
        yield np.abs(flow.at_points(points)[:, i] - np.array(table[f"{name}_Re{reynolds}"]))[~wrong].max()


def draw(panel, psi, reynolds):
    levels = [*np.linspace(float(psi.min()), 0, 12)[:-1], -1e-4, 1e-5, 1e-4, 5e-4, 1e-3]
    nodes = np.linspace(0, 1, len(psi))
    panel.contour(nodes, nodes, psi.T, sorted(levels), colors="k", linewidths=0.7, linestyles="-")
    panel.set(title=f"Re {reynolds}", aspect="equal", xticks=[0, 1], yticks=[0, 1])


if __name__ == "__main__":
    table = json.loads((DATA / "facts" / "published_numbers.json").read_text())["lid_driven_cavity"]
    data = np.load(DATA / "ns2d" / "cavity_parabolic_lid_a2.npz")["xyuvp"]
    lid = pj.FunctionField.from_function(lambda x: 2 * x * (1 - x), ("x",))
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
    for n in (32, 64, 128):
        axis = pj.Uniform(n, lower=pj.Dirichlet(), upper=pj.Dirichlet(), centred=True)
        grid, start = pj.Grid(x=axis, y=axis), jnp.zeros((3, n, n))
        for panel, reynolds in zip(panels, (100, 400, 1000), strict=True):
            equation = SteadyNavierStokes(1 / reynolds, walls={"y": (None, (1.0, 0.0))})
            problem = pj.SteadyProblem(equation, grid, channels=3)
            solution, first = timed(pj.solve, problem, METHOD)
            solution, seconds = timed(pj.solve, problem, METHOD)
            u, flow, stats = solution.value, equation.flow(solution.value), solution.stats
            left = max(np.linalg.norm(equation.residual(u).values), 1e-9)
            sparse_newton(equation, grid, start, 0.0, 1)  # compiles
            (start, steps), other = timed(sparse_newton, equation, grid, start, left)
            psi = np.asarray(flow.stream_function().values[0])
            print(
                f"{n:4} Re {reynolds:5} Newton {stats['num_steps']} Krylov {stats['linear_steps']} {left:.1e}", end=" "
            )
            print(f"div {np.abs(flow.divergence()).max():.1e} psi {psi.min():.6f}", end=" ")
            print(f"first {first:.1f} s, then {seconds:.2f} s, peer {other:.2f} s in {steps} steps,", end=" ")
            print(f"gap {np.abs(start - u.values).max():.1e}", end=" ")
            print(*(f"{m:.4f}" for m in (misses(flow, table, reynolds) if reynolds < 1000 else ())), flush=True)
            if n == 128:
                draw(panel, psi, reynolds)
        equation = SteadyNavierStokes(0.01, walls={"y": (None, (lid, 0.0))})
        u = pj.solve(pj.SteadyProblem(equation, grid, channels=3), METHOD).value
        found = equation.flow(u).at_points(data[:, :2])
        print(f"{n:4} parabolic {np.linalg.norm(found - data[:, 2:4]) / np.linalg.norm(data[:, 2:4]):.2e}", flush=True)
    figure.savefig(HERE / "streamlines.png", dpi=100)
