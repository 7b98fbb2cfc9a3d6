from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..nn import FixedPoint, Graph, GraphNetwork, Perceptron
from ..solvers import Picard, Solution


class GraphContraction(eqx.Module):
    """`z -> phi(gamma A_h z_h + b_h)` for every head `h`, the body of a `ConvergentGraphSolver`.

    Contracts by `gamma` in the sum of absolute values where the columns of `|A_h|` sum to 1 at most and `|phi'| <= 1`.

    **Arguments:** `gamma` in `(0, 1)`: what happens `k` edges away counts `gamma^k` at most; `activation`: `phi`, the
    identity by default, in which case the fixed point is linear in `b`.

    **Raises** `ValueError` for `gamma` outside `(0, 1)`.
    """

    gamma: float = eqx.field(static=True, default=0.5)
    activation: Callable[[Array], Array] = eqx.field(static=True, default=lambda z: z)

    def __check_init__(self):
        if not 0 < self.gamma < 1:
            raise ValueError(f"a contraction needs 0 < gamma < 1, got gamma={self.gamma!r}; write gamma=0.5.")

    def __call__(self, z: Float[Array, "n heads"], graph: Graph) -> Float[Array, "n heads"]:
        """One application; the features of the nodes are `b`, those of the edge `j -> i` are `A_h[i, j]`."""
        inflow = graph.collect(graph.edges * z[graph.senders])
        return self.activation(jnp.asarray(self.gamma, z.dtype) * inflow + graph.nodes)


class ConvergentGraphSolver(eqx.Module):
    """Convergent graph solver: the fixed points of contractions that a graph network writes down, decoded at each node.

    `(b, w) = encoder(graph)`, `A_h[i, j] = sigmoid(w_h[j -> i]) / outdegree(j)`, `z_h = phi(gamma A_h z_h + b_h)` for
    each head, `u = decoder(z)`. The columns of `A_h` sum to 1 at most: the fixed point exists and is unique for all
    parameters. It sees the whole graph however few rounds the encoder has.

    **Arguments:** `heads`; `width` and `depth` (rounds) of the encoder; `layer`: the implicit layer, Picard iteration
    of a `GraphContraction(0.5)` to 1e-6 by default. With `gamma` near 1 take
    `FixedPoint(GraphContraction(0.95), Anderson(1e-5), max_steps=200)`, or the Krylov method of the linear case,
    `FixedPoint(GraphContraction(0.95), InexactNewton(1e-6, 0.0, FGMRES(1e-6)))`.

    **Shapes:** graph with nodes `(n, in_nodes)`, edges `(e, in_edges)` to `(n, out_channels)`, zero where padded.

    **Raises** `ValueError` for a graph with other channel counts.

    Source: Park, Choo & Park 2022, Convergent graph solvers. Deviation: a sigmoid where the authors clip, since
    clipped weights get no gradient.
    """

    encoder: GraphNetwork
    layer: FixedPoint
    decoder: Perceptron

    def __init__(
        self,
        in_nodes: int,
        in_edges: int,
        out_channels: int,
        heads: int,
        width: int,
        depth: int,
        *,
        layer: FixedPoint | None = None,
        key: PRNGKeyArray,
    ):
        a, b = jax.random.split(key)
        self.encoder = GraphNetwork(in_nodes, in_edges, heads, heads, width, depth, key=a)
        self.layer = FixedPoint(GraphContraction(), Picard(1e-6)) if layer is None else layer
        self.decoder = Perceptron(heads, out_channels, width, 1, key=b)

    def __call__(self, graph: Graph) -> Float[Array, "n out"]:
        u = self.decoder(self.solve(graph).value)
        return jnp.where(graph.node_mask[:, None], u, 0)

    def solve(self, graph: Graph) -> Solution:
        """The fixed points `(n, heads)` with residual, result and counts."""
        contraction = self.contraction(graph)
        return self.layer.solve(contraction, contraction.nodes)

    def contraction(self, graph: Graph) -> Graph:
        """The graph with `b` at its nodes and `A` on its edges, one channel a head."""
        written = self.encoder(graph)
        share = jnp.maximum(graph.outdegree(), 1).astype(written.edges.dtype)[graph.senders]
        return written.with_features(written.nodes, jax.nn.sigmoid(written.edges) / share[:, None])
