import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


class AbstractAttention(eqx.Module):
    """What `MultiHead` does with queries, keys and values: an integral over the points of the keys.

    The weights are a quadrature rule with the sum 1, so results converge as points are added, wherever they lie. Half
    precision is computed in float32.

    **Arguments:** `heads` parts into which `MultiHead` divides the channels, each with an attention of its own.
    """

    heads: eqx.AbstractVar[int]
    # The factor of Xavier's initial weights, and which of "queries", "keys" and "values" get a layer norm.
    gain: eqx.AbstractClassVar[float]
    normalised: eqx.AbstractClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def __call__(self, q: Array, k: Array, v: Array, weights: Array) -> Array:
        """Queries `(heads, m, d)`, keys `(heads, n, d)`, values `(heads, n, e)`, weights `(n,)` to `(heads, m, e)`."""


class SoftmaxAttention(AbstractAttention):
    """`z(x) = int e^(q(x).k(y) / sqrt d) v(y) dy / int e^(q(x).k(y) / sqrt d) dy`; its cost grows as `m n`.

    Source: Vaswani et al. 2017, Attention is all you need, eq. (1). Deviation: logarithms of the weights are added to
    the exponents, which makes integrals of the sums.
    """

    heads: int = eqx.field(static=True, default=1)
    gain: ClassVar[float] = 1e-2
    normalised: ClassVar[tuple[str, ...]] = ()

    def __call__(self, q: Array, k: Array, v: Array, weights: Array) -> Array:
        return average(q / np.sqrt(q.shape[-1]).astype(q.dtype), k, v, weights)


class LinearAttention(AbstractAttention):
    """`z(x) = q'(x) int k'(y)^T v(y) dy`, `q'` a softmax over the features, `k'` one over the points; cost `m + n`.

    Source: Shen et al. 2021, Efficient attention. Deviation: quadrature weights in the softmax over points.
    """

    heads: int = eqx.field(static=True, default=1)
    gain: ClassVar[float] = 1e-2
    normalised: ClassVar[tuple[str, ...]] = ()

    def __call__(self, q: Array, k: Array, v: Array, weights: Array) -> Array:
        q, k = (x.astype(precise(x)) for x in (q, k))
        k = jax.nn.softmax(k + jnp.log(weights.astype(k.dtype))[None, :, None], axis=1)
        return _integral(jax.nn.softmax(q), k, v, jnp.ones_like(weights))


class FourierAttention(AbstractAttention):
    """`z(x) = int q(x).k(y) v(y) dy` with layer norms of `q` and `k`: a learned integral kernel of low rank.

    Source: Cao 2021, Choose a transformer: Fourier or Galerkin, section 3. Deviation: without a softmax the product may
    be taken from the right, so it costs `m + n` and not `m n`.
    """

    heads: int = eqx.field(static=True, default=1)
    gain: ClassVar[float] = 1e-3
    normalised: ClassVar[tuple[str, ...]] = ("queries", "keys")

    def __call__(self, q: Array, k: Array, v: Array, weights: Array) -> Array:
        return _integral(q, k, v, weights)


class GalerkinAttention(AbstractAttention):
    """`z(x) = q(x) int k(y)^T v(y) dy` with layer norms of `k` and `v`: projection on learned functions; cost `m + n`.

    Source: Cao 2021, Choose a transformer: Fourier or Galerkin, section 3.
    """

    heads: int = eqx.field(static=True, default=1)
    gain: ClassVar[float] = 1e-2
    normalised: ClassVar[tuple[str, ...]] = ("keys", "values")

    def __call__(self, q: Array, k: Array, v: Array, weights: Array) -> Array:
        return _integral(q, k, v, weights)


def average(q: Array, k: Array, v: Array, weights: Array) -> Array:
    """`z(x) = int e^(q(x).k(y)) v(y) dy / int e^(q(x).k(y)) dy`, shapes as for `AbstractAttention`."""
    dtype = precise(v)
    exponents = jnp.einsum("...md,...nd->...mn", q, k, preferred_element_type=dtype)
    shares = jax.nn.softmax(exponents + jnp.log(weights.astype(dtype)).reshape((1,) * (q.ndim - 1) + (-1,)))
    return jnp.einsum("...mn,...ne->...me", shares, v.astype(dtype)).astype(v.dtype)


def precise(v: Array) -> np.dtype:
    """The dtype in which sums over points are taken: that of `v`, at least float32."""
    return np.promote_types(v.dtype, np.float32)


def _integral(q: Array, k: Array, v: Array, weights: Array) -> Array:
    dtype = precise(v)
    q, k, weighted = q.astype(dtype), k.astype(dtype), v.astype(dtype) * weights.astype(dtype)[None, :, None]
    moments = jnp.einsum("hnd,hne->hde", k, weighted, precision="highest")
    return jnp.einsum("hmd,hde->hme", q, moments, precision="highest").astype(v.dtype)
