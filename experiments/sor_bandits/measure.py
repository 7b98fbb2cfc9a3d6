"""Relaxation parameters of SOR learnt along a sequence of systems, by `python experiments/sor_bandits/measure.py`.

`(A + c I) x = b` with the five-point matrix of 10 x 10 nodes (not divided by h^2), b normal and cut at three standard
deviations, c = -0.15 + 0.6 Beta(2, 6) ("low" variance) or Beta(0.5, 1.5) ("high"); 3000 systems, 20 parameters in
[1, 1.95]. The cost, sweeps to 1e-8 of the first residual, comes from one compiled SOR; a learner sees what it takes.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import lineax as lx
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse

from pdejax.solvers.linear import SOR, Binned, ChebCB, SparseMatrix, TsallisINF

jax.config.update("jax_enable_x64", True)
NODES, ROUNDS, SEEDS, CHUNK, LIMIT = 10, 3000, (0, 1, 2), 250, 10000
OMEGAS = np.linspace(1, 1.95, 20)
SHAPES = {"low": (2, 6), "high": (0.5, 1.5)}
LINE = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(NODES, NODES))
MATRIX = SparseMatrix.from_scipy(scipy.sparse.kronsum(LINE, LINE))
DIAGONAL = jnp.asarray(MATRIX.pattern.rows == MATRIX.pattern.columns, float)


def sweeps(omega, shift, b):
    operator = MATRIX.with_values(MATRIX.values + shift * DIAGONAL)
    return lx.linear_solve(operator, b, SOR(omega, rtol=1e-8, max_steps=LIMIT), throw=False).stats["num_steps"]


@jax.jit
def count(omega, shifts, rights):
    """Sweeps for each of the systems; neighbours in the shift side by side, so that they end together."""
    order = jnp.argsort(shifts)
    chunk = lambda work: jax.vmap(sweeps, in_axes=(None, 0, 0))(omega, *work)
    steps = jax.lax.map(chunk, (shifts[order].reshape(-1, CHUNK), rights[order].reshape(-1, CHUNK, NODES**2)))
    return jnp.zeros(ROUNDS, steps.dtype).at[order].set(steps.ravel())


def learn(bandit, costs, shifts, rng):
    """The cost of each round."""
    paid = []
    for cost, shift in zip(costs, shifts, strict=True):
        action = rng.choice(len(OMEGAS), p=bandit.probabilities(shift))
        paid.append(cost[action])
        bandit = bandit.update(action, paid[-1], shift)
    return paid


if __name__ == "__main__":
    learners = {
        "Tsallis-INF": TsallisINF(len(OMEGAS)),
        "Tsallis-INF, 5 bins": Binned(TsallisINF(len(OMEGAS)), np.linspace(-0.15, 0.45, 6)[1:-1]),
        "ChebCB": ChebCB(len(OMEGAS), -0.15, 0.45),
    }
    figure, axes = plt.subplots(1, len(SHAPES), figsize=(9, 3.4), layout="constrained")
    for axis, (variance, shape) in zip(axes, SHAPES.items(), strict=True):
        paid = {name: [] for name in ("best fixed", "omega = 1", "best of each system", *learners)}
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            shifts = -0.15 + 0.6 * rng.beta(*shape, size=ROUNDS)
            rights = np.clip(rng.normal(size=(ROUNDS, NODES**2)), -3, 3)
            costs = np.stack([count(omega, shifts, rights) for omega in OMEGAS], axis=1)
            best = np.argmin(costs.mean(axis=0))
            print(f"{variance}, seed {seed}: best fixed omega {OMEGAS[best]:.2f}, capped {np.sum(costs >= LIMIT)}")
            learnt = (learn(bandit, costs, shifts, np.random.default_rng(seed + 100)) for bandit in learners.values())
            for name, cost in zip(paid, (costs[:, best], costs[:, 0], costs.min(axis=1), *learnt), strict=True):
                paid[name].append(cost)
        base, plain = np.mean(paid["best fixed"], axis=1), np.mean(paid["omega = 1"], axis=1)
        for name, cost in paid.items():
            late = np.mean(np.array(cost)[:, -500:], axis=1)
            print(f"{variance:4} {name:20} all {np.mean(cost):6.1f}, last 500 {late.mean():6.1f},", end=" ")
            print(f"over best fixed {np.mean(late / base):.3f}", late / base, f"over one {np.mean(late / plain):.3f}")
            axis.plot(np.cumsum(np.mean(cost, axis=0)) / np.arange(1, ROUNDS + 1), label=name)
        axis.set(title=f"{variance} variance", xlabel="systems solved", ylabel="mean sweeps so far", yscale="log")
    axes[0].legend(fontsize=7)
    figure.savefig(Path(__file__).parent / "sweeps.png", dpi=110)
