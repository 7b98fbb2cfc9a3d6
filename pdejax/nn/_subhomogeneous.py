from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray


def subhomogeneity(activation: Callable[[Array], Array], shift: float, signed: bool = True) -> float:
    """The degree `mu = max_x |x| |s'(x)| / (s(x) + shift)` to which `s + shift` is subhomogeneous.

    The maximum is searched for `1e-4 <= |x| <= 1e8`, among positive arguments only if not `signed`. Infinite where
    `s + shift` is not positive or not finite.

    Source: Sittoni & Tudisco 2024. With `tanh`: 0.9991 for the shift 1.2 and 0.4992 for 1.603.
    """
    size = np.logspace(-4, 8, 1201)
    x = np.concatenate([-size[::-1], size]) if signed else size
    ratio = _ratio(activation, shift, x)
    at = x[np.argmax(ratio)]
    near = at * np.logspace(-0.02, 0.02, 2001)
    return float(max(ratio.max(), _ratio(activation, shift, near).max()))


def _ratio(activation: Callable[[Array], Array], shift: float, x: np.ndarray) -> np.ndarray:
    # Layers are also built inside of jit and vmap.
    with jax.ensure_compile_time_eval():
        value, slope = jax.jvp(activation, (jnp.asarray(x, float),), (jnp.ones(x.shape, float),))
    value, growth = np.asarray(value) + shift, np.abs(x * np.asarray(slope))
    positive = (value > 0) & np.isfinite(value)
    return np.where(positive, growth / np.where(positive, value, 1), np.inf)


class Subhomogeneous(eqx.Module):
    """Body of an implicit layer with one positive fixed point: `z+ = tanh(|W| z) + relu(U x + b) + shift`.

    A positive, order-preserving map with `F'(z) z <= mu F(z)`, `mu < 1`, shrinks distances `max_i |log z_i - log w_i|`
    (Thompson's metric) by the factor `mu`: there is one fixed point among positive vectors, and Picard iteration
    converges to it from any of them, for weights of any size. With `normalise`, `F(z) / max_i F_i(z)`, the same holds
    in Hilbert's metric. Start from ones.

    `signed=True` is the map of Sittoni & Tudisco 2024, with `W` in place of `|W|` and `mu` over all arguments, below 1
    (below 1/2 if normalised). It often converges where `tanh(W z + ..)` does not, but `mu` certifies nothing for
    weights of both signs: with `W = k [[1, -1], [-1, 1]]` the difference of the components solves `d = 2 tanh(k d)`
    for every shift, which has three solutions for `k > 1/2`.

    **Shapes:** `z` `(width,)`, `x` `(in_features,)` to `(width,)`; `weight` `(width, width)`, `inputs` `(width,
    in_features)`, `bias` `(width,)`.

    **Raises** `ValueError` for a shift with `mu >= 1` (with `mu >= 1/2` if signed and normalised).

    Source: Sittoni & Tudisco 2024 (with its shifts 1.2, and 1.603 if normalised); non-negative weights, Gabor,
    Piotrowski & Cavalcante 2024.
    """

    weight: Array
    inputs: Array
    bias: Array
    shift: float = eqx.field(static=True)
    normalise: bool = eqx.field(static=True)
    signed: bool = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        width: int,
        *,
        shift: float = 1.3,
        normalise: bool = False,
        signed: bool = False,
        key: PRNGKeyArray,
    ):
        self.shift, self.normalise, self.signed = float(shift), normalise, signed
        degree, most = self.degree, 0.5 if signed and normalise else 1.0
        # An activation that grows linearly reaches 1 in the limit only.
        if not degree < most - 1e-6:
            raise ValueError(
                f"tanh + {shift:g} is subhomogeneous of degree {degree:.4g} and {most:g} is too much for a unique "
                f"fixed point; write shift={1.61 if most < 1 else 1.3:g}."
            )
        a, b, c = jax.random.split(key, 3)
        # Non-negative weights add up: with entries of 1 / sqrt(width) they would saturate tanh.
        bound = float(width) ** (-0.5 if signed else -1.0)
        reach = float(in_features) ** -0.5
        self.weight = jax.random.uniform(a, (width, width), minval=-bound, maxval=bound)
        self.inputs = jax.random.uniform(b, (width, in_features), minval=-reach, maxval=reach)
        self.bias = jax.random.uniform(c, (width,), minval=-reach, maxval=reach)

    @property
    def degree(self) -> float:
        """The degree `mu` of the activation, over the arguments that occur."""
        return subhomogeneity(jnp.tanh, self.shift, self.signed)

    def __call__(self, z: Array, x: Array) -> Array:
        weight = self.weight if self.signed else jnp.abs(self.weight)
        data = self.inputs.astype(z.dtype) @ x.astype(z.dtype) + self.bias.astype(z.dtype)
        image = jnp.tanh(weight.astype(z.dtype) @ z) + jax.nn.relu(data) + self.shift
        return image / jnp.max(image) if self.normalise else image
