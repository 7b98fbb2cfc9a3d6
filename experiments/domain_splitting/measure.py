"""Domain splitting by `python experiments/domain_splitting/measure.py`: guesses and corrections merged from thin grids.

`-lap u + (1, 0.5) . grad u = f` with a Gaussian source on the unit square, zero at the edges, N inner nodes per axis,
and the heat equation `u_s - u_xx / 10 = f` with time as the second axis; coarse axes have m = 7 inner nodes (and 15).
"""

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import matplotlib.pyplot as plt
import numpy as np
from systems import FLOW, SpaceTimeHeat, linear

import pdejax as pj
from pdejax.solvers.linear import FGMRES
from pdejax.solvers.multigrid._semicoarsening import semicoarsen_merge, semicoarsened

jax.config.update("jax_enable_x64", True)
ZERO, RTOL = pj.Dirichlet(0.0), 1e-8


@eqx.filter_jit
def study(equation, grid, coarse):
    """Relative errors of the merged guess and of the coarse solution; iterations of GMRES with and without."""
    right, product, inverse = linear(equation, grid)
    exact = inverse(right)
    relative = lambda u: jnp.linalg.norm((u - exact).ravel()) / jnp.linalg.norm(exact.ravel())

    solved = lambda g, b, _, invert: pj.GridField(invert(b), g)
    solve = lambda g: solved(g, *linear(equation, g))
    merged = semicoarsen_merge(solve, grid, coarse).values
    crude = solve(grid.with_shape((coarse,) * 2)).resample(grid).values
    correct = semicoarsened(lambda g: lambda r, f=linear(equation, g)[2]: pj.GridField(f(r.values), g), grid, coarse)
    basis = jnp.eye(right.size).reshape(-1, *right.shape)
    diagonal = jax.vmap(lambda e: jnp.sum(e * product(e)))(basis).reshape(right.shape)

    def smooth(z, r):
        for _ in range(2):
            z = z + 0.7 * (r - product(z)) / diagonal
        return z

    def two_level(r):
        z = smooth(jnp.zeros_like(r), r)
        return smooth(z + correct(pj.GridField(r - product(z), grid)).values, r)

    structure = jax.ShapeDtypeStruct(right.shape, right.dtype)
    operator, steer = (lx.FunctionLinearOperator(f, structure) for f in (product, two_level))
    solver = FGMRES(RTOL, restart=400, max_steps=3000, history=400)
    runs = {"plain": {}, "two-level": {"preconditioner": steer}}
    out = {name: lx.linear_solve(operator, right, solver, options=o, throw=False) for name, o in runs.items()}
    counts = {name: (s.stats["num_steps"], relative(s.value), s.stats["residual_history"]) for name, s in out.items()}
    return relative(merged), relative(crude), counts


if __name__ == "__main__":
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    held, half = pj.Uniform(65, lower=ZERO, upper=ZERO), pj.Uniform(33, lower=ZERO, upper=ZERO)
    for name, equation, grid, coarse in (
        ("flow, N=31, m=7", FLOW, pj.Grid(x=half, y=half), 9),
        ("flow, N=63, m=7", FLOW, pj.Grid(x=held, y=held), 9),
        ("flow, N=63, m=15", FLOW, pj.Grid(x=held, y=held), 17),
        ("heat, N=31, m=7", SpaceTimeHeat(), pj.Grid(x=half, y=pj.Uniform(33, lower=ZERO)), 9),
        ("heat, N=31, m=15", SpaceTimeHeat(), pj.Grid(x=half, y=pj.Uniform(33, lower=ZERO)), 17),
    ):
        begin = time.process_time()
        merged, crude, counts = study(equation, grid, coarse)
        print(f"{name:18} merged {merged:.2e}, coarse {crude:.2e}, ratio {merged / crude:.4f};", end=" ")
        print(*(f"{arm} {int(s)} its, error {e:.1e}" for arm, (s, e, _) in counts.items()), end=" ")
        print(
            f"fewer by {int(counts['plain'][0]) / int(counts['two-level'][0]):.1f}; {time.process_time() - begin:.0f} s"
        )
        for arm, (_, _, history) in counts.items():
            axes.semilogy(np.asarray(history), "--" if arm == "plain" else "-", label=f"{name}, {arm}")
    axes.set(xlabel="iterations of GMRES", ylabel="relative residual", xlim=(0, 250))
    axes.legend(fontsize=6)
    figure.savefig(Path(__file__).parent / "convergence.png", dpi=110)
