"""One linear layer learns Green's function of `-u'' = f`, by `python experiments/kernel_operators/green.py SEED ..`.

Least squares of the errors relative to each solution, by the method of Levenberg and Marquardt in double precision, at
every sixteenth node. As the layer is linear in the sources, a QR decomposition of these stands for all of them.
"""

import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax.flatten_util import ravel_pytree

from pdejax.data import poisson_kernel
from pdejax.nn import KernelIntegral, RadiusGraph

NODES, APART, WIDTH, STEPS = 257, 16, 16, 120
jax.config.update("jax_enable_x64", True)


def learnt(layer, x, y, sources, solutions, grid):
    """The flat parameters that fit `solutions = sources kappa(x, y)^T`, and `kappa` as a function of them."""
    start, rebuild = ravel_pytree(eqx.filter(layer, eqx.is_inexact_array))
    rest = eqx.filter(layer, eqx.is_inexact_array, inverse=True)

    def kappa(p, x, y):
        edge = jnp.stack([y - x, abs(y - x)])[None, None]
        graph, none = RadiusGraph(jnp.zeros((1, 1), int), jnp.ones((1, 1)), edge), jnp.zeros((0, 1))
        layer = eqx.combine(rebuild(p), rest)
        return layer.matrices(layer.kernel(graph, x[None, None], grid, none, none)).reshape(())

    pairs = lambda one: jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None))
    residual = lambda p: pairs(kappa)(p, x, y) @ sources.T - solutions.T
    cost = jax.jit(lambda p: jnp.sum(residual(p) ** 2))

    @jax.jit
    def normal(p):
        jacobian = jnp.einsum("ky,xyp->xkp", sources, pairs(jax.grad(kappa))(p, x, y)).reshape(-1, len(p))
        return jacobian.T @ jacobian, jacobian.T @ residual(p).reshape(-1)

    p, damping = start, 1e-2
    for _ in range(STEPS):
        matrix, slope = normal(p)
        while damping < 1e8:
            new = p - jnp.linalg.solve(matrix + damping * jnp.diag(jnp.diag(matrix) + 1e-12), slope)
            if cost(new) < cost(p):
                p, damping = new, damping / 5
                break
            damping *= 3
    return p, jax.jit(pairs(kappa))


if __name__ == "__main__":
    train, test = (poisson_kernel(n, NODES, key=jax.random.key(k)) for n, k in ((1000, 101), (200, 102)))
    x, weights, some = train.grid.axes[0].points, train.grid.weights(), slice(None, None, APART)
    f, u = train.inputs[:, 0] * weights, train.targets[:, 0]
    sizes = np.sqrt(u**2 @ weights * u[:, some].size)[:, None]
    q, r = np.linalg.qr(f / sizes)
    green = (np.add.outer(x, x) - abs(np.subtract.outer(x, x))) / 2 - np.outer(x, x)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for seed in map(int, sys.argv[1:]):
        began, layer = time.monotonic(), KernelIntegral(1, 0, WIDTH, 1, radius=np.inf, key=jax.random.key(seed))
        p, kernel = learnt(layer, x[some], x, r, q.T @ (u / sizes)[:, some], train.grid)
        found, wanted = kernel(p, x, x), test.targets[:, 0]
        off = (test.inputs[:, 0] * weights @ found.T - wanted) ** 2 @ weights
        errors, most = np.sqrt(off / (wanted**2 @ weights)), abs(found - green).max()
        print(f"seed {seed}: relative L2 {errors.mean():.2e}, worst {errors.max():.2e}, kernel {most:.2e}", end=", ")
        print(f"{time.monotonic() - began:.0f} s", flush=True)
    for axis, values, title in zip(axes, (found, found - green), ("learnt kernel", "minus Green's"), strict=True):
        axis.set(title=f"{title}, seed {seed}", xlabel="y", ylabel="x")
        figure.colorbar(axis.imshow(values, origin="lower", extent=(0, 1, 0, 1)), ax=axis)
    figure.savefig(Path(__file__).parent / "kernel.png", dpi=80)
