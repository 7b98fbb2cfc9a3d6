"""More iterations at test than in training, by `python experiments/iterated_operator/measure.py`.

`-lap u + u^3 = f` on the unit square, `u = 0` on its edges; the data are `f` and `u` at one fifth of the nodes.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from pdejax import Grid, GridField, Sine
from pdejax.data import Dataset, GaussianRandomField, generate
from pdejax.equations import SemilinearPoisson
from pdejax.nn import FixedPoint, diagnose
from pdejax.objectives import relative_l2
from pdejax.operators import FNO, IteratedOperator
from pdejax.solvers import Anderson, SteadyProblem, solve
from pdejax.training import fit

GRID, FORCE, UNIT = Grid(x=Sine(33), y=Sine(33)), GaussianRandomField(gamma=1.5, tau=5.0, sigma=2e4), (1600.0, 8.0)
TRAIN, STEPS, LONG = 1000, 600, 16


def sample(key):
    forcing, hidden = jax.random.split(key)
    f = FORCE.sample(GRID, key=forcing).values / UNIT[0]
    u = solve(SteadyProblem(SemilinearPoisson(source=GridField(UNIT[0] * f, GRID)), GRID)).value.values / UNIT[1]
    return jnp.concatenate([f, jnp.where(jax.random.bernoulli(hidden, 0.2, GRID.shape), u, 0)]), u


def mean_error(every, u):
    """The expectation of the error for a random number of steps."""
    return jnp.mean(jnp.stack([relative_l2(every[k], u) for k in range(every.channels)]))


def trained(steps, data, seed):
    operator = IteratedOperator(FNO(3, 1, 8, 12, 2, 2, key=jax.random.key(seed)), 1, steps)
    model = eqx.Partial(IteratedOperator.iterates, operator)
    rule, key = optax.adamw(optax.cosine_onecycle_schedule(STEPS, 3e-3, 0.1)), jax.random.key(seed + 100)
    return fit(model, data, loss=mean_error, optimizer=rule, steps=STEPS, batch_size=16, key=key).model.args[0].model


@eqx.filter_jit
def curve(model, test, average):
    """Mean error after each of many steps."""
    every = lambda a: IteratedOperator(model, 1, LONG, average).iterates(GridField(a, GRID))
    one = lambda a, u: jnp.stack([relative_l2(every(a)[k], GridField(u, GRID)) for k in range(LONG)])
    return jnp.mean(jax.lax.map(lambda pair: one(*pair), test, batch_size=16), axis=0)


@eqx.filter_jit
def equilibrium(model, inputs):
    """Iterations and residual of `Anderson` at the fixed point, and the spectral radius there."""
    layer = FixedPoint(IteratedOperator(model, 1).refine, Anderson(1e-4), max_steps=100)
    found = lambda a: diagnose(layer, GridField(a, GRID), GridField(0 * a[:1], GRID), key=jax.random.key(0))
    return jax.lax.map(found, inputs, batch_size=16)


if __name__ == "__main__":
    inputs, targets = (jnp.asarray(x) for x in generate(sample, TRAIN + 200, key=jax.random.key(0)))
    data, test = Dataset(inputs[:TRAIN], targets[:TRAIN], GRID), (inputs[TRAIN:], targets[TRAIN:])
    models = functools.cache(lambda steps, seed: trained(steps, data, seed))
    for name, steps, a in (("1 to 4", 4, 1.0), ("1 to 4", 4, 0.5), ("1", 1, 1.0)):
        found = []
        for seed in (0, 1, 2):
            model = models(steps, seed)
            found.append(np.asarray(curve(model, test, a)))
            print(f"{name} in training, a = {a}, seed {seed}: error {found[-1].round(4)},", end=" ")
            print("largest growth in a step", np.max(found[-1][1:] / found[-1][:-1]), flush=True)
            print(equilibrium(model, test[0][:32]), flush=True)
        line = plt.plot(range(1, LONG + 1), np.mean(found, axis=0), "o-", ms=3, label=f"{name} in training, a = {a}")[0]
        plt.fill_between(range(1, LONG + 1), np.min(found, 0), np.max(found, 0), color=line.get_color(), alpha=0.2)
    plt.gca().set(xlabel="applications of the operator", ylabel="mean relative L2 error", yscale="log")
    plt.legend()
    plt.savefig(__file__.replace("measure.py", "errors.png"), dpi=100, bbox_inches="tight")
