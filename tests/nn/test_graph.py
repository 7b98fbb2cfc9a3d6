import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax.nn._graph import Graph, GraphNetwork

KEY = jax.random.key(0)


def ring(n: int, seed: int = 0, dtype=np.float64):
    """Features and edges `j -> j + 1, j + 2` of a ring."""
    rng = np.random.default_rng(seed)
    senders = np.repeat(np.arange(n), 2)
    receivers = (senders + np.tile([1, 2], n)) % n
    return rng.normal(size=(n, 3)).astype(dtype), rng.normal(size=(2 * n, 2)).astype(dtype), senders, receivers


@eqx.filter_jit
def network(key) -> GraphNetwork:
    return GraphNetwork(3, 2, 4, 1, 6, 1, key=key)


def test_messages_arrive_as_a_sparse_matrix_says():
    nodes, edges, senders, receivers = ring(5)
    graph = Graph.padded(nodes, edges, senders, receivers, 8, 13)
    messages = jax.random.normal(KEY, (13, 4))
    incidence = np.zeros((8, 13))
    incidence[receivers, np.arange(10)] = 1
    np.testing.assert_allclose(graph.collect(messages), incidence @ messages, atol=1e-14)
    np.testing.assert_array_equal(graph.outdegree(), [2] * 5 + [0] * 3)


def test_padding_changes_nothing():
    dtype = np.float32
    nodes, edges, senders, receivers = ring(5, dtype=dtype)
    model = eqx.filter_jit(network(KEY))
    tight = model(Graph.padded(nodes, edges, senders, receivers, 5, 10))
    roomy = model(Graph.padded(nodes, edges, senders, receivers, 9, 17))
    assert roomy.nodes.dtype == roomy.edges.dtype == dtype
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(roomy.nodes[:5], tight.nodes, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(roomy.edges[:10], tight.edges, rtol=tolerance, atol=tolerance)
    assert not np.any(roomy.nodes[5:]) and not np.any(roomy.edges[10:])


def test_order_of_nodes_and_batches():
    nodes, edges, senders, receivers = ring(5)
    order = np.random.default_rng(1).permutation(5)
    place = np.argsort(order)
    graphs = [
        Graph.padded(nodes, edges, senders, receivers, 6, 11),
        Graph.padded(nodes[order], edges, place[senders], place[receivers], 6, 11),
    ]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *graphs)
    first, second = eqx.filter_jit(lambda model, batch: jax.vmap(model)(batch))(network(KEY), batch).nodes
    np.testing.assert_allclose(second[:5], first[order], atol=1e-13)


def test_every_parameter_has_a_gradient():
    graph = Graph.padded(*ring(5), 6, 11)
    model = network(KEY)
    loss = lambda m: jnp.sum(m(graph).nodes ** 2) + jnp.sum(m(graph).edges ** 2)
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(eqx.filter_jit(eqx.filter_grad(loss))(model)))


def test_bad_graphs_are_told():
    nodes, edges, senders, receivers = ring(5)
    with pytest.raises(ValueError, match="num_nodes=5"):
        Graph.padded(nodes, edges, senders, receivers, 4, 10)
    with pytest.raises(ValueError, match="10 receivers"):
        Graph.padded(nodes, edges, senders, receivers[1:], 5, 10)
    with pytest.raises(ValueError, match="10 senders"):
        Graph.padded(nodes, edges, senders + 1, receivers, 5, 10)
    with pytest.raises(ValueError, match="in_nodes=2"):
        network(KEY)(Graph.padded(nodes[:, :2], edges, senders, receivers, 5, 10))
