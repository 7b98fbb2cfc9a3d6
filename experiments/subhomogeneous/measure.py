"""Fixed points from 8 starts for weights of large norm, by `python experiments/subhomogeneous/measure.py`.

Maps of width 87, entries of W normal with deviation 3 / sqrt(87), data relu(y) with y normal, starts uniform in [0, 3];
at most 200 Picard iterations to 1e-12. The first draw of W and y is shown, 20 are counted.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

from pdejax import nn, solvers

jax.config.update("jax_enable_x64", True)
WIDTH, DRAWS, STARTS = 87, 20, 8
SHIFTED = {
    "shift 1.2": {"shift": 1.2, "signed": True},
    "shift 1.3": {"shift": 1.3, "signed": True},
    "normalised, 1.61": {"shift": 1.61, "signed": True, "normalise": True},
    "|W|, shift 1.3": {},
}


def body(name, key, weight):
    if name == "no shift":
        return lambda z, y: jnp.tanh(weight @ z) + jax.nn.relu(y)
    layer = nn.Subhomogeneous(WIDTH, WIDTH, key=key, **SHIFTED[name])
    return eqx.tree_at(lambda m: (m.weight, m.inputs, m.bias), layer, (weight, jnp.eye(WIDTH), jnp.zeros(WIDTH)))


def solutions(name, solver, seed):
    keys = jax.random.split(jax.random.key(seed), 3)
    weight = 3 / WIDTH**0.5 * jax.random.normal(keys[0], (WIDTH, WIDTH))
    y, starts = jax.random.normal(keys[1], (WIDTH,)), 3 * jax.random.uniform(keys[2], (STARTS, WIDTH))
    layer = nn.FixedPoint(body(name, keys[0], weight), solver, max_steps=200)
    found = jax.vmap(lambda z0: layer.solve(y, z0))(starts)
    return jnp.ptp(found.value, axis=0).max(), jnp.all(found.ok), found.stats


if __name__ == "__main__":
    figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for solver in (solvers.Picard(1e-12, history=200), solvers.Anderson(1e-12, history=200)):
        for name in ("no shift", *SHIFTED):
            run = eqx.filter_jit(jax.vmap(lambda seed, name=name, solver=solver: solutions(name, solver, seed)))
            spread, ok, stats = run(jnp.arange(DRAWS))
            print(f"{type(solver).__name__:8} {name:16} first draw: spread {spread[0]:.1e}", end=", ")
            print(f"{stats['num_steps'][0].max()} iterations, {'all' if ok[0] else 'not all'} converged;", end=" ")
            print(f"of {DRAWS} draws {ok.sum()} converge, {(spread < 1e-8).sum()} agree to 1e-8", flush=True)
            if isinstance(solver, solvers.Picard):
                axis.semilogy(stats["residual_history"][0, 0], label=name)
    # Two units that inhibit each other: three solutions, whatever the shift.
    pair = nn.Subhomogeneous(1, 2, shift=1.61, signed=True, normalise=True, key=jax.random.key(0))
    pair = eqx.tree_at(lambda m: m.weight, pair, 4 * jnp.array([[1.0, -1.0], [-1.0, 1.0]]))
    layer = nn.FixedPoint(pair, solvers.Picard(1e-12))
    found = [layer.solve(jnp.zeros(1), jnp.array(z0)) for z0 in ([1.0, 0.5], [0.5, 1.0])]
    print(f"W = 4 [[1, -1], [-1, 1]], degree {pair.degree:.4f}:", *(f"{s.value}, {bool(s.ok)}" for s in found))
    axis.set(xlabel="iteration", ylabel="relative residual", title="Picard iteration, one random map")
    axis.legend(fontsize=7, loc="center right")
    figure.savefig(Path(__file__).parent / "residuals.png", dpi=110)
