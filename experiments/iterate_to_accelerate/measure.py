"""Averaged fixed-point iterations, by `python experiments/iterate_to_accelerate/measure.py`.

`Picard(average=2 / (k + 2))` on `T = gamma I` in 20 dimensions (seeds 0, 1, 2): the distance `D(t) = ||s_t||^2 / 2` and
its log-log slope over t = 1e3 ... 1e5; the floor left by noise in T; a positive map with the entropic mirror.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from pdejax.solvers import Entropic, Euclidean, Halpern, Picard
from pdejax.solvers.nonlinear._fixed_point import Evaluation

jax.config.update("jax_enable_x64", True)
GAMMAS, SEEDS, STEPS = (0.3, 0.5, 0.8, 0.95), (0, 1, 2), 10**5
SCHEDULE = lambda k: 2 / (k + 2)


def distances(solver, fn, start, goal, steps=STEPS, mirror=None):
    """`D(s_t, s*)` for t = 0 ... steps - 1; `fn(y, t)` may depend on the step, as noise does."""
    mirror = mirror or Euclidean()

    def body(carry, t):
        y, memory = carry
        image = fn(y, t)
        residual = image - y
        yes = jnp.ones((), bool)
        seen = Evaluation(t, y, image, residual, jnp.linalg.norm(residual), ~yes, yes)
        return solver.advance(seen, memory), mirror.divergence(y, goal)

    return np.asarray(jax.lax.scan(body, (start, solver.begin(start)), jnp.arange(steps))[1])


def slope(d, first=1000):
    t = np.unique(np.geomspace(first, len(d) - 1, 200).astype(int))
    return np.polyfit(np.log(t), np.log(d[t]), 1)[0]


if __name__ == "__main__":
    averaged, plain = Picard(0.0, average=SCHEDULE), Picard(0.0)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    zero, starts = jnp.zeros(20), [jnp.asarray(np.random.default_rng(s).standard_normal(20)) for s in SEEDS]
    for gamma in GAMMAS:
        contract = lambda y, t, gamma=gamma: gamma * y
        d = [distances(averaged, contract, start, zero) for start in starts]
        slopes, p = [slope(x) for x in d], distances(plain, contract, starts[0], zero, 400)
        steps = [int(np.argmax(x < 1e-4 * x[0])) or f"> {len(x)}" for x in (d[0], p)]
        off = max(abs(s + 4 * (1 - gamma)) for s in slopes)
        print(f"gamma {gamma}: slopes {np.round(slopes, 3)}, off {off:.1e}; D / 1e4: averaged, Picard {steps} steps")
        line = axes[0].loglog(np.arange(1, STEPS + 1), d[0] / d[0][0], label=f"$\\gamma$ = {gamma}")[0]
        axes[0].loglog(np.arange(1, 401), p / p[0], ":", color=line.get_color())
    axes[0].set(xlabel="t", ylabel="D(t) / D(0)", ylim=(1e-16, 2), title="averaged; dotted: Picard")
    for size in (1e-4, 1e-3, 1e-2):
        tails = {}
        for name, solver in (("averaged", averaged), ("Picard", plain), ("Halpern", Halpern(0.0, certify=None))):
            draw = lambda y, t, size=size: 0.5 * y + size * jax.random.normal(jax.random.key(t), y.shape)
            tails[name] = [distances(solver, draw, start, zero)[-1000:].mean() for start in starts]
        print(
            f"noise {size:g}: D(1e5)",
            {k: f"{np.mean(x):.1e}" for k, x in tails.items()},
            "20 size^2 / 2 =",
            10 * size**2,
        )
    for seed in SEEDS:
        # y -> b (K y)^0.6 with positive K contracts in Thompson's metric by 0.6 (Perron-Frobenius, non-linear).
        rng = np.random.default_rng(seed)
        kernel = jnp.asarray(rng.uniform(0.1, 1, (20, 20)) / 20)
        positive, start = (lambda y, t, kernel=kernel: (kernel @ y) ** 0.6), jnp.asarray(rng.uniform(1e-3, 10, 20))
        goal = start
        for _ in range(200):
            goal = positive(goal, 0)
        for mirror in (Entropic(), Euclidean()):
            d = distances(Picard(0.0, average=SCHEDULE, mirror=mirror), positive, start, goal, mirror=Entropic())
            print(
                f"positive map, seed {seed}, {type(mirror).__name__}: slope {slope(d):.3f}, D {d[0]:.1e} -> {d[-1]:.1e}"
            )
            if seed == 0:
                axes[1].loglog(np.arange(1, STEPS + 1), d, label=type(mirror).__name__)
    axes[1].set(xlabel="t", ylabel="entropic D(t)", title="a positive map"), axes[0].legend(), axes[1].legend()
    figure.savefig(Path(__file__).parent / "distance.png", dpi=100)
