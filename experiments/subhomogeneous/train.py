"""Implicit heads on steady states, by `python experiments/subhomogeneous/train.py`.

Where the source of `-lap u + c u^3 = f` sits, and log c, inferred from u at 64 nodes with 1 % noise: implicit layers of
width 87 and a linear map of their fixed point; 3 seeds, the same training for all.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import pdejax as pj
from pdejax import data, nn, solvers, training

WIDTH, NODES, SAMPLES, TEST, STEPS, SEEDS = 87, 8, 1024, 256, 1500, (0, 1, 2)
GRID = pj.Grid(x=pj.Sine(NODES + 2, length=1.0), y=pj.Sine(NODES + 2, length=1.0))
SENSORS, ANSWERS = pj.Grid(node=pj.Uniform(NODES**2)), pj.Grid(answer=pj.Uniform(3))


class Tanh(eqx.Module):
    linear: eqx.nn.Linear
    inputs: eqx.nn.Linear

    def __call__(self, z, x):
        return jnp.tanh(self.linear(z) + self.inputs(x))


class Head(eqx.Module):
    layer: nn.FixedPoint
    norm: eqx.nn.LayerNorm
    readout: eqx.nn.Linear

    def __call__(self, u):
        x = u.values.ravel()
        z = self.layer(x, jnp.ones(WIDTH, x.dtype))
        return pj.GridField(self.readout(self.norm(z))[None], ANSWERS)


def head(kind, key):
    a, b, c = jax.random.split(key, 3)
    if kind == "tanh":
        body = Tanh(eqx.nn.Linear(WIDTH, WIDTH, use_bias=False, key=a), eqx.nn.Linear(NODES**2, WIDTH, key=b))
    else:
        body = nn.Subhomogeneous(NODES**2, WIDTH, signed=kind == "signed", key=a)
    layer = nn.FixedPoint(body, solvers.Anderson(1e-4), max_steps=50)
    return Head(layer, eqx.nn.LayerNorm(WIDTH), eqx.nn.Linear(WIDTH, 3, key=c))


def sample(key):
    a, b, c = jax.random.split(key, 3)
    (x, y), log_c = jax.random.uniform(a, (2,), minval=0.2, maxval=0.8), jax.random.uniform(b, maxval=2.0)
    source = pj.GridField.from_function(lambda s, t: 200 * jnp.exp(-50 * ((s - x) ** 2 + (t - y) ** 2)), GRID)
    problem = pj.SteadyProblem(pj.equations.SemilinearPoisson(source=source, cubic=10**log_c), GRID)
    u = pj.solve(problem).value.values[0, 1:-1, 1:-1]
    # Centred, with deviation one: the root mean square error of a guess of zero is 1.
    answer = jnp.stack([(x - 0.5) / 0.1732, (y - 0.5) / 0.1732, (log_c - 1) / 0.5774])
    return (u * (1 + 0.01 * jax.random.normal(c, u.shape))).reshape(1, -1), answer[None]


squares = lambda answer, truth: jnp.mean((answer.values - truth.values) ** 2)


@eqx.filter_jit
def assessed(model, u, truth, key):
    look = lambda u: nn.diagnose(model.layer, u.values.ravel(), jnp.ones(WIDTH), key=key)
    return jnp.sqrt(jnp.mean(jax.vmap(lambda u, t: squares(model(u), t))(u, truth))), jax.vmap(look)(u)


if __name__ == "__main__":
    inputs, answers = data.generate(sample, SAMPLES + TEST, key=jax.random.key(7), chunk=256)
    both = data.Dataset(inputs, answers, SENSORS, target_grid=ANSWERS)
    train, test = both[:SAMPLES], both[SAMPLES:]
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, STEPS))
    for seed in SEEDS:
        key = jax.random.key(seed)
        options = {"optimizer": optimizer, "steps": STEPS, "batch_size": 64, "key": key, "log_every": STEPS}
        for kind in ("tanh", "signed", "positive"):
            model = training.fit(head(kind, key), train, loss=squares, **options).model
            error, found = assessed(model, test.input_fields(), test.target_fields(), key)
            print(f"{kind}, seed {seed}: test error {error:.4f}\n{found}", flush=True)
