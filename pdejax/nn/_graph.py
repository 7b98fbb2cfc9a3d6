import dataclasses
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._perceptron import Perceptron


class Graph(eqx.Module):
    """A directed graph with features, padded to fixed sizes: graphs of different sizes share one compiled program, and
    `vmap` makes batches.

    **Shapes:** `nodes` `(n, node channels)`, `edges` `(e, edge channels)`, `senders`, `receivers` `(e,)` (an edge leads
    from `senders[k]` to `receivers[k]`), `node_mask` `(n,)` and `edge_mask` `(e,)`, false where padded. Padded edges
    carry nothing; padded nodes meet no edge.
    """

    nodes: Float[Array, "n c"]
    edges: Float[Array, "e d"]
    senders: Int[Array, " e"]
    receivers: Int[Array, " e"]
    node_mask: Bool[Array, " n"]
    edge_mask: Bool[Array, " e"]

    @classmethod
    def padded(cls, nodes, edges, senders, receivers, num_nodes: int, num_edges: int) -> Self:
        """A graph with room for `num_nodes` nodes and `num_edges` edges, from arrays of its own sizes.

        **Raises** `ValueError` if it does not fit, or if an edge ends at no node.
        """
        nodes, edges = np.asarray(nodes), np.asarray(edges)
        ends = [np.asarray(i, np.int32) for i in (senders, receivers)]
        n, e = len(nodes), len(edges)
        if n > num_nodes or e > num_edges:
            raise ValueError(
                f"a graph with {n} nodes and {e} edges does not fit into {num_nodes} and {num_edges}; "
                f"write num_nodes={n}, num_edges={e} or more."
            )
        for name, i in zip(("senders", "receivers"), ends, strict=True):
            if i.shape != (e,) or np.any((i < 0) | (i >= n)):
                raise ValueError(
                    f"{e} edges need {e} {name} among the nodes 0 .. {n - 1}, got {i} of shape {i.shape}; "
                    "count nodes from 0."
                )
        fill = lambda a, size: jnp.asarray(np.pad(a, [(0, size - len(a)), *[(0, 0)] * (a.ndim - 1)]))
        marks = (fill(np.ones(n, bool), num_nodes), fill(np.ones(e, bool), num_edges))
        return cls(fill(nodes, num_nodes), fill(edges, num_edges), *(fill(i, num_edges) for i in ends), *marks)

    def with_features(self, nodes: Float[Array, "n c"], edges: Float[Array, "e d"]) -> Self:
        """The same graph with other features, which are set to zero where it is padded."""
        nodes, edges = _masked(nodes, self.node_mask), _masked(edges, self.edge_mask)
        return dataclasses.replace(self, nodes=nodes, edges=edges)

    def collect(self, messages: Float[Array, "e d"]) -> Float[Array, "n d"]:
        """At each node the sum of the messages on the edges that lead to it."""
        messages = _masked(messages, self.edge_mask)
        return jax.ops.segment_sum(messages, self.receivers, self.node_mask.shape[0])

    def outdegree(self) -> Int[Array, " n"]:
        """How many edges leave each node; zero at padded nodes."""
        return jax.ops.segment_sum(self.edge_mask.astype(int), self.senders, self.node_mask.shape[0])


class GraphNetwork(eqx.Module):
    """Graph in, graph out, by `depth` rounds of message passing between affine maps of the features.

    `e <- e + phi_e(e, v_sender, v_receiver)`, `v <- v + phi_v(v, sum of e over the edges that lead here)`, with
    perceptrons `phi` of one hidden layer. Permuting the nodes permutes the result.

    **Shapes:** nodes `(n, in_nodes)` to `(n, out_nodes)`, edges `(e, in_edges)` to `(e, out_edges)`; zero where padded.

    **Raises** `ValueError` for a graph with other channel counts.

    Source: Battaglia et al. 2018, Relational inductive biases, algorithm 1 without the global part; the sums `v + ..`
    and `e + ..` are ours.
    """

    lift: tuple[Perceptron, Perceptron]
    rounds: tuple["_Round", ...]
    project: tuple[Perceptron, Perceptron]
    in_channels: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self,
        in_nodes: int,
        in_edges: int,
        out_nodes: int,
        out_edges: int,
        width: int,
        depth: int,
        *,
        key: PRNGKeyArray,
    ):
        a, b, c, d, *keys = jax.random.split(key, 4 + depth)
        affine = lambda came, made, key: Perceptron(came, made, width, 0, key=key)
        self.lift = (affine(in_nodes, width, a), affine(in_edges, width, b))
        self.rounds = tuple(_Round(width, key=k) for k in keys)
        self.project = (affine(width, out_nodes, c), affine(width, out_edges, d))
        self.in_channels = (in_nodes, in_edges)

    def __call__(self, graph: Graph) -> Graph:
        came = (graph.nodes.shape[-1], graph.edges.shape[-1])
        if came != self.in_channels:
            raise ValueError(
                f"GraphNetwork was built with in_nodes, in_edges = {self.in_channels} and got a graph with {came} "
                f"channels; write in_nodes={came[0]}, in_edges={came[1]}."
            )
        v, e = self.lift[0](graph.nodes), self.lift[1](graph.edges)
        for layer in self.rounds:
            v, e = layer(v, e, graph)
        return graph.with_features(self.project[0](v), self.project[1](e))


class _Round(eqx.Module):
    along: Perceptron
    at: Perceptron

    def __init__(self, width: int, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.along = Perceptron(3 * width, width, width, 1, key=a)
        self.at = Perceptron(2 * width, width, width, 1, key=b)

    def __call__(self, v: Array, e: Array, graph: Graph) -> tuple[Array, Array]:
        e = e + self.along(jnp.concatenate([e, v[graph.senders], v[graph.receivers]], axis=-1))
        return v + self.at(jnp.concatenate([v, graph.collect(e)], axis=-1)), e


def _masked(x: Array, mask: Array) -> Array:
    return jnp.where(mask[:, None], x, 0)
