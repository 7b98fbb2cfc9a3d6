import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ._checks import check_channels


class Pointwise(eqx.Module):
    """Affine map of the channels, the same at every point: `v(x) = W u(x) + b`, in any dimension.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`; `weight` `(out, in)`, `bias` `(out,)`.

    **Raises** `ValueError` for a wrong channel count.

    Source: the lifting, projection and local maps of Li et al. 2021, eq. (2). Both arrays are drawn uniformly within
    `1 / sqrt(in)`, as a 1x1 convolution usually is.
    """

    weight: Array
    bias: Array

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        bound = 1 / float(np.sqrt(in_channels))
        self.weight = jax.random.uniform(a, (out_channels, in_channels), minval=-bound, maxval=bound)
        self.bias = jax.random.uniform(b, (out_channels,), minval=-bound, maxval=bound)

    def __call__(self, u: GridField) -> GridField:
        check_channels("Pointwise", self.weight.shape[-1], u)
        return u.with_values(self.on_values(u.values))

    def on_values(self, u: Array) -> Array:
        """The map on values `(in_channels, *n)`."""
        bias = self.bias.astype(u.dtype).reshape(-1, *(1,) * (u.ndim - 1))
        return _product(self.weight, u) + bias

    def on_homogeneous(self, u: Array) -> Array:
        """The map on values `(in_channels + 1, *n)` whose last channel is one: the bias is a column of the weight.

        XLA takes a sum for cheap, and computes it again for each of several readers; a product is computed once.
        """
        return _product(jnp.concatenate([self.weight, self.bias[:, None]], axis=1), u)


def _product(weight: Array, u: Array) -> Array:
    v = u.reshape(u.shape[0], -1)
    # Adding a zero that depends on `u` lets the weight follow `u` into a batch under vmap: one matrix product per
    # sample leaves the fields in place, where XLA:CPU otherwise transposes them (gradient 2.7 times faster at 64^2).
    weight = weight.astype(u.dtype) + 0 * jax.lax.stop_gradient(v[:1, :1])
    return (weight @ v).reshape(-1, *u.shape[1:])
