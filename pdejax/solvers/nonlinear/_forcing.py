"""Forcing terms: how exactly the linear system of each Newton step is solved (Eisenstat & Walker 1996)."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array


class AbstractForcing(eqx.Module):
    """The relative tolerance `eta` of the linear solve of the next Newton step."""

    first: eqx.AbstractVar[float]
    largest: eqx.AbstractVar[float]

    @abc.abstractmethod
    def __call__(self, eta: Array, before: Array, after: Array, predicted: Callable[[], Array]) -> Array:
        """The next term after a step with `eta` from residual norm `before` to `after`, of which the linear model had
        `predicted()`.
        """


class ConstantForcing(AbstractForcing):
    """The same tolerance at every step: linear convergence at that rate."""

    first: float = 1e-4
    largest: float = 1.0

    def __call__(self, eta: Array, before: Array, after: Array, predicted: Callable[[], Array]) -> Array:
        return eta


class RatioForcing(AbstractForcing):
    """`eta = scale (after / before)^power`: choice 2 of Eisenstat & Walker 1996 (2.6), with their safeguard.

    Convergence of order `power`; one residual norm a step and no product.
    """

    scale: float = 0.9
    power: float = 2.0
    first: float = 0.1
    largest: float = 0.9

    def __call__(self, eta: Array, before: Array, after: Array, predicted: Callable[[], Array]) -> Array:
        return _guarded(self.scale * (after / before) ** self.power, self.scale * eta**self.power)


class ModelForcing(AbstractForcing):
    """`eta = |after - predicted| / before`: choice 1 of Eisenstat & Walker 1996 (2.4), with their safeguard.

    Small where the linear model was right; one more product a step.
    """

    first: float = 0.1
    largest: float = 0.9

    def __call__(self, eta: Array, before: Array, after: Array, predicted: Callable[[], Array]) -> Array:
        return _guarded(jnp.abs(after - predicted()) / before, eta ** ((1 + 5**0.5) / 2))


def _guarded(eta: Array, memory: Array) -> Array:
    # A term may not fall much faster than the last one, as long as that was large: one lucky step proves little.
    return jnp.where(memory > 0.1, jnp.maximum(eta, memory), eta)
