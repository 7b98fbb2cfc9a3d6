import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray


class Perceptron(eqx.Module):
    """A multilayer perceptron applied to each row: `x W_0 -> silu -> W_1 -> .. -> W_depth`, in the dtype of `x`.

    **Shapes:** `(n, in_channels)` to `(n, out_channels)`; `depth` hidden layers of `width`, affine with `depth=0`.
    """

    layers: eqx.nn.MLP

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int, *, key: PRNGKeyArray):
        self.layers = eqx.nn.MLP(in_channels, out_channels, width, depth, jax.nn.silu, key=key)

    def __call__(self, x: Array) -> Array:
        layers = jax.tree.map(lambda p: p.astype(x.dtype) if eqx.is_inexact_array(p) else p, self.layers)
        return jax.vmap(layers)(x)
