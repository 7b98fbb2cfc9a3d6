from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ._lipschitz import gram_bound


class Monotone(eqx.Module):
    """Body of a monotone operator network: its fixed point `z = act(W z + U x + b)` exists and is unique for all
    parameters, `W = (1 - m) I - A^T A + B - B^T`.

    `I - W` is strongly monotone with constant `m`, and activations with slopes in `[0, 1]` are proximal operators, so
    forward-backward splitting `z+ = prox_a(z - a ((I - W) z - U x - b))` converges from everywhere. The body is that
    step, with the safe size `a = m / L^2`, `L >= ||I - W||_2` by Gram iteration: each application shrinks distances by
    `sqrt(1 - (m / L)^2)` at least. Anderson's acceleration needs far fewer of them.

    `prox_a` is `act` itself for relu; for others `(1 - a) act(u) + a u = v` is solved for `u` by Newton's iteration,
    which converges monotonically for odd activations that are concave for positive arguments.

    **Arguments:** `margin`: `m`; `activation`: `jnp.tanh` (default), `jax.nn.relu`.

    **Shapes:** `z` `(width,)`, `x` `(in_features,)` to `(width,)`; `a`, `b` `(width, width)`, `inputs` `(width,
    in_features)`, `bias` `(width,)`.

    **Raises** `ValueError` unless the margin is positive.

    Source: Winston & Kolter 2020, eqs. (8)-(9), algorithm 1.
    """

    a: Array
    b: Array
    inputs: Array
    bias: Array
    margin: float = eqx.field(static=True)
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        width: int,
        *,
        margin: float = 1.0,
        activation: Callable[[Array], Array] = jnp.tanh,
        key: PRNGKeyArray,
    ):
        if not margin > 0:
            raise ValueError(f"the margin of a monotone operator is positive, got margin={margin!r}; write margin=1.0.")
        self.margin, self.activation = float(margin), activation
        keys, bound, reach = jax.random.split(key, 4), float(width) ** -0.5, float(in_features) ** -0.5
        self.a, self.b = (jax.random.uniform(k, (width, width), minval=-bound, maxval=bound) for k in keys[:2])
        self.inputs = jax.random.uniform(keys[2], (width, in_features), minval=-reach, maxval=reach)
        self.bias = jax.random.uniform(keys[3], (width,), minval=-reach, maxval=reach)

    @property
    def weight(self) -> Array:
        """`W`, `(width, width)`."""
        gram = jnp.matmul(self.a.T, self.a, precision="highest")
        return (1 - self.margin) * jnp.eye(len(self.a), dtype=self.a.dtype) - gram + self.b - self.b.T

    def __call__(self, z: Array, x: Array) -> Array:
        operator = jnp.eye(len(self.a), dtype=self.a.dtype) - self.weight
        step = (self.margin / gram_bound(operator, 6) ** 2).astype(z.dtype)
        data = self.inputs.astype(z.dtype) @ x.astype(z.dtype) + self.bias.astype(z.dtype)
        return proximal(self.activation, step, z - step * (operator.astype(z.dtype) @ z - data))


def proximal(activation: Callable[[Array], Array], step: Array, v: Array) -> Array:
    """The proximal operator of `a f`, where `activation` is that of `f`: `act(u)` with `(1 - a) act(u) + a u = v`."""

    def excess(u: Array) -> tuple[Array, Array]:
        value, slope = jax.jvp(activation, (u,), (jnp.ones_like(u),))
        return (1 - step) * value + step * u - v, (1 - step) * slope + step

    def newton(u: Array, _=None) -> tuple[Array, None]:
        value, slope = excess(u)
        return u - value / jax.lax.stop_gradient(slope), None

    found, _ = jax.lax.scan(newton, v, length=12)
    # One more step, with the derivative of the solution.
    return activation(newton(jax.lax.stop_gradient(found))[0])
