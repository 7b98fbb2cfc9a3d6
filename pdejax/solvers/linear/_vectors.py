"""Algebra of vectors that are pytrees of arrays of one dtype: what every Krylov method is written in."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


def dot(a: PyTree[Array], b: PyTree[Array]) -> Array:
    """`a^H b`, conjugate-linear in the first factor, summed in the dtype of the vectors."""
    return sum(jnp.sum(jnp.conj(x) * y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def energy(a: PyTree[Array], b: PyTree[Array]) -> Array:
    """The real part of `a^H b`: all of it where `b = M a` with Hermitian `M`."""
    return jnp.real(dot(a, b))


def norm(a: PyTree[Array]) -> Array:
    """The 2-norm, in the real dtype of the vector."""
    return jnp.sqrt(energy(a, a))


def axpy(alpha: Array, x: PyTree[Array], y: PyTree[Array]) -> PyTree[Array]:
    """`y + alpha x` for a scalar, which may be real where the vectors are complex."""
    return jax.tree.map(lambda a, b: b + alpha.astype(a.dtype) * a, x, y)


def subtract(x: PyTree[Array], y: PyTree[Array]) -> PyTree[Array]:
    """`x - y`."""
    return jax.tree.map(jnp.subtract, x, y)


def zeros(x: PyTree[Array]) -> PyTree[Array]:
    """The zero vector of the space of `x`."""
    return jax.tree.map(jnp.zeros_like, x)


def where(keep: Array, x: PyTree[Array]) -> PyTree[Array]:
    """`x` or the zero vector."""
    return jax.tree.map(lambda a: jnp.where(keep, a, jnp.zeros((), a.dtype)), x)


def choose(first: Array, x: PyTree[Array], y: PyTree[Array]) -> PyTree[Array]:
    """`x` or `y`."""
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), x, y)


def dtype(x: PyTree[Array]):
    """The real dtype of the entries."""
    return jnp.real(jax.tree.leaves(x)[0]).dtype


def size(x: PyTree[Array]) -> int:
    """Number of entries."""
    return sum(leaf.size for leaf in jax.tree.leaves(x))


def ratio(a: Array, b: Array, where: Array) -> Array:
    """`a / b` where asked, zero elsewhere, without a division by zero on the way."""
    return jnp.where(where, a / jnp.where(where, b, jnp.ones((), b.dtype)), jnp.zeros((), a.dtype))


def project(basis: PyTree[Array], x: PyTree[Array]) -> Array:
    """`V^H x` for vectors stacked along the leading axis of each leaf."""
    parts = zip(jax.tree.leaves(basis), jax.tree.leaves(x), strict=True)
    return sum(jnp.matmul(jnp.conj(_flat(b)), a.reshape(-1), precision=jax.lax.Precision.HIGHEST) for b, a in parts)


def combine(weights: Array, basis: PyTree[Array], x: PyTree[Array]) -> PyTree[Array]:
    """`x + V y`."""

    def add(b, a):
        return a + jnp.matmul(weights, _flat(b), precision=jax.lax.Precision.HIGHEST).reshape(a.shape)

    return jax.tree.map(add, basis, x)


def put(basis: PyTree[Array], index: Array, x: PyTree[Array]) -> PyTree[Array]:
    """The stack with `x` at one index."""
    return jax.tree.map(lambda b, a: jax.lax.dynamic_update_index_in_dim(b, a, index, 0), basis, x)


def _flat(stack: Array) -> Array:
    return stack.reshape(stack.shape[0], -1)
