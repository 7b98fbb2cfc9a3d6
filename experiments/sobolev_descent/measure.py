"""Steps of Sobolev descent, plain descent and Newton-CG, by `python experiments/sobolev_descent/measure.py`: 2 minutes.

`-div(k grad u) + u^3 = f` with k in [1, 4], f = 10, on the unit square with zero ends, from zero. Steps are counted
until the residual in the H^-1 norm has fallen by the factor named; steps are 0.4, or secant steps.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import pdejax as pj
from pdejax.calculus import grad, integrate
from pdejax.solvers import NewtonKrylov, SobolevDescent
from pdejax.solvers._steady import unknowns

jax.config.update("jax_enable_x64", True)
E, SIZES = pj.equations, (15, 31, 63, 127)
MEDIUM = pj.FunctionField.from_function(
    lambda x, y: 2.5 + 1.5 * jnp.sin(2 * jnp.pi * x) * jnp.sin(2 * jnp.pi * y), ("x", "y")
)


class Medium(E.AbstractVariational):
    def energy(self, u):
        slope = grad(u)
        return integrate(0.5 * MEDIUM * (slope[0] ** 2 + slope[1] ** 2) + 0.25 * u**4 - 10.0 * u)


def problem(equation, n):
    axis = pj.Uniform(n + 2, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0))
    return pj.SteadyProblem(equation, pj.Grid(x=axis, y=axis))


def steps(history, factor):
    return int(np.argmax(np.asarray(history) <= factor))


def plain(n, factor):
    """Descent in L2 with the step 1 / 16 h^2 = 2 / largest eigenvalue of -div(k grad), k <= 4."""
    system = unknowns(problem(Medium(), n))
    dual = lambda w: jnp.sum(system.residual(w) * system.preconditioner().mv(system.residual(w)))
    goal = factor**2 * dual(system.guess())
    body = lambda c: (c[0] - system.residual(c[0]) / (16 * (n + 1) ** 2), c[1] + 1)
    unfinished = lambda c: dual(c[0]) > goal
    return int(jax.jit(lambda w: jax.lax.while_loop(unfinished, body, (w, 0))[1])(system.guess()))


if __name__ == "__main__":
    counts = {name: [] for name in ("sobolev 1e-8", "sobolev 1e-4", "secant 1e-8", "plain 1e-4", "newton", "cg steps")}
    for n in SIZES:
        fixed = pj.solve(problem(Medium(), n), SobolevDescent(step=0.4)).stats["residual_history"]
        secant = pj.solve(problem(Medium(), n), SobolevDescent()).stats["num_steps"]
        newton = pj.solve(problem(Medium(), n), NewtonKrylov()).stats
        new = (steps(fixed, 1e-8), steps(fixed, 1e-4), int(secant), plain(n, 1e-4) if n < 127 else None)
        for row, count in zip(counts.values(), (*new, int(newton["num_steps"]), int(newton["linear_steps"]))):
            row.append(count)
    for name, row in counts.items():
        print(f"{name:14}", *row)
    for p in (1.5, 2.0, 3.0, 4.0, 8.0):
        row = [pj.solve(problem(E.PLaplace(p, 0.1), n), SobolevDescent()) for n in SIZES]
        print(f"p-Laplace {p}:", *(int(s.stats["num_steps"]) for s in row), all(bool(s.ok) for s in row))
    cubic = [
        pj.solve(problem(E.SemilinearPoisson(f, 1.0), n), SobolevDescent()) for f in (1.0, 1e2, 1e4) for n in SIZES
    ]
    print("-lap u + u^3 = f, f = 1, 100, 10000:", *(int(s.stats["num_steps"]) for s in cubic), all(s.ok for s in cubic))

    figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name in ("plain 1e-4", "sobolev 1e-4", "sobolev 1e-8", "secant 1e-8", "newton"):
        sizes = [n for n, count in zip(SIZES, counts[name]) if count]
        axis.loglog(sizes, [count for count in counts[name] if count], marker="o", ms=4, label=name)
    axis.set(xlabel="unknowns on a side", ylabel="steps")
    axis.legend(fontsize=8)
    figure.savefig(Path(__file__).parent / "steps.png", dpi=110)
