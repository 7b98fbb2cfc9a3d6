"""Gradients of the matrix square root, by `python experiments/matrix_square_root/measure.py`.

Symmetric matrices of random eigenvectors and eigenvalues spread evenly in the logarithm, three seeds each. The gradient
of `sum(G * sqrt(A))` by the sign iteration against SciPy's Sylvester solver (Schur forms), and the roots themselves
against SciPy's eigenvalues. The figures are the largest relative errors in the Frobenius norm.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import scipy.linalg

from pdejax.solvers.linear import eigen_root, pade_root, sqrtm_psd

jax.config.update("jax_enable_x64", True)
SIZES, CONDITIONS, SEEDS = (32, 128), (1e1, 1e2, 1e3, 1e4, 1e6, 1e8), (0, 1, 2)


def problem(size, condition, seed):
    """A matrix, its root, and a direction."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(size, size)))
    values = np.geomspace(1, condition, size)
    return (q * values) @ q.T, (q * np.sqrt(values)) @ q.T, rng.normal(size=(size, size))


def fixed(s, g, steps):
    """The paper's backward pass, with a number of steps chosen beforehand."""
    norm, three = np.linalg.norm(s), 3 * np.eye(len(s))
    b, c = s / norm, g / norm
    for _ in range(steps):
        square = b @ b
        b, c = b @ (three - square) / 2, (c @ (three - square) - square @ c + b @ c @ b) / 2
    return c / 2


def relative(x, truth):
    return float(np.linalg.norm(x - truth) / np.linalg.norm(truth))


if __name__ == "__main__":
    gradient = jax.jit(jax.grad(lambda a, g: jnp.sum(g * sqrtm_psd(a))))
    pade = jax.jit(pade_root)
    errors = {}
    for size in SIZES:
        for condition in CONDITIONS:
            rows = []
            for seed in SEEDS:
                a, root, g = problem(size, condition, seed)
                exact = scipy.linalg.solve_sylvester(root, root, g)
                steps = [relative(fixed(root, g, k), exact) for k in (8, 12, 16)]
                eigen = relative(np.asarray(eigen_root(a)), root)
                rows.append([relative(gradient(a, g), exact), *steps, eigen, relative(np.asarray(pade(a)), root)])
            errors[size, condition] = worst = np.max(rows, axis=0)
            print(f"n={size:3} cond={condition:.0e} adaptive {worst[0]:.1e}", end=", fixed 8, 12, 16 steps ")
            print(*(f"{x:.1e}" for x in worst[1:4]), f"root: eigenvalues {worst[4]:.1e}, Pade {worst[5]:.1e}")
    figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    for i, name in enumerate(("adaptive stop", "8 steps", "12 steps", "16 steps")):
        axis.loglog(CONDITIONS, [errors[128, c][i] for c in CONDITIONS], marker="o", ms=3, label=name)
    axis.axhline(1e-8, color="k", lw=0.5)
    axis.set(xlabel="condition number, n = 128", ylabel="relative error of the gradient")
    axis.legend(fontsize=8)
    figure.savefig(Path(__file__).parent / "gradient.png", dpi=110)
