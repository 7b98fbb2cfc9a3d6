"""Value and gradient of a Darcy solve with respect to the permeability, against the solve alone.

    python experiments/benchmarks/adjoint_cost.py [--nodes 421] [--method multigrid|transform] [--cores N]

The functional is the integral of the pressure; its gradient needs one more solve with the same operator. `ratio` is
the time of both over that of the forward solve; `slope` the order of the Taylor remainder (2 for an exact gradient),
taken at 65 nodes. The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, nodes=421, method="multigrid", rounds=9, rtol=1e-8)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from media import permeability  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.verify import taylor_test  # noqa: E402

jax.config.update("jax_enable_x64", True)


def functional(n: int, rtol: float):
    held = pj.Dirichlet(0.0)
    grid = pj.Grid(x=pj.Uniform(n, lower=held, upper=held), y=pj.Uniform(n, lower=held, upper=held))
    kinds = {"multigrid": pj.solvers.MultigridCG, "transform": pj.solvers.ConjugateGradient}
    method = kinds[chosen.method](rtol=rtol)

    def mean(values):
        problem = pj.SteadyProblem(pj.equations.Darcy(pj.GridField(values, grid), 1.0), grid)
        return jnp.sum(pj.calculus.integrate(pj.solve(problem, method).value))

    return mean, jnp.asarray(permeability("threshold", n))[None]


def main() -> None:
    mean, a = functional(chosen.nodes, chosen.rtol)
    forward, both = jax.jit(mean), jax.jit(jax.value_and_grad(mean))
    line = race(
        {"both": lambda: jax.block_until_ready(both(a)), "forward": lambda: jax.block_until_ready(forward(a))}, chosen
    )
    small, b = functional(65, 1e-12)
    slope = taylor_test(small, b, key=jax.random.key(0), step=2e-2)
    ratio = line["median_s"]["both"] / line["median_s"]["forward"]
    emit(
        f"adjoint_cost_{chosen.method}_{chosen.nodes}_{chosen.cores}core",
        (jax, pj),
        ratio=rounded(ratio, 3),
        slope=rounded(slope, 4),
        **line,
    )


if __name__ == "__main__":
    main()
