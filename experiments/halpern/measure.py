"""Anchored iterations and maps without a fixed point, by `python experiments/halpern/measure.py`.

Rotations of 200 planes by angles 1e-3 ... 1 (logarithmic), averaged with the identity, without and with a translation
along an axis of rest; 200 random skew + PSD affine components in 50 dimensions, tuned steps; seeds 0, 1, 2.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import eigh

from pdejax.solvers import RESULTS, Anderson, Halpern, Picard, fixed_point
from pdejax.solvers.linear import _vectors as v
from pdejax.solvers.nonlinear._fixed_point import run
from pdejax.solvers.nonlinear._variance_reduced import variance_reduced_halpern

jax.config.update("jax_enable_x64", True)
ANGLES, SEEDS, MOST = jnp.geomspace(1e-3, 1, 200), (0, 1, 2), 10**4 + 1
MARKS, STEPS = [100, 1000, 10000], (0.25, 0.5, 1.0, 1.5, 2.0)
ANCHORS = {"1/(k+2)": lambda k: 1 / (k + 2), "2/(k+4)": lambda k: 2 / (k + 4)}
SOLVERS = {"Picard": Picard(0.0), "Halpern": Halpern(0.0, certify=None), "Anderson 5": Anderson(0.0, window=5)}


def turned(z, shift):
    x, y, rest = z
    c, s = jnp.cos(ANGLES), jnp.sin(ANGLES)
    return (x + c * x - s * y) / 2, (y + s * x + c * y) / 2, rest + shift


def errors(solver, start, shift):
    """`||T(z_k) - z_k - v||` for k = 0 ... 10^4, `v` the translation, by stepping the solver."""

    def scan(condition, body, carry, max_steps):
        def more(carry, _):
            z = carry[0]
            gap = v.subtract(turned(z, shift), z)
            return body(carry), v.norm((*gap[:2], gap[2] - shift))

        return jax.lax.scan(more, carry, length=max_steps)

    return np.asarray(run(lambda z, _: (turned(z, shift), None), solver, start, None, {}, MOST, scan)[1])


def finite_sum(seed, spread):
    """Evaluations of components to `||F|| < 1e-3` with the best of five steps, for `A_i = G G^T + skew`."""
    rng = np.random.default_rng(seed)
    g, s = rng.standard_normal((2, 200, 50, 50)) / np.sqrt(50)
    a, b = (
        jnp.asarray(g @ g.transpose(0, 2, 1) + spread * (s - s.transpose(0, 2, 1)) / 2),
        rng.standard_normal((200, 50)),
    )
    b, mean = jnp.asarray(b), np.asarray(a).mean(0)
    size, zero, key, calls = eigh(mean.T @ mean, (mean + mean.T) / 2)[0][-1], jnp.zeros(50), jax.random.key(seed), {}
    fn, field, mean = (lambda i, x: a[i] @ x - b[i]), (lambda x, t: x - t * (mean @ x - b.mean(0))), jnp.asarray(mean)
    for t in jnp.asarray(STEPS) / size:
        solver = Halpern(0.0, 1e-3 * t, certify=None)
        out = fixed_point(field, zero, t, solver, max_steps=2000, throw=False)
        calls.setdefault("full", []).append(200 * int(out.stats["num_steps"]) if out.ok else np.inf)
        for name, anchor in ANCHORS.items():
            args = {"step": t, "atol": 1e-3, "anchor": anchor, "max_calls": 200_000, "throw": False, "key": key}
            out = variance_reduced_halpern(fn, 200, zero, **args)
            calls.setdefault(name, []).append(int(out.stats["num_components"]) if out.ok else np.inf)
    return calls


if __name__ == "__main__":
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained", sharex=True)
    k = np.unique(np.geomspace(100, 10**4, 200).astype(int))
    for shift, ax, title in ((0.0, axes[0], "feasible"), (1.0, axes[1], "infeasible")):
        for name, solver in SOLVERS.items():
            found = []
            for seed in SEEDS:
                start = (*jnp.asarray(np.random.default_rng(seed).standard_normal((2, 200))), jnp.zeros(()))
                found.append(errors(solver, start, shift))
            slopes = [np.polyfit(np.log(k), 2 * np.log(r[k]), 1)[0].round(3) for r in found]
            print(title, name, "||T(z) - z - v|| at 1e2, 1e3, 1e4:", found[0][MARKS], "slopes of the square", slopes)
            ax.loglog(np.arange(1, MOST + 1), found[0], label=name)
            if name != "Anderson 5":
                check = type(solver)(0.0, 1e-4, certify=1e-2, patience=10**7)
                out = fixed_point(turned, start, jnp.asarray(shift), check, max_steps=2**20, throw=False)
                gap = v.norm(v.subtract(out.stats["displacement"], (0.0, 0.0, -shift)))
                print(f"  {RESULTS[out.result][:40]!r} after {out.stats['num_steps']}, ||displacement - v|| {gap:.1e}")
        ax.loglog(k, 2 * np.sqrt(sum(np.sum(z**2) for z in start[:2])) / (k + 1), "k:", label="bound")
        ax.set(xlabel="k", ylabel="||T(z) - z - v||", title=title), ax.legend()
    figure.savefig(Path(__file__).parent / "residuals.png", dpi=100)
    for spread in (1.0, 5.0):
        best = [{name: min(counts) for name, counts in finite_sum(seed, spread).items()} for seed in SEEDS]
        print(f"skew {spread}: {best}", {n: [round(x[n] / x["full"], 3) for x in best] for n in best[0]})
