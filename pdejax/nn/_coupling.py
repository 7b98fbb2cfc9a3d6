import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._perceptron import Perceptron


class AffineCoupling(eqx.Module):
    """An invertible map of vectors: `(a, b) -> (b exp(tanh(s(a))) + t(a), a)`, `a` the first half of the entries.

    The halves change places, so that a stack of these moves all entries. Inverse and forward map cost the same.

    **Shapes:** `(size,)` to `(size,)`. **Raises** `ValueError` for `size < 2`.

    Source: Dinh, Sohl-Dickstein & Bengio 2017, Density estimation using Real NVP, eqs. (4) to (8). The hyperbolic
    tangent bounds the condition of the map.
    """

    network: Perceptron
    size: int = eqx.field(static=True)

    def __init__(self, size: int, width: int, *, key: PRNGKeyArray):
        if size < 2:
            raise ValueError(f"a coupling divides its vector into two parts, got size={size!r}; write size=2 or more.")
        self.size = size
        self.network = Perceptron(size // 2, 2 * (size - size // 2), width, 1, key=key)

    def __call__(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        a, b = jnp.split(x, [self.size // 2])
        scale, shift = self._terms(a)
        return jnp.concatenate([b * scale + shift, a])

    def inverse(self, y: Float[Array, " size"]) -> Float[Array, " size"]:
        """The `x` with `coupling(x) = y`."""
        b, a = jnp.split(y, [self.size - self.size // 2])
        scale, shift = self._terms(a)
        return jnp.concatenate([a, (b - shift) / scale])

    def _terms(self, a: Array) -> tuple[Array, Array]:
        s, t = jnp.split(self.network(a[None])[0], 2)
        return jnp.exp(jnp.tanh(s)), t


class CouplingNetwork(eqx.Module):
    """An invertible network: `depth` affine couplings one after the other.

    **Shapes:** `(size,)` to `(size,)`. **Raises** `ValueError` for `size < 2`.
    """

    layers: tuple[AffineCoupling, ...]

    def __init__(self, size: int, width: int, depth: int, *, key: PRNGKeyArray):
        self.layers = tuple(AffineCoupling(size, width, key=k) for k in jax.random.split(key, depth))

    def __call__(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        for layer in self.layers:
            x = layer(x)
        return x

    def inverse(self, y: Float[Array, " size"]) -> Float[Array, " size"]:
        """The `x` with `network(x) = y`."""
        for layer in reversed(self.layers):
            y = layer.inverse(y)
        return y
