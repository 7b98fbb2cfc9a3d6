import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array


class AbstractLimiter(eqx.Module):
    """The slope of a cell from the differences `a`, `b` to its neighbours: zero at extrema, and never so steep that a
    face value leaves the range of the cells beside it (Sweby 1984).
    """

    @abc.abstractmethod
    def __call__(self, a: Array, b: Array) -> Array:
        """The limited slope, elementwise."""


class Minmod(AbstractLimiter):
    """The smaller of the two differences (Roe 1986): the most diffusive."""

    def __call__(self, a: Array, b: Array) -> Array:
        return _minmod(a, b)


class VanLeer(AbstractLimiter):
    """The harmonic mean of the two differences (van Leer 1974): smooth but at extrema."""

    def __call__(self, a: Array, b: Array) -> Array:
        product = a * b
        same = product > 0
        return jnp.where(same, 2 * product / jnp.where(same, a + b, 1), 0)


class MonotonisedCentral(AbstractLimiter):
    """The central slope, at most twice either difference (van Leer 1977)."""

    def __call__(self, a: Array, b: Array) -> Array:
        return _minmod((a + b) / 2, 2 * _minmod(a, b))


class Superbee(AbstractLimiter):
    """The steepest slope allowed (Roe 1986): sharpens contacts and squares smooth waves."""

    def __call__(self, a: Array, b: Array) -> Array:
        first, second = _minmod(2 * a, b), _minmod(a, 2 * b)
        return jnp.where(jnp.abs(first) > jnp.abs(second), first, second)


def _minmod(a: Array, b: Array) -> Array:
    return jnp.where(a * b > 0, jnp.where(jnp.abs(a) < jnp.abs(b), a, b), 0)
