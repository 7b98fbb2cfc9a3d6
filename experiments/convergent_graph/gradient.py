"""The implicit gradient against that of the unrolled iteration, `python experiments/convergent_graph/gradient.py`.

A network of networks.py and an untrained solver in double precision, gamma = 0.5, Picard to 1e-12 against 60 unrolled
applications; then the iterations that the default layer takes, single precision to 1e-6, on 256 networks.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from networks import error, network, networks

from pdejax.nn import FixedPoint
from pdejax.operators._convergent_graph_solver import ConvergentGraphSolver, GraphContraction
from pdejax.solvers import Picard


def unrolled(model, graph):
    contraction = model.contraction(graph)
    body = lambda z, _: (model.layer.body(z, contraction), None)
    return model.decoder(jax.lax.scan(body, contraction.nodes, length=60)[0])


if __name__ == "__main__":
    model = ConvergentGraphSolver(2, 1, 1, 16, 32, 1, key=jax.random.key(0))
    graphs = networks(1001, 256, 20, 50, 64)[0]
    steps = eqx.filter_jit(lambda m, g: jax.vmap(m.solve)(g))(model, graphs).stats["num_steps"]
    print(f"iterations: mean {steps.mean():.1f}, most {steps.max()}")
    with jax.enable_x64(True):
        double = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, float) if eqx.is_inexact_array_like(a) else a, tree)
        layer = FixedPoint(GraphContraction(0.5), Picard(1e-12))
        model = double(ConvergentGraphSolver(2, 1, 1, 16, 32, 1, layer=layer, key=jax.random.key(0)))
        graph, u = double(network(np.random.default_rng(0), 40, 64))
        losses = (lambda m: error(m, graph, u), lambda m: error(lambda g: unrolled(m, g), graph, u))
        ours, theirs = (jax.tree.leaves(eqx.filter_jit(eqx.filter_grad(loss))(model)) for loss in losses)
        off = max(float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in zip(ours, theirs, strict=True))
        print(f"largest relative deviation of {len(ours)} gradients: {off:.1e}")
