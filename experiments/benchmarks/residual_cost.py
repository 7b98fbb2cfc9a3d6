"""The Burgers residual of a network, written once with the calculus, against hand-fused derivatives.

    python experiments/benchmarks/residual_cost.py [--points 10000] [--rounds 9] [--cores N]

A training step's work: mean squared residual of a 2-20x8-1 tanh network at the points, and its gradient with respect to
the weights. `pdejax` takes `equations.Burgers(nu).residual(FunctionField(net, ("t", "x")))`; `by_hand` pushes `u, u_x`
forward along x, linearises once and reads `u_t` and `u_xx` off; `textbook` is `vmap(grad)` with a Hessian entry. Rounds
are interleaved in alternating order; figures are medians and the ratio is taken round by round. By default one pinned
core and CPU seconds. The last line is JSON.
"""

import argparse
import gc
import json
import os
import statistics
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--points", type=int, default=10_000)
parser.add_argument("--rounds", type=int, default=9)
parser.add_argument("--cores", type=int, default=1)
options = parser.parse_args()
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])

# Affinity must be set before the numerical libraries start.
import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import pdejax as pj  # noqa: E402

clock = time.process_time if options.cores == 1 else time.perf_counter
NU = 0.01 / jnp.pi


def once(net, points):
    return pj.equations.Burgers(NU).residual(pj.FunctionField(net, ("t", "x")))(points)


def by_hand(net, points):
    t, x = jnp.eye(2, dtype=points.dtype)

    def one(p):
        (u, u_x), push = jax.linearize(lambda q: jax.jvp(net, (q,), (x,)), p)
        return push(t)[0] + u * u_x - NU * push(x)[1]

    return jax.vmap(one)(points)


def textbook(net, points):
    u = lambda p: net(p)[0]
    value, slope = jax.vmap(u)(points), jax.vmap(jax.grad(u))(points)
    curvature = jax.vmap(jax.hessian(u))(points)[:, 1, 1]
    return (slope[:, 0] + value * slope[:, 1] - NU * curvature)[:, None]


def main() -> None:
    net = eqx.nn.MLP(2, 1, 20, 8, activation=jnp.tanh, key=jax.random.key(0))
    points = jax.random.uniform(jax.random.key(1), (options.points, 2), minval=-1.0)
    steps, values, first, seconds = {}, {}, {}, {}
    for residual in (once, by_hand, textbook):
        name = {"once": "pdejax"}.get(residual.__name__, residual.__name__)
        step = eqx.filter_jit(eqx.filter_value_and_grad(lambda n, p, r=residual: jnp.mean(r(n, p) ** 2)))
        start = clock()
        values[name] = jax.block_until_ready(step(net, points))
        first[name], steps[name], seconds[name] = clock() - start, step, []
    for i in range(options.rounds):
        for name in list(steps) if i % 2 == 0 else list(steps)[::-1]:
            gc.collect()
            start = clock()
            jax.block_until_ready(steps[name](net, points))
            seconds[name].append(clock() - start)
    flat = {n: jnp.concatenate([g.ravel() for g in jax.tree.leaves(v[1])]) for n, v in values.items()}
    exact = flat["by_hand"]
    ratio = {
        n: statistics.median(a / b for a, b in zip(seconds[n], seconds["by_hand"], strict=True))
        for n in ("pdejax", "textbook")
    }
    for name, taken in seconds.items():
        print(f"{name:10s} {1e3 * statistics.median(taken):8.2f} ms/step   first call {first[name]:.2f} s")
    print(
        json.dumps(
            {
                "bench": "residual_cost",
                "points": options.points,
                "cores": options.cores,
                "unit": "cpu" if options.cores == 1 else "wall",
                "ms_per_step": {n: round(1e3 * statistics.median(s), 2) for n, s in seconds.items()},
                "first_call_s": {n: round(s, 2) for n, s in first.items()},
                "cost_vs_by_hand": {n: round(r, 3) for n, r in ratio.items()},
                "gradient_agreement": {
                    n: float(f"{jnp.linalg.norm(g - exact) / jnp.linalg.norm(exact):.2g}") for n, g in flat.items()
                },
                "versions": {m.__name__: m.__version__ for m in (jax, eqx, pj)},
            }
        )
    )


if __name__ == "__main__":
    main()
