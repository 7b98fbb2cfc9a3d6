import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..grids import AbstractAxis, Chebyshev, Fourier


def phases(axis: AbstractAxis) -> np.ndarray:
    """A coordinate along an axis whose waves are smooth where the hidden fields are, float64, `(n,)`.

    With `s = (x - start) / length` it is `2 pi s` on Fourier axes, `pi (2 s - 1)` on Chebyshev axes and `-pi cos(pi s)`
    on others: sines and cosines of its integer multiples are periodic, analytic, and even across both ends.
    """
    s = (axis.points - axis.start) / axis.length
    if isinstance(axis, Fourier):
        return 2 * np.pi * s
    return np.pi * (2 * s - 1 if isinstance(axis, Chebyshev) else -np.cos(np.pi * s))


def rotated(q: Array, phase: np.ndarray) -> Array:
    """Pairs of features turned in their planes, the pair `k` by `k phase`, so that products of two of them know points
    only by their difference: `q(x).k(y) = sum_k a_k cos k (x - y) + b_k sin k (x - y)`.

    **Shapes:** `q` `(.., 2 m, n)`, the entries `k` and `k + m` being a pair; `phase` `(n,)`.

    Source: Su et al. 2021, RoFormer. Deviation: multiples `0 .. m-1`, which close on periodic axes, in place of a
    geometric series.
    """
    m = q.shape[-2] // 2
    angles = np.outer(np.arange(m), phase).reshape((1,) * (q.ndim - 2) + (m, -1))
    c, s = jnp.asarray(np.cos(angles), q.dtype), jnp.asarray(np.sin(angles), q.dtype)
    a, b = q[..., :m, :], q[..., m:, :]
    return jnp.concatenate([a * c - b * s, a * s + b * c], axis=-2)
