from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._perceptron import Perceptron


class Projection(eqx.Module):
    """A projection to be learnt, `x -> decode(encode(x))` through `rank` numbers, made idempotent by its losses.

    **Shapes:** `(size,)` to `(size,)`. **Raises** `ValueError` unless `1 <= rank < size`.
    """

    encode: Perceptron
    decode: Perceptron

    def __init__(self, size: int, rank: int, width: int, depth: int, *, key: PRNGKeyArray):
        if not 1 <= rank < size:
            raise ValueError(f"a projection has 1 <= rank < size={size}, got rank={rank!r}; write rank={size // 2}.")
        a, b = jax.random.split(key)
        self.encode = Perceptron(size, rank, width, depth, key=a)
        self.decode = Perceptron(rank, size, width, depth, key=b)

    def __call__(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        return self.decode(self.encode(x[None]))[0]


class IdempotentLosses(eqx.Module):
    """The losses of an idempotent generative network `f`, for one sample `x` of the data and one other input `z`.

    `reconstruction = |f(x) - x|^2`: the data stay where they are. `idempotence = |g(f(z)) - f(z)|^2` with a copy `g` of
    `f` whose parameters are constant: what `f` yields stays where it is. `tightness = -|f(g(z)) - g(z)|^2`, bent to
    stay above `-clip reconstruction` by a hyperbolic tangent: nothing else does. Means over entries.

    **Arguments:** weights of the last two, and `clip`. `z` is noise, or damaged data to learn a corrector.

    Source: Shocher et al. 2024, Idempotent generative network, section 2 and the listing of its training loop, both
    from memory.
    """

    idempotence: float = 1.0
    tightness: float = 0.1
    clip: float = 1.5

    def __call__(self, f: Callable[[Array], Array], x: Array, z: Array) -> Array:
        """The weighted sum, a scalar."""
        terms = self.terms(f, x, z)
        weights = (1.0, self.idempotence, self.tightness)
        return sum(jnp.asarray(w, t.dtype) * t for w, t in zip(weights, terms, strict=True))

    def terms(self, f: Callable[[Array], Array], x: Array, z: Array) -> tuple[Array, Array, Array]:
        """Reconstruction, idempotence, and clipped tightness."""
        frozen = jax.tree.map(lambda p: jax.lax.stop_gradient(p) if eqx.is_array(p) else p, f)
        y = f(z)
        fixed = jax.lax.stop_gradient(y)
        reconstruction, idempotence = _square(f(x) - x), _square(frozen(y) - y)
        most = jnp.asarray(self.clip, x.dtype) * jax.lax.stop_gradient(reconstruction)
        left = _square(f(fixed) - fixed) / jnp.where(most > 0, most, 1)
        return reconstruction, idempotence, -jnp.tanh(left) * most


def _square(x: Array) -> Array:
    return jnp.mean(x**2)
