"""Affine recurrences `d_t = G_t d_{t-1} + b_t`, `d_0 = 0`, in `log2 T` parallel steps: maps `d -> G d + a` compose as
`(G_j, a_j) o (G_i, a_i) = (G_j G_i, G_j a_i + a_j)`, which is associative (Blelloch 1990, section 1.4).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

Guard = Callable[[Array], Array]


def tamed(x: Array) -> Array:
    """NaN as zero, and everything below a size whose square is still a number.

    On the way to the solution states far out may overflow, and zero times infinity would spoil what is already right.
    """
    limit = float(jnp.finfo(x.dtype).max) ** 0.4
    if jnp.iscomplexobj(x):
        return jax.lax.complex(tamed(x.real), tamed(x.imag))
    return jnp.clip(jnp.where(jnp.isnan(x), jnp.zeros((), x.dtype), x), -limit, limit)


def plain(x: Array) -> Array:
    """The array itself."""
    return x


def matrix_recurrence(G: Array, b: Array, guard: Guard = plain) -> Array:
    """The recurrence with matrices `G` `(T, n, n)` and vectors `b` `(T, n)`."""

    def compose(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
        (g, a), (g_next, a_next) = earlier, later
        product = jnp.einsum("...ij,...jk->...ik", g_next, g, precision="highest")
        moved = jnp.einsum("...ij,...j->...i", g_next, a, precision="highest") + a_next
        return guard(product), guard(moved)

    return jax.lax.associative_scan(compose, (guard(G), guard(b)))[1]


def diagonal_recurrence(g: Array, b: Array, guard: Guard = plain) -> Array:
    """The recurrence with the diagonals `g` of its matrices, shaped like `b`."""

    def compose(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
        (g, a), (g_next, a_next) = earlier, later
        return guard(g_next * g), guard(g_next * a + a_next)

    return jax.lax.associative_scan(compose, (guard(g), guard(b)))[1]
