"""Polynomial preconditioning of gradient descent, by `python experiments/polynomial_preconditioning/measure.py`.

Quadratic energies with 300 unknowns, eigenvalues 1e4 and 3e3 apart from 298 spread evenly over [1, 100], random
eigenvectors and right-hand sides (seeds 0, 1, 2); products with the matrix until the residual has fallen by 1e-8.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import lineax as lx
import matplotlib.pyplot as plt
import numpy as np

from pdejax.solvers.linear import PCG
from pdejax.solvers.linear._polynomial import AdaptivePolynomial, symmetric_polynomial

jax.config.update("jax_enable_x64", True)
PSD, DEGREES, MOST = lx.positive_semidefinite_tag, (0, 1, 2, 3), 1_000_000
EIGENVALUES = np.concatenate([[1e4, 3e3], np.linspace(1, 100, 298)])
TRACES = tuple(float(np.sum(EIGENVALUES**k)) for k in (1, 2, 3))


def system(seed):
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((300, 300)))[0]
    return jnp.asarray((q * EIGENVALUES) @ q.T), jnp.asarray(rng.standard_normal(300))


def solve(solver, matrix, b, traces=None):
    operator = lx.MatrixLinearOperator(matrix, PSD)
    options = {"preconditioner": symmetric_polynomial(operator, traces)} if traces else {}
    out = lx.linear_solve(operator, b, solver, options=options, throw=False)
    met = jnp.linalg.norm(b - matrix @ out.value) <= 2e-8 * jnp.linalg.norm(b)
    return out.stats["num_steps"], met, out.stats.get("residual_history")


if __name__ == "__main__":
    arms = {f"adaptive, degree {d}": (AdaptivePolynomial(1e-8, 0.0, MOST, d, 3000), None, d + 1) for d in DEGREES}
    arms |= {
        f"fixed, degree {d}": (AdaptivePolynomial(1e-8, 0.0, MOST, 0, 3000), TRACES[:d], d + 1) for d in DEGREES[1:]
    }
    arms["conjugate gradients"] = (PCG(1e-8, history=3000), None, 1)
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    base = None
    for name, (solver, traces, cost) in arms.items():
        run = jax.jit(lambda a, b, solver=solver, traces=traces: solve(solver, a, b, traces))
        found = [run(*system(seed)) for seed in (0, 1, 2)]
        counts = [cost * int(steps) for steps, _, _ in found]
        base = base or counts
        ratio = np.mean(np.divide(counts, base))
        print(f"{name:22} products {counts}, over gradient descent {ratio:.4f}, met {[bool(m) for _, m, _ in found]}")
        history = np.asarray(found[0][2])
        line = "--" if name.startswith("fixed") else "-"
        axes.loglog(cost * np.arange(1, len(history)), history[1:], line, label=name)
    axes.set(xlabel="products with the matrix", ylabel="relative residual")
    axes.legend(fontsize=7)
    figure.savefig(Path(__file__).parent / "products.png", dpi=110)
