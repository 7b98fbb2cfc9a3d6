"""Steady diffusion networks, and how models of them are trained.

Delaunay networks of random points, conductances exp(U(-1, 1)), the leftmost and the rightmost tenth of the nodes held
at a value each in [1/10, 10], no sources: sum_j c_ij (u_i - u_j) = 0 elsewhere; truth by a dense direct solve. Loss and
error: mean of |prediction - u| / u over the nodes that are not held.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.spatial

from pdejax.nn import Graph

UPDATES, BATCH = 1500, 8


def network(rng, n, room):
    """One network and its solution; features: held or not and the value held, conductance."""
    x = rng.uniform(size=(n, 2))
    near, receivers = scipy.spatial.Delaunay(x[np.argsort(x[:, 0])]).vertex_neighbor_vertices
    senders = np.repeat(np.arange(n), np.diff(near))
    c = np.triu(np.exp(rng.uniform(-1, 1, (n, n))), 1)
    c = (c + c.T)[senders, receivers].astype(np.float32)
    nodes, side = np.zeros((n, 2), np.float32), max(1, n // 10)
    nodes[:side], nodes[-side:] = ([1, 10 ** rng.uniform(-1, 1)] for _ in range(2))
    matrix = np.zeros((n, n))
    matrix[receivers, senders] = -c
    matrix -= np.diag(matrix.sum(axis=1))
    u = np.linalg.solve(np.where(nodes[:, :1] > 0, np.eye(n), matrix), nodes[:, 1])
    return Graph.padded(nodes, c[:, None], senders, receivers, room, 6 * room), np.pad(u, (0, room - n)).astype("f4")


def networks(seed, count, low, high, room):
    rng = np.random.default_rng(seed)
    made = [network(rng, n, room) for n in rng.integers(low, high + 1, count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)


def error(model, graph, u):
    free = graph.node_mask & (graph.nodes[:, 0] == 0)
    made = model(graph)
    off = jnp.abs((made.nodes if isinstance(made, Graph) else made)[..., 0] - u) / jnp.where(free, u, 1)
    return jnp.sum(jnp.where(free, off, 0), axis=-1) / jnp.sum(free)


@eqx.filter_jit
def train(model, data, key):
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(3e-3, UPDATES)))
    loss = lambda p, batch: jnp.mean(jax.vmap(lambda g, u: error(eqx.combine(p, static), g, u))(*batch))

    def update(carry, key):
        index = jax.random.choice(key, len(data[1]), (BATCH,))
        change, state = optimizer.update(jax.grad(loss)(carry[0], jax.tree.map(lambda a: a[index], data)), carry[1])
        return (optax.apply_updates(carry[0], change), state), None

    (p, _), _ = jax.lax.scan(update, (parameters, optimizer.init(parameters)), jax.random.split(key, UPDATES))
    return eqx.combine(p, static)
