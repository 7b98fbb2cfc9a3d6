"""Memory of the gradient of a deep equilibrium layer, and a state that no dense adjoint could hold.

    python experiments/benchmarks/deq_memory.py [--cores N] [--rounds N]

`temporaries_mb`: what XLA reports for the compiled gradient (width 256, batch 64, float32, Picard) with up to 8 and up
to 64 iterations, by adjoint. `large`: a layer `z = 0.9 tanh(conv(z)) + lift(x)` with a state of 64 x 64 x 32 = 131072
unknowns learns to smooth random fields; loss, residuals and applications of the body over the first steps of Adam,
seconds a step, temporaries; a dense Jacobian of it would have 137 GB in float64. The last line is JSON.
"""

from timing import clock, emit, options, rounded

chosen = options(__doc__, rounds=12)

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.solvers import Anderson, ImplicitAdjoint, Picard, RecursiveAdjoint, Stationary, UnrolledAdjoint  # noqa: E402

CHANNELS, SIDE = 32, 64
ADJOINTS = {"implicit": ImplicitAdjoint(), "unrolled": UnrolledAdjoint(), "recursive": RecursiveAdjoint()}


def temporaries(compiled) -> float:
    """MB of XLA's own figure."""
    return rounded(compiled.memory_analysis().temp_size_in_bytes / 2**20)


def of_iterations(adjoint, count: int) -> float:
    """MB for the gradient through `count` iterations."""
    body = lambda z, p: jnp.tanh(z @ p[0].T + p[1])
    start = jnp.zeros((64, 256))

    def loss(p):
        solution = pj.solvers.fixed_point(body, start, p, Picard(1e-6), adjoint=adjoint, max_steps=count, throw=False)
        return jnp.mean(solution.value**2)

    p = jax.ShapeDtypeStruct((256, 256), "float32"), jax.ShapeDtypeStruct((64, 256), "float32")
    return temporaries(jax.jit(jax.grad(loss)).lower(p).compile())


class Body(eqx.Module):
    """Circular 3 x 3 convolution of the state, contracting at the start, and lifted data."""

    kernel: jax.Array
    lift: jax.Array

    def __init__(self, *, key):
        a, b = jax.random.split(key)
        self.kernel = jax.random.normal(a, (CHANNELS, CHANNELS, 3, 3)) / (3 * CHANNELS**0.5) / 2
        self.lift = jax.random.normal(b, (CHANNELS, 1, 1))

    def __call__(self, z, x):
        wide = jnp.pad(z, ((0, 0), (1, 1), (1, 1)), mode="wrap")
        conv = jax.lax.conv(wide[None], self.kernel, (1, 1), "VALID")[0]
        return 0.9 * jnp.tanh(conv) + self.lift * x


def large() -> dict:
    """Some steps of training with the large state."""
    keys = jax.random.split(jax.random.key(0), 3)
    anderson = Anderson(1e-4, window=3)
    layer = pj.nn.FixedPoint(Body(key=keys[0]), anderson, ImplicitAdjoint(linear=Stationary(anderson)), max_steps=60)
    model = layer, jax.random.normal(keys[1], (CHANNELS,)) / CHANNELS
    x = jax.random.normal(keys[2], (chosen.rounds, SIDE, SIDE))
    waves = jnp.fft.fftfreq(SIDE, 1 / SIDE)
    smooth = jnp.exp(-((waves[:, None] ** 2 + waves[None] ** 2) / 50))
    target = jnp.fft.ifft2(smooth * jnp.fft.fft2(x)).real
    optimiser = optax.adam(3e-3)
    start = jnp.zeros((CHANNELS, SIDE, SIDE))

    def loss(model, x, y):
        layer, out = model
        solution = layer.solve(x[None], start)
        misfit = jnp.tensordot(out, solution.value, 1) - y
        return jnp.mean(misfit**2) / jnp.mean(y**2), (solution.error, solution.stats["num_steps"], solution.ok)

    @jax.jit
    def train(weights, state, x, y):
        (value, told), gradient = jax.value_and_grad(lambda w: loss(eqx.combine(w, static), x, y), has_aux=True)(
            weights
        )
        update, state = optimiser.update(gradient, state)
        return optax.apply_updates(weights, update), state, (value, *told)

    weights, static = eqx.partition(model, eqx.is_array)
    state = optimiser.init(weights)
    memory = temporaries(train.lower(weights, state, x[0], target[0]).compile())
    rows, seconds = [], []
    for field, wanted in zip(x, target, strict=True):
        begun = clock(chosen.cores)
        weights, state, told = jax.block_until_ready(train(weights, state, field, wanted))
        seconds.append(clock(chosen.cores) - begun)
        rows.append([float(a) for a in told])
    losses, residuals, applications, flags = zip(*rows, strict=True)
    return {
        "unknowns": CHANNELS * SIDE**2,
        "loss": [rounded(a, 3) for a in losses],
        "residual": rounded(max(residuals), 3),
        "applications": [int(a) for a in applications],
        "all_converged": all(flags),
        "seconds_a_step": rounded(sorted(seconds)[len(seconds) // 2], 3),
        "temporaries_mb": memory,
        "dense_gb": rounded((CHANNELS * SIDE**2) ** 2 * 8 / 1e9, 3),
    }


def main() -> None:
    memory = {name: {n: of_iterations(adjoint, n) for n in (8, 64)} for name, adjoint in ADJOINTS.items()}
    growth = {name: rounded(sizes[64] / sizes[8], 3) for name, sizes in memory.items()}
    modules = (jax, eqx, optax)
    emit("deq_memory_1core", modules, temporaries_mb=memory, growth_8_to_64=growth, large=large(), cores=chosen.cores)


if __name__ == "__main__":
    main()
