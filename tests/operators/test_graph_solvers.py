import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax.nn import FixedPoint
from pdejax.nn._graph import Graph
from pdejax.operators._convergent_graph_solver import ConvergentGraphSolver, GraphContraction
from pdejax.operators._pign import PIGN
from pdejax.solvers import FGMRES, Anderson, InexactNewton, Picard

KEY = jax.random.key(0)


def random_graph(seed: int, n: int = 9, dtype=np.float64) -> Graph:
    rng = np.random.default_rng(seed)
    senders, receivers = np.nonzero(rng.random((n, n)) < 0.4)
    nodes, edges = rng.normal(size=(n, 2)), rng.normal(size=(len(senders), 1))
    return Graph.padded(nodes.astype(dtype), edges.astype(dtype), senders, receivers, 12, 90)


@eqx.filter_jit
def build(layer=None) -> ConvergentGraphSolver:
    return ConvergentGraphSolver(2, 1, 3, 4, 5, 0, layer=layer, key=KEY)


def dense(contraction: Graph, gamma: float) -> np.ndarray:
    """The fixed points of all heads by dense matrices, and the norms of these matrices."""
    n, heads = contraction.nodes.shape
    matrices = np.zeros((heads, n, n))
    live = np.asarray(contraction.edge_mask)
    senders, receivers = (np.asarray(i)[live] for i in (contraction.senders, contraction.receivers))
    matrices[:, receivers, senders] = np.asarray(contraction.edges)[live].T
    b = np.asarray(contraction.nodes).T[..., None]
    return np.linalg.solve(np.eye(n) - gamma * matrices, b)[..., 0].T, np.abs(matrices).sum(axis=1).max()


METHODS = [
    pytest.param(0.5, Picard(1e-12), id="picard"),
    pytest.param(0.95, Anderson(1e-11), id="anderson", marks=pytest.mark.slow),
    pytest.param(0.95, InexactNewton(1e-11, 0.0, FGMRES(1e-11)), id="krylov", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("gamma,how", METHODS)
def test_all_heads_solve_their_linear_systems(gamma, how):
    model, graph = build(FixedPoint(GraphContraction(gamma), how, max_steps=300)), random_graph(0)
    solution, contraction = eqx.filter_jit(lambda m, g: (m.solve(g), m.contraction(g)))(model, graph)
    truth, norm = dense(contraction, gamma)
    assert norm <= 1
    np.testing.assert_allclose(solution.value, truth, atol=1e-8)


def test_thirty_iterations_suffice():
    """The default layer, gamma = 0.5 and Picard to 1e-6, in single precision."""
    model = build()
    graphs = [random_graph(seed, dtype=np.float32) for seed in range(4)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *graphs)
    solve = eqx.filter_jit(jax.vmap(lambda g: (model.solve(g), model(g))))
    solution, u = solve(batch)
    assert u.dtype == np.float32 and u.shape == (4, 12, 3) and not np.any(u[:, 9:])
    assert np.all(solution.error <= 1e-6) and np.all(solution.stats["num_steps"] <= 30)
    assert len(set(np.asarray(solution.stats["num_steps"]).tolist())) > 1


def test_gradient_is_that_of_the_unrolled_iteration():
    graph, model = random_graph(1), build(FixedPoint(GraphContraction(0.5), Picard(1e-12)))

    def unrolled(model):
        g = model.contraction(graph)
        z = jax.lax.scan(lambda z, _: (model.layer.body(z, g), None), g.nodes, length=60)[0]
        return jnp.sum(jnp.where(graph.node_mask[:, None], model.decoder(z), 0) ** 2)

    losses = (lambda m: jnp.sum(m(graph) ** 2), unrolled)
    ours, theirs = (jax.tree.leaves(eqx.filter_jit(eqx.filter_grad(loss))(model)) for loss in losses)
    assert all(np.any(g != 0) for g in ours)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_a_nonlinear_activation_contracts_too():
    layer = FixedPoint(GraphContraction(0.9, jnp.tanh), Picard(1e-10), max_steps=300)
    model = build(layer)
    solution, g = eqx.filter_jit(lambda m, g: (m.solve(g), m.contraction(g)))(model, random_graph(2))
    z = solution.value
    inflow = np.zeros_like(z)
    np.add.at(inflow, np.asarray(g.receivers), np.where(g.edge_mask[:, None], g.edges * z[g.senders], 0))
    np.testing.assert_allclose(z, np.tanh(0.9 * inflow + g.nodes), atol=1e-8)


def test_iterates_lead_to_the_fixed_point():
    model = eqx.filter_jit(lambda key: PIGN(2, 1, 1, 5, 1, average=0.5, key=key))(KEY)
    graph = random_graph(3)
    # A map that contracts: the untrained network made small.
    model = eqx.tree_at(lambda m: m.network.project[0].layers.layers[0].weight, model, replace_fn=lambda w: 0.1 * w)
    start = jnp.zeros((12, 1))
    iterates = eqx.filter_jit(lambda m: m.iterates(graph, start, 80))(model)
    found = FixedPoint(model.refine, Picard(1e-12), max_steps=200)(graph, start)
    np.testing.assert_allclose(iterates[-1], found, atol=1e-10)
    by_hand = start
    network = eqx.filter_jit(model.network)
    for u in iterates[:2]:
        nodes = dataclasses.replace(graph, nodes=jnp.concatenate([graph.nodes, by_hand], axis=1))
        by_hand = (by_hand + network(nodes).nodes) / 2
        np.testing.assert_allclose(u[:9], by_hand[:9], atol=1e-13)
    np.testing.assert_allclose(eqx.filter_jit(model)(graph, start, 3), iterates[2], atol=1e-13)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="gamma"):
        GraphContraction(1.0)
    with pytest.raises(ValueError, match="average"):
        PIGN(2, 1, 1, 5, 1, average=0.0, key=KEY)
