"""More iterations at test than in training, by `python experiments/iterated_operator/measure.py`.

`-lap u + u^3 = f` on the unit square, `u = 0` on its edges, 32 x 32 intervals; the data are `f` and the values of `u`
at one fifth of the nodes, zero elsewhere, both in units of their deviation.
"""

import time
from pathlib import Path

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
TRAIN, TEST, STEPS, LONG = 500, 200, 600, 16


def sample(key):
    """Forcing and damaged solution; the solution."""
    forcing, hidden = jax.random.split(key)
    f = FORCE.sample(GRID, key=forcing).values / UNIT[0]
    u = solve(SteadyProblem(SemilinearPoisson(source=GridField(UNIT[0] * f, GRID)), GRID)).value.values / UNIT[1]
    return jnp.concatenate([f, jnp.where(jax.random.bernoulli(hidden, 0.2, GRID.shape), u, 0)]), u


class Iterates(eqx.Module):
    """All iterates, to be trained on."""

    operator: IteratedOperator

    def __call__(self, data):
        return self.operator.iterates(data)


def mean_error(every, target):
    """The expectation of the error over a number of steps that is uniform in 1 .. steps."""
    return jnp.mean(jnp.stack([relative_l2(every[k], target) for k in range(every.channels)]))


def trained(steps, data, seed):
    model = Iterates(IteratedOperator(FNO(3, 1, 8, 12, 2, 2, key=jax.random.key(seed)), 1, steps))
    optimizer = optax.adamw(optax.cosine_onecycle_schedule(STEPS, 3e-3, 0.1), weight_decay=1e-4)
    key = jax.random.key(seed + 100)
    return fit(
        model, data, loss=mean_error, optimizer=optimizer, steps=STEPS, batch_size=16, key=key
    ).model.operator.model


@eqx.filter_jit
def curve(model, data, average):
    """Mean error after each of many steps."""
    operator = IteratedOperator(model, 1, LONG, average)

    def one(a, u):
        every = operator.iterates(GridField(a, GRID))
        return jnp.stack([relative_l2(every[k], GridField(u, GRID)) for k in range(LONG)])

    return jnp.mean(jax.lax.map(lambda pair: one(*pair), data, batch_size=16), axis=0)


@eqx.filter_jit
def equilibrium(model, data):
    """Error, iterations and residual of the fixed point, and the spectral radius there."""
    operator = IteratedOperator(model, 1)
    layer = FixedPoint(operator.refine, Anderson(1e-4), max_steps=100)

    def one(a, u):
        a, u = GridField(a, GRID), GridField(u, GRID)
        end = operator.solve(a, Anderson(1e-4), max_steps=100)
        radius = diagnose(layer, a, 0 * u, key=jax.random.key(0)).spectral_radius
        return relative_l2(end.value, u), end.stats["num_steps"], end.error, radius

    return jax.lax.map(lambda pair: one(*pair), data, batch_size=16)


if __name__ == "__main__":
    inputs, targets = generate(sample, TRAIN + TEST, key=jax.random.key(0))
    data, test = (
        Dataset(inputs[:TRAIN], targets[:TRAIN], GRID),
        (jnp.asarray(inputs[TRAIN:]), jnp.asarray(targets[TRAIN:])),
    )
    print(
        "mean |u|^3 / mean |f|",
        np.abs((UNIT[1] * targets) ** 3).mean() / np.abs(UNIT[0] * inputs[:, 0]).mean(),
        inputs.std((0, 2, 3)),
        targets.std(),
    )
    curves = {name: [] for name in ("trained for 1 to 4, a = 1", "trained for 1 to 4, a = 0.5", "trained for 1, a = 1")}
    for seed in (0, 1, 2):
        began = time.process_time()
        several, single = trained(4, data, seed), trained(1, data, seed)
        for found, case in zip(curves.values(), ((several, 1.0), (several, 0.5), (single, 1.0)), strict=True):
            found.append(np.asarray(curve(*case[:1], test, case[1])))
            print(seed, np.round(found[-1], 4))
        for model in (several, single):
            error, steps, residual, radius = equilibrium(model, jax.tree.map(lambda x: x[:32], test))
            print(f"seed {seed}: fixed point error {error.mean():.4f}, iterations {steps.mean():.1f}, residual")
            print(residual.max(), "radius", radius.mean(), radius.max(), time.process_time() - began)
