"""The baseline of configs/deeponet/antiderivative.yaml."""

import equinox as eqx
import jax
import jax.numpy as jnp

from pdejax.nn import Perceptron, nodes


class PlainNetwork(eqx.Module):
    """One perceptron of all values of a function and a point, `u(y) = N(a(x_1), .., a(x_m), y)`, `m` the sensors."""

    layers: Perceptron

    def __init__(self, sensors: int, width: int, depth: int, *, key):
        self.layers = Perceptron(sensors + 1, 1, width, depth, key=key)

    def __call__(self, a):
        points = jnp.asarray(nodes(a.grid), a.dtype)
        first, *others, last = self.layers.layers.layers
        # The first layer is affine: what it makes of the values is the same for all points.
        values, point = jnp.split(first.weight, [a.values.size], axis=1)
        h = (values @ a.values[0] + first.bias)[None] + points @ point.T
        for layer in others:
            h = jax.vmap(layer)(jax.nn.silu(h))
        return a.with_values(jax.vmap(last)(jax.nn.silu(h)).T)
