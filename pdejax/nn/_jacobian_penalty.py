from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..solvers._fixed_point import as_arrays
from ..solvers.linear import _vectors as v
from ._fixed_point import FixedPoint


def jacobian_penalty(layer: Callable, z: PyTree, x: PyTree, *, key: PRNGKeyArray, samples: int = 1) -> Array:
    """Hutchinson's estimate of `||J||_F^2 / n`, `J = d body/dz` at the fixed point, to be added to a loss.

    `mean_s ||J e_s||^2 / n` over random signs `e_s`: one forward derivative a sample. A `J` that stays small keeps the
    number of iterations from growing during training. It is differentiable with respect to the parameters of the body;
    the fixed point counts as given.

    **Arguments:** `layer`: a `FixedPoint`, or its body (with dropout: `functools.partial(body, key=...)`, the key of
    the solve); `z`: the fixed point, e.g. `layer(x, z0)`; `samples`: probes; the estimate is without bias for any
    number.

    **Raises** `ValueError` for `samples < 1`.

    Source: Bai, Koltun & Kolter 2021, eq. (4), with products `J e` in place of `e^T J`, which have the same mean and
    need no reverse pass of their own.
    """
    if samples < 1:
        raise ValueError(f"a Hutchinson estimate takes at least one probe, got samples={samples}; write samples=1.")
    body = layer.body if isinstance(layer, FixedPoint) else layer
    point, product = linearised(body, jax.lax.stop_gradient(z), x)
    gains = jax.vmap(lambda k: gain(product, point, k))(jax.random.split(key, samples))
    return jnp.mean(gains)


def linearised(body: Callable, z: PyTree, x: PyTree) -> tuple[PyTree[Array], Callable]:
    """The point as real arrays, and the products with the Jacobian of `z -> body(z, x)` there."""
    point, wrap = as_arrays(z)
    return point, jax.linearize(lambda w: as_arrays(body(wrap(w), x))[0], point)[1]


def gain(product: Callable, point: PyTree[Array], key: PRNGKeyArray) -> Array:
    """`||J e||^2 / n` for one vector of random signs."""
    e = noise(jax.random.rademacher, point, key)
    out = product(e)
    return v.dot(out, out) / v.size(out)


def noise(draw: Callable, like: PyTree[Array], key: PRNGKeyArray) -> PyTree[Array]:
    """Random arrays of these shapes and dtypes."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, [draw(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)])
