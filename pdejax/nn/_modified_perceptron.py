from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ._checks import check_counts
from ._perceptron import Perceptron


class ModifiedPerceptron(eqx.Module):
    """Perceptron whose layers blend two encodings of the input: `h <- (1 - z) U + z V`, `z = s(W h + b)`.

    `U = s(W_u x + b_u)`, `V = s(W_v x + b_v)`, `h_1 = s(W_1 x + b_1)`, then `depth` gated layers and an affine map.

    **Arguments:** `activation`: `s`, tanh by default.

    **Shapes:** `(n, in_channels)` to `(n, out_channels)`.

    Source: Wang, Teng & Perdikaris 2021, Understanding and mitigating gradient flow pathologies in physics-informed
    neural networks.
    """

    encoders: tuple[Perceptron, Perceptron]
    layers: tuple[Perceptron, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        depth: int,
        *,
        activation: Callable[[Array], Array] = jnp.tanh,
        key: PRNGKeyArray,
    ):
        check_counts("ModifiedPerceptron", in_channels=in_channels, out_channels=out_channels, width=width, depth=depth)
        affine = lambda came, made, key: Perceptron(came, made, width, 0, key=key)
        a, b, *keys = jax.random.split(key, depth + 4)
        self.encoders = (affine(in_channels, width, a), affine(in_channels, width, b))
        sizes = [in_channels, *[width] * (depth + 1), out_channels]
        self.layers = tuple(map(affine, sizes[:-1], sizes[1:], keys))
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        first, second = (self.activation(encoder(x)) for encoder in self.encoders)
        h = self.activation(self.layers[0](x))
        for layer in self.layers[1:-1]:
            z = self.activation(layer(h))
            h = (1 - z) * first + z * second
        return self.layers[-1](h)
