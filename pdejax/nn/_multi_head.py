import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..grids import Grid
from ._attention import AbstractAttention, precise
from ._checks import check_counts
from ._coordinates import hidden_grid
from ._perceptron import Perceptron
from ._positions import positions

# The diagonal of the initial weights, and what is added to variances of values that are as small as these weights.
_DIAGONAL, _FLOOR = 1e-2, 1e-7
_ROLES = ("queries", "keys", "values")


class Tokens(eqx.Module):
    """A function known at `n` points, in any order: its values, where the points are, and a quadrature rule.

    **Shapes:** `values` `(n, width)`, `points` `(n, number of coordinates)`, `weights` `(n,)` with the sum 1.
    """

    values: Array
    points: Array
    weights: Array

    @classmethod
    def on_grid(cls, v: Array, grid: Grid) -> "Tokens":
        """Node values `(width, *n)`, with `nn.positions` for coordinates and the quadrature of the hidden grid."""
        weights, where = hidden_grid(grid).weights().ravel(), positions(grid).astype(v.dtype)
        weights = jnp.asarray(weights / weights.sum(), precise(v))
        return cls(v.reshape(len(v), -1).T, where.reshape(len(where), -1).T, weights)


class MultiHead(eqx.Module):
    """Attention of one function to another, or to itself, by several heads: `z = W (A_1, .., A_h) + b`.

    `A_i = attention((p, Q_i u), (p, K_i s), (p, V_i s))` with the coordinates `p` of the points; of queries, keys and
    values those that the attention names get a layer norm with a trainable affine map. Points may lie anywhere, and
    those of `u` and `s` need not be the same (cross attention).

    **Arguments:** `width` channels, a multiple of `attention.heads`; `coordinates` numbers per point; `attention` one
    of `SoftmaxAttention`, `LinearAttention`, `FourierAttention`, `GalerkinAttention`, or your own.

    **Shapes:** `Tokens` `u` of `m` points and `s` of `n` points to `(m, width)`.

    **Raises** `ValueError` if `width` is not a multiple of the heads.

    Source: Cao 2021, Choose a transformer: Fourier or Galerkin, section 3; initial weights (Xavier's times a small gain
    plus `0.01 I`) and coordinates in every head as in the author's code. Deviation: no bias before the norms.
    """

    maps: Array
    affine: tuple[Array, ...]
    merge: Perceptron
    attention: AbstractAttention

    def __init__(self, width: int, coordinates: int, *, attention: AbstractAttention, key: PRNGKeyArray):
        heads = attention.heads
        check_counts("MultiHead", width=width, heads=heads)
        if width % heads:
            raise ValueError(
                f"MultiHead divides its channels among the heads and got width={width} for {heads} of them; "
                f"write width={(width // heads + 1) * heads}."
            )
        a, b = jax.random.split(key)
        bound = attention.gain * float(np.sqrt(3 / width))
        drawn = jax.random.uniform(a, (len(_ROLES), width, width), minval=-bound, maxval=bound)
        self.maps = (drawn + _DIAGONAL * jnp.eye(width)[None]).reshape(len(_ROLES), heads, width // heads, width)
        ones = jnp.ones((heads, 1, width // heads))
        self.affine = tuple(jnp.stack([ones, jnp.zeros_like(ones)]) for _ in attention.normalised)
        self.merge = Perceptron(width + heads * coordinates, width, width, 0, key=b)
        self.attention = attention

    def __call__(self, u: Tokens, s: Tokens) -> Array:
        q, k, v = (self._role(role, x) for role, x in zip(_ROLES, (u, s, s), strict=True))
        z = jnp.moveaxis(self.attention(q, k, v, s.weights), 0, 1)
        return self.merge(z.reshape(len(z), -1))

    def _role(self, role: str, x: Tokens) -> Array:
        y = jnp.einsum("hdw,nw->hnd", self.maps[_ROLES.index(role)].astype(x.values.dtype), x.values)
        if role in self.attention.normalised:
            y = y.astype(precise(y))
            y = y - jnp.mean(y, -1, keepdims=True)
            scale, shift = self.affine[self.attention.normalised.index(role)].astype(y.dtype)
            y = scale * y * jax.lax.rsqrt(jnp.mean(y**2, -1, keepdims=True) + _FLOOR) + shift
        points = jnp.broadcast_to(x.points[None], (len(y), *x.points.shape))
        return jnp.concatenate([points, y.astype(x.values.dtype)], axis=-1)
