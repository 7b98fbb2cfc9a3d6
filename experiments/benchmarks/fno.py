"""Fourier neural operator, inference and Adam step, batch 20: against pdequinox and neuraloperator.

    python experiments/benchmarks/fno.py [--case line|square|large] [--cores N] [--rounds N]

`line` 1024 nodes, width 64, 16 modes; `square` 64^2 and `large` 128^2, width 32, 12 modes; 4 layers, float32, mean
squared error on random data. The peers' networks have the same width, modes and depth and within 12 % as many
parameters; they are other networks, so what is compared is the time of a step, and the accuracy after training is
compared in `experiments/fno`. `temporaries_mb` is XLA's count for the step. `pdejax` has its coordinates, the peers
none. Needs pdequinox 0.1.2, neuraloperator 2.0.0 and torch. The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, case="square")

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import neuralop  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import pdequinox  # noqa: E402
import torch  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.operators import FNO  # noqa: E402

SHAPE, WIDTH, MODES = {"line": ((1024,), 64, 16), "square": ((64, 64), 32, 12), "large": ((128, 128), 32, 12)}[
    chosen.case
]
DEPTH, BATCH, KEY = 4, 20, jax.random.key(0)
INPUT = np.random.default_rng(0).standard_normal((BATCH, 1, *SHAPE)).astype(np.float32)
TARGET = 0.5 * np.roll(INPUT, 3, -1)
GRID = pj.Grid(**{name: pj.Fourier(n) for name, n in zip("xyz", SHAPE, strict=False)})


def jax_side(model, apply):
    """Inference, training step, and facts of a model in JAX; `apply(model, values)` on one sample."""
    optimizer = optax.adam(1e-3)
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    state = optimizer.init(parameters)
    x, y = jnp.asarray(INPUT), jnp.asarray(TARGET)

    def forward(parameters, x):
        return jax.vmap(lambda v: apply(eqx.combine(parameters, static), v))(x)

    @jax.jit
    def step(parameters, state, x, y):
        gradient = jax.grad(lambda p: jnp.mean((forward(p, x) - y) ** 2))(parameters)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), state

    infer, compiled = jax.jit(forward), step.lower(parameters, state, x, y).compile()
    facts = {
        "parameters": sum(leaf.size * (1 + jnp.iscomplexobj(leaf)) for leaf in jax.tree.leaves(parameters)),
        "temporaries_mb": rounded(compiled.memory_analysis().temp_size_in_bytes / 2**20, 3),
    }
    return (
        lambda: jax.block_until_ready(infer(parameters, x)),
        lambda: jax.block_until_ready(compiled(parameters, state, x, y)),
        facts,
    )


def torch_side():
    """The same of neuraloperator."""
    torch.set_num_threads(chosen.cores)
    torch.manual_seed(0)
    size = {"in_channels": 1, "out_channels": 1, "hidden_channels": WIDTH, "n_layers": DEPTH}
    net = neuralop.models.FNO(n_modes=(2 * MODES,) * len(SHAPE), positional_embedding=None, **size)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, y = torch.from_numpy(INPUT), torch.from_numpy(TARGET)

    def infer():
        with torch.no_grad():
            net(x)

    def step():
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        optimizer.step()

    return infer, step, {"parameters": sum(p.numel() * (1 + p.is_complex()) for p in net.parameters())}


sides = {
    "pdejax": jax_side(
        FNO(1, 1, MODES, WIDTH, DEPTH, len(SHAPE), key=KEY), lambda model, v: model(pj.GridField(v, GRID)).values
    ),
    "pdequinox": jax_side(
        pdequinox.arch.ClassicFNO(len(SHAPE), 1, 1, hidden_channels=WIDTH, num_modes=MODES, num_blocks=DEPTH, key=KEY),
        lambda model, v: model(v),
    ),
    "neuraloperator": torch_side(),
}
inference = race({name: side[0] for name, side in sides.items()}, chosen)
training = race({name: side[1] for name, side in sides.items()}, chosen)
emit(
    f"fno_{chosen.case}" + ("" if chosen.cores == 1 else f"_{chosen.cores}cores"),
    (jax, neuralop, torch, optax),
    batch=BATCH,
    dtype="float32",
    facts={name: side[2] for name, side in sides.items()},
    inference=inference,
    training=training,
)
