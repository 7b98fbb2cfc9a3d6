"""-div(a grad u) = f with zero boundary values: pdejax against pyamg, set-up and solve, to a relative residual of 1e-8.

    python experiments/benchmarks/pyamg_elliptic.py [--field threshold|contrast|lognormal|constant] [--nodes 421]
        [--ndim 2] [--cores N] [--rounds 7] [--sizes 105,211,421,841]

`multigrid` is `pj.solve(problem, MultigridCG(rtol))` as a user writes it, the equation built anew in each round: it
reads the stencil, builds the hierarchy, solves and measures the residual. `transform` is conjugate gradients with the
inverse Laplacian by fast transforms. pyamg sets up Ruge-Stueben (`rs`; not in space) and smoothed aggregation (`sa`)
hierarchies and solves with CG. All sides get the same matrix and right-hand side in float64; `residual` is the relative
2-norm, `error` the distance to the known solution. Iterations of `multigrid` are also counted on other `--sizes`. The
last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, field="threshold", nodes=421, ndim=2, sizes="", rounds=7, rtol=1e-9)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pyamg  # noqa: E402
from media import flux_matrix, permeability, smooth_and_rough  # noqa: E402

import pdejax as pj  # noqa: E402

jax.config.update("jax_enable_x64", True)


def problem_of(a: np.ndarray, b: np.ndarray):
    """`a` and the right-hand side on the nodes, as functions that build the problem and take its solution apart."""
    held, ndim, n = pj.Dirichlet(0.0), a.ndim, a.shape[0]
    grid = pj.Grid(**{name: pj.Uniform(n, lower=held, upper=held) for name in "xyz"[:ndim]})
    permeable = jnp.asarray(a)[None]
    source = jnp.pad(jnp.asarray(b.reshape((n - 2,) * ndim)), 1)[None] * float(n - 1) ** 2

    def solve(method):
        equation = pj.equations.Darcy(pj.GridField(permeable, grid), pj.GridField(source, grid))
        solution = pj.solve(pj.SteadyProblem(equation, grid), method, throw=False)
        return jax.block_until_ready(solution)

    return solve


def case(n: int):
    a = permeability(chosen.field, n, chosen.ndim)
    matrix, known = flux_matrix(a), smooth_and_rough((n - 2,) * chosen.ndim)
    return a, matrix, known, matrix @ known.ravel()


def main() -> None:
    a, matrix, known, b = case(chosen.nodes)
    solve = problem_of(a, b)
    methods = {
        "multigrid": pj.solvers.MultigridCG(rtol=chosen.rtol),
        "transform": pj.solvers.ConjugateGradient(rtol=chosen.rtol),
    }
    if chosen.field in ("contrast", "lognormal"):
        methods.pop("transform")  # Hundreds of iterations: its constant is the contrast.
    iterations = {}

    def amg(kind):
        residuals: list[float] = []
        make = {"rs": pyamg.ruge_stuben_solver, "sa": pyamg.smoothed_aggregation_solver}[kind]
        u = make(matrix).solve(b, tol=1e-8, accel="cg", residuals=residuals)
        iterations[kind] = len(residuals) - 1
        return u

    sides = {name: (lambda m=m: solve(m)) for name, m in methods.items()}
    sides |= {kind: (lambda kind=kind: amg(kind)) for kind in (("rs", "sa") if chosen.ndim == 2 else ("sa",))}
    line = race(sides, chosen)
    residual, error = {}, {}
    for name, side in sides.items():
        u = side()
        if name in methods:
            iterations[name] = int(u.stats["num_steps"])
            u = np.asarray(u.value.values[0])[(slice(1, -1),) * chosen.ndim].ravel()
        residual[name] = rounded(np.linalg.norm(b - matrix @ u) / np.linalg.norm(b), 3)
        error[name] = rounded(np.linalg.norm(u - known.ravel()) / np.linalg.norm(known), 3)
    on_sizes = {}
    for n in map(int, filter(None, chosen.sizes.split(","))):
        a, _, _, b = case(n)
        on_sizes[n] = int(problem_of(a, b)(methods["multigrid"]).stats["num_steps"])
    emit(
        f"pyamg_{chosen.field}_{chosen.nodes}_{chosen.ndim}_{chosen.cores}core",
        (jax, pyamg, pj),
        field=chosen.field,
        unknowns=matrix.shape[0],
        iterations=iterations,
        iterations_on_sizes=on_sizes,
        residual=residual,
        error=error,
        **line,
    )


if __name__ == "__main__":
    main()
