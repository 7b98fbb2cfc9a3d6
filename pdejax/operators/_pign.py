import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..nn import Graph, GraphNetwork


class PIGN(eqx.Module):
    """Picard iteration through a graph network: `u_{k+1} = (1 - a) u_k + a T(u_k; graph)`, `k = 0 .. steps - 1`.

    `T` is one `GraphNetwork` on the features of the graph (which hold the data of the problem in every step) beside the
    current `u`; its weights are the same in all steps. Start from damaged values, with zero where they are missing and
    a channel of the graph that tells where; train with a random number of steps and take more of them afterwards.
    `refine` is the map of `nn.FixedPoint(model.refine, ..)`, for as many steps as a tolerance asks.

    **Arguments:** `average`: `a` in `(0, 1]`.

    **Shapes:** graph with nodes `(n, in_nodes)`, edges `(e, in_edges)`, and `u` `(n, out_channels)` to
    `(n, out_channels)`, zero where padded.

    **Raises** `ValueError` for an average outside `(0, 1]`.

    Source: in the spirit of Zappala et al. 2024, Operator learning meets numerical analysis; their schedule of damage
    was not at hand.
    """

    network: GraphNetwork
    average: float = eqx.field(static=True)

    def __init__(
        self,
        in_nodes: int,
        in_edges: int,
        out_channels: int,
        width: int,
        depth: int,
        *,
        average: float = 1.0,
        key: PRNGKeyArray,
    ):
        if not 0 < average <= 1:
            raise ValueError(f"an average lies in (0, 1], got average={average!r}; write average=0.5.")
        self.network = GraphNetwork(in_nodes + out_channels, in_edges, out_channels, 0, width, depth, key=key)
        self.average = float(average)

    def __call__(self, graph: Graph, u: Float[Array, "n out"], steps: int) -> Float[Array, "n out"]:
        return self.iterates(graph, u, steps)[-1]

    def iterates(self, graph: Graph, u: Float[Array, "n out"], steps: int) -> Float[Array, "steps n out"]:
        """`u_1 .. u_steps`."""
        step = lambda u, _: (self.refine(u, graph),) * 2
        return jax.lax.scan(step, u, length=steps)[1]

    def refine(self, u: Float[Array, "n out"], graph: Graph) -> Float[Array, "n out"]:
        """One damped step."""
        nodes = jnp.concatenate([graph.nodes, u], axis=-1)
        image = self.network(graph.with_features(nodes, graph.edges)).nodes
        return u + jnp.asarray(self.average, u.dtype) * (image - u)
