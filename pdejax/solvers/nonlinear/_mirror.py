"""Coordinates in which an iteration averages."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


class AbstractMirror(eqx.Module):
    """The gradient of a strictly convex potential `phi`, and its inverse (Nemirovski & Yudin 1983)."""

    @abc.abstractmethod
    def dual(self, y: PyTree[Array]) -> PyTree[Array]:
        """`grad phi(y)`."""

    @abc.abstractmethod
    def primal(self, w: PyTree[Array]) -> PyTree[Array]:
        """The point with this gradient."""

    @abc.abstractmethod
    def divergence(self, y: PyTree[Array], z: PyTree[Array]) -> Array:
        """Bregman's `phi(y) - phi(z) - <grad phi(z), y - z>`."""


class Euclidean(AbstractMirror):
    """`phi = ||y||^2 / 2`: averages are those of the points themselves."""

    def dual(self, y: PyTree[Array]) -> PyTree[Array]:
        return y

    def primal(self, w: PyTree[Array]) -> PyTree[Array]:
        return w

    def divergence(self, y: PyTree[Array], z: PyTree[Array]) -> Array:
        return _total(lambda a, b: (a - b) ** 2 / 2, y, z)


class Entropic(AbstractMirror):
    """`phi = sum y log y - y` for positive `y`: averages are geometric, so iterates stay positive."""

    def dual(self, y: PyTree[Array]) -> PyTree[Array]:
        return jax.tree.map(jnp.log, y)

    def primal(self, w: PyTree[Array]) -> PyTree[Array]:
        return jax.tree.map(jnp.exp, w)

    def divergence(self, y: PyTree[Array], z: PyTree[Array]) -> Array:
        return _total(lambda a, b: a * jnp.log(a / b) - a + b, y, z)


def _total(term, y: PyTree[Array], z: PyTree[Array]) -> Array:
    return sum(jnp.sum(term(a, b)) for a, b in zip(jax.tree.leaves(y), jax.tree.leaves(z), strict=True))
