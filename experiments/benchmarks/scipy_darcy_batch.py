"""A batch of Darcy systems under `vmap` against SciPy's sparse direct solver in a loop.

    python experiments/benchmarks/scipy_darcy_batch.py [--batch 64] [--nodes 241] [--cores N] [--rounds 3]

-div(a grad u) = 1, a in {3, 12}, zero boundary values, float64. SciPy factorises each system (SuperLU, COLAMD and the
faster MMD_AT_PLUS_A); assembly is not timed. `residual` is the largest relative 2-norm of the batch, `error` the
largest distance to SciPy's solution. The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, batch=64, nodes=241, rounds=3, rtol=1e-8)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
from media import flux_matrix, permeability  # noqa: E402
from scipy.sparse.linalg import splu  # noqa: E402

import pdejax as pj  # noqa: E402

jax.config.update("jax_enable_x64", True)


def main() -> None:
    n, held = chosen.nodes, pj.Dirichlet(0.0)
    grid = pj.Grid(x=pj.Uniform(n, lower=held, upper=held), y=pj.Uniform(n, lower=held, upper=held))
    media = np.stack([permeability("threshold", n, seed=i) for i in range(chosen.batch)])
    matrices = [flux_matrix(a).tocsc() for a in media]
    b = np.full((n - 2) ** 2, 1 / (n - 1) ** 2)
    method = pj.solvers.ConjugateGradient(rtol=chosen.rtol)

    @jax.jit
    def solve(values):
        problem = pj.SteadyProblem(pj.equations.Darcy(pj.GridField(values, grid), 1.0), grid)
        return pj.solve(problem, method).value.values

    together, fields = jax.jit(jax.vmap(solve)), jnp.asarray(media)[:, None]

    def direct(ordering, **settings):
        return np.stack([splu(m, permc_spec=ordering, **settings).solve(b) for m in matrices])

    sides = {
        "pdejax": lambda: jax.block_until_ready(together(fields)),
        "scipy_colamd": lambda: direct("COLAMD"),
        "scipy_mmd": lambda: direct("MMD_AT_PLUS_A", options={"SymmetricMode": True}),
    }
    line = race(sides, chosen)
    ours, exact = np.asarray(together(fields))[:, 0, 1:-1, 1:-1].reshape(chosen.batch, -1), direct("COLAMD")
    norm = np.linalg.norm
    emit(
        f"scipy_darcy_batch_{chosen.batch}_{n}_{chosen.cores}core",
        (jax, scipy, pj),
        residual=rounded(max(norm(m @ u - b) / norm(b) for m, u in zip(matrices, ours, strict=True)), 3),
        error=rounded(max(norm(u - v) / norm(v) for u, v in zip(ours, exact, strict=True)), 3),
        **line,
    )


if __name__ == "__main__":
    main()
