from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ._lipschitz import lipschitz_bound


class Contraction(eqx.Module):
    """What `contraction` returns: `factor`, a Lipschitz constant of the body in `z`."""

    factor: Array

    @property
    def holds(self) -> Array:
        """Whether the body contracts: then there is one fixed point and Picard iteration finds it from anywhere."""
        return self.factor < 1

    def distance(self, residual: Array) -> Array:
        """A bound of `||z - z*||` from `||body(z) - z||`: `residual / (1 - factor)` (Banach 1922), else infinite."""
        room = jnp.where(self.holds, 1 - self.factor, 1)
        return jnp.where(self.holds, residual / room, jnp.inf)


def contraction(*terms: Any, slope: float = 1.0, iterations: int = 8) -> Contraction:
    """A certificate that a body `z -> act(sum_i L_i z + ...)` contracts in the 2-norm, whatever is added.

    Its Lipschitz constant is at most `slope sum_i ||L_i||`, with `lipschitz_bound` for each linear map: sufficient, not
    necessary.

    **Arguments:** `terms`: linear layers or matrices, or sequences of them for what is applied one after the other
    (with activations of slope 1 between); `slope`: the Lipschitz constant of the activation (1 for relu and tanh, 1.13
    for gelu, 1.1 for silu).

    **Raises** `TypeError` for other terms.
    """
    factor = sum(_chain(term, iterations) for term in terms)
    return Contraction(jnp.asarray(slope, factor.dtype) * factor)


def _chain(term: Any, iterations: int) -> Array:
    layers = term if isinstance(term, Sequence) else (term,)
    return jnp.prod(jnp.stack([lipschitz_bound(layer, iterations) for layer in layers]))
