"""Trajectories of Burgers' equation, and how models of them are trained.

u_t + u u_x = 0.01 u_xx, periodic on (0, 1), from a sin 2 pi (x - p) + b sin 4 pi (x - q), a in [1/2, 1], b in
[-1/2, 1/2]; ETDRK4 on 64 nodes, 20 steps of 0.05 kept.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import pdejax as pj

N, STEPS, BATCH = 64, 20, 16
GRID = pj.Grid(x=pj.Fourier(N, length=1.0))


def trajectories(seed, count):
    """`(count, STEPS + 1, N)`."""
    a, b, p, q = np.random.default_rng(seed).uniform([0.5, -0.5, 0, 0], [1, 0.5, 1, 1], (count, 4)).T[..., None]
    x, turn = np.arange(N) / N, 2 * np.pi
    start = jnp.asarray(a * np.sin(turn * (x - p)) + b * np.sin(2 * turn * (x - q)), jnp.float32)
    equation, ts = pj.equations.Burgers(viscosity=0.01), jnp.linspace(0, 1, STEPS + 1)
    problem = lambda u: pj.EvolutionProblem(equation, pj.GridField(u[None], GRID), t0=0.0, t1=1.0)
    one = lambda u: pj.solve(problem(u), pj.solvers.ETDRK4(dt=5e-3), save_at=ts).value.values[:, 0]
    return jax.jit(jax.vmap(one))(start)


def relative(found, wanted):
    return jnp.mean(jnp.linalg.norm(found - wanted, axis=-1) / jnp.linalg.norm(wanted, axis=-1))


@eqx.filter_jit
def train(model, loss, data, key, updates):
    """Adam on the mean of `loss(model, sample, key)` over batches."""
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(2e-3, updates)))

    def update(carry, key):
        batch = data[jax.random.choice(key, len(data), (BATCH,))]
        sample = lambda p: jax.vmap(lambda u, k: loss(eqx.combine(p, static), u, k))(
            batch, jax.random.split(key, BATCH)
        )
        change, state = optimizer.update(jax.grad(lambda p: jnp.mean(sample(p)))(carry[0]), carry[1])
        return (optax.apply_updates(carry[0], change), state), None

    (p, _), _ = jax.lax.scan(update, (parameters, optimizer.init(parameters)), jax.random.split(key, updates))
    return eqx.combine(p, static)
