"""Hypergradients of ridge regression, by `python experiments/hypergradients/measure.py`.

A training loss with 40 log-penalties whose Hessian has condition number 32: the gradient of the validation loss by
`Neumann(K)` and by K steps of conjugate gradients, against the closed form and against unrolled descent; then 40
penalties tuned by Adam from the best single one. Seeds 0, 1, 2.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from pdejax.solvers import PCG, Neumann
from pdejax.solvers._bilevel import hypergradient, largest_curvature, minimiser

jax.config.update("jax_enable_x64", True)
TERMS, STEPS, SINGLE = (5, 20, 100, 500), (5, 10, 20, 40), np.linspace(-6, 6, 25)


def half(r):
    return jnp.sum(r**2) / 2


def train(w, hyper):
    logs, x, y, _, _ = hyper
    return half(x @ w - y) + jnp.sum(jnp.exp(logs) * w**2) / 2


def valid(w, hyper):
    return half(hyper[3] @ w - hyper[4])


def problem(seed):
    """The exact minimiser, log-penalties with the data of both losses, and the hypergradient by numpy."""
    rng = np.random.default_rng(seed)
    q, penalty = np.linalg.qr(rng.standard_normal((40, 40)))[0], rng.uniform(0.1, 0.9, 40)
    hessian = (q * np.geomspace(1, 32, 40)) @ q.T
    x, xv = np.linalg.cholesky(hessian - np.diag(penalty)).T, rng.standard_normal((40, 40))
    y, yv = rng.standard_normal((2, 40))
    w = np.linalg.solve(hessian, x.T @ y)
    exact = -penalty * w * np.linalg.solve(hessian, xv.T @ (xv @ w - yv))
    return jnp.asarray(w), tuple(map(jnp.asarray, (np.log(penalty), x, y, xv, yv))), exact


@partial(jax.jit, static_argnums=3)
def unrolled(w, hyper, scale, steps):
    descend = lambda v, h: v - scale * jax.grad(train)(v, h)
    through = lambda h: valid(jax.lax.scan(lambda v, _: (descend(v, h), None), w, length=steps)[0], h)
    return jax.grad(through)(hyper)[0]


@jax.jit
def tuned(logs, x, y, xv, yv):
    """Validation loss of the ridge regression with these penalties, and its gradient."""

    def loss(logs):
        hyper = (logs, x, y, xv, yv)
        w = jnp.linalg.solve(x.T @ x + jnp.diag(jnp.exp(logs)), x.T @ y)
        w = minimiser(train, jax.lax.stop_gradient(w), hyper)
        return 2 * valid(w, hyper) / len(yv), w

    return jax.value_and_grad(loss, has_aux=True)(logs)


def tuning(seed):
    """Validation and test loss of the best of 25 single penalties, and of 40; coefficients that decay, noise."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(40) * 0.85 ** np.arange(40)
    (x, y), (xv, yv), (xt, yt) = [
        (x, x @ truth + rng.standard_normal(n)) for n in (60, 60, 2000) for x in [rng.standard_normal((n, 40))]
    ]
    test, single = (lambda w: float(np.mean((xt @ w - yt) ** 2))), []
    single = [tuned(jnp.full(40, s), x, y, xv, yv)[0] for s in SINGLE]
    best = int(np.argmin([loss for loss, _ in single]))
    logs, optimiser = jnp.full(40, SINGLE[best]), optax.adam(0.1)
    state = optimiser.init(logs)
    for _ in range(301):
        (loss, w), gradient = tuned(logs, x, y, xv, yv)
        updates, state = optimiser.update(gradient, state)
        logs = optax.apply_updates(logs, updates)
    return np.asarray([[single[best][0], test(single[best][1])], [loss, test(w)]])


if __name__ == "__main__":
    kinds = {"Neumann": (TERMS, lambda k, s: Neumann(k + 1, s)), "CG": (STEPS, lambda k, s: PCG(1e-15, max_steps=k))}
    errors, apart, scale = {kind: [] for kind in kinds}, [], None
    for seed in (0, 1, 2):
        w, hyper, exact = problem(seed)
        scale = scale or 1 / float(largest_curvature(train, w, hyper))
        for kind, (counts, solver) in kinds.items():
            found = [hypergradient(valid, train, w, hyper, solver(k, scale)).gradient[0] for k in counts]
            errors[kind].append([np.linalg.norm(g - exact) / np.linalg.norm(exact) for g in found])
            if kind == "Neumann":
                loops = [unrolled(w, hyper, scale, k + 1) for k in counts]
                apart.append(max(np.linalg.norm(g - u) / np.linalg.norm(u) for g, u in zip(found, loops, strict=True)))
    for kind, (counts, _) in kinds.items():
        print(kind, counts, "mean relative errors", *(f"{e:.2g}" for e in np.mean(errors[kind], 0)), "of", errors[kind])
        plt.loglog(counts, np.mean(errors[kind], 0), "o-", label=kind)
    print("Neumann K and K + 1 unrolled steps differ by", *(f"{a:.1e}" for a in apart))
    for seed in (0, 1, 2):
        (before, test), (after, other) = tuning(seed)
        print(f"seed {seed}: validation {before:.4f} -> {after:.4f}, ratio {after / before:.3f};", end=" ")
        print(f"test {test:.4f} -> {other:.4f}")
    plt.gcf().set_size_inches(5, 3.4), plt.legend(), plt.xlabel("K"), plt.ylabel("relative error of the hypergradient")
    plt.savefig(Path(__file__).parent / "errors.png", dpi=100, bbox_inches="tight")
