"""Sorting and recycling over sequences of problems, by `python experiments/skr/measure.py`: minutes on CPU."""

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import matplotlib.pyplot as plt
import numpy as np
from systems import lu_seconds, problems

from pdejax.solvers._preconditioner import InverseLaplacian, Unpreconditioned
from pdejax.solvers._sequence import sort_by_parameters
from pdejax.solvers._steady import unknowns
from pdejax.solvers.linear import FGMRES, GCRODR

jax.config.update("jax_enable_x64", True)
CASES = (
    ("Darcy", 64, 40, 30, 10),
    ("Darcy", 128, 16, 30, 10),
    ("Helmholtz", 64, 24, 30, 10),
    ("Helmholtz", 64, 24, 50, 20),
)
ARMS = ("GMRES", "deflated", "recycled", "recycled, sorted")


@eqx.filter_jit
def products(batch, order, arm, recipe, m, k):
    """Products with the operator for each system in the order of solution, and whether all reached the tolerance."""
    recycled, plain = GCRODR(1e-8, 0.0, 20000, m, k), FGMRES(1e-8, 0.0, 20000, m)
    arrays, static = eqx.partition(batch, eqx.is_array)

    def step(recycle, mine):
        system = unknowns(eqx.combine(mine, static))
        start, product = jax.linearize(system.residual, system.guess())
        operator, kept = lx.FunctionLinearOperator(product, system.structure()), recycle
        options = {"preconditioner": recipe.build(system, operator)}
        if arm == "GMRES":
            out = lx.linear_solve(operator, -start, plain, options=options, throw=False)
        else:
            out, kept = recycled.solve(operator, -start, recycle, options)
        met = jnp.linalg.norm(start + product(out.value)) <= 1.001e-8 * jnp.linalg.norm(start)
        return kept if arm.startswith("recycled") else recycle, (out.stats["num_matvecs"], met)

    empty = recycled.empty(jax.ShapeDtypeStruct((1, *batch.grid.shape), jnp.float64))
    counts, met = jax.lax.scan(step, empty, jax.tree.map(lambda x: x[order], arrays))[1]
    return jnp.mean(counts), jnp.all(met)


if __name__ == "__main__":
    table = {}
    for kind, n, count, m, k in CASES:
        for recipe in (Unpreconditioned(), InverseLaplacian()):
            name, rows = f"{kind} {n}^2 ({m}, {k}), {recipe.name}", []
            for seed in (0, 1, 2):
                batch = problems(kind, n, count, seed)
                orders = [np.arange(count)] * 3 + [sort_by_parameters(batch)]
                found = [products(batch, order, arm, recipe, m, k) for arm, order in zip(ARMS, orders, strict=True)]
                rows.append([float(mean) if met else np.nan for mean, met in found])
            begin = time.process_time()
            jax.block_until_ready(products(batch, orders[3], ARMS[3], recipe, m, k))
            ours, lu = (time.process_time() - begin) / count, lu_seconds(jax.tree.map(lambda x: x[0], batch))
            table[name], rows = np.mean(rows, axis=0), np.array(rows)
            print(f"{name:40}", *(f"{x:.1f}" for x in table[name]), end=" ")
            print("GMRES/recycled", (rows[:, 0] / rows[:, 3]).round(2), "deflated/", (rows[:, 1] / rows[:, 3]).round(2))
            print(
                f"  unsorted/sorted {(rows[:, 2] / rows[:, 3]).round(3)}, CPU ms {1e3 * ours:.0f}, LU {1e3 * lu:.0f}",
                flush=True,
            )
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for j, arm in enumerate(ARMS):
        axes.bar(np.arange(len(table)) + 0.2 * j, [mean[j] for mean in table.values()], 0.18, label=arm)
    axes.set_xticks(np.arange(len(table)) + 0.3, [name.replace(", ", "\n") for name in table], fontsize=6)
    axes.set(yscale="log", ylabel="products per system")
    axes.legend(fontsize=7)
    figure.savefig(Path(__file__).parent / "products.png", dpi=110)
