from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ._order import observed_order


def taylor_test(f: Callable[[PyTree], Array], x: PyTree, *, key: Array, step: float | None = None) -> float:
    """Order of the Taylor remainder `|f(x + h v) - f(x) - h f'(x) v|` in `h` for a random direction `v`:
    2 if the gradient is right.

    A wrong gradient gives 1. `x` is any pytree, of which the floating-point leaves are varied; `step` is the largest
    `h` (default 1e-2 in float64, 1e-1 in float32, each relative to the size of `x`).

    **Returns** the observed order. **Raises** `ValueError` if `f` is linear along `v` to rounding
    (no remainder to see).
    """
    dynamic, static = eqx.partition(x, eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(dynamic)
    if not leaves:
        raise ValueError("taylor_test needs floating-point leaves to vary, x has none; pass the parameters as arrays.")
    keys = jax.random.split(key, len(leaves))
    directions = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    sizes = [jnp.maximum(jnp.max(jnp.abs(leaf)), 1) if leaf.size else 1 for leaf in leaves]
    v = jax.tree.unflatten(treedef, [d * jnp.asarray(s, d.dtype) for d, s in zip(directions, sizes, strict=True)])
    single = min(jnp.finfo(leaf.dtype).bits for leaf in leaves) < 64
    first = step or (1e-1 if single else 1e-2)

    @eqx.filter_jit
    def value(dynamic):
        return f(eqx.combine(dynamic, static))

    base, gradient = eqx.filter_value_and_grad(value)(dynamic)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(v), strict=True)
    slope = sum(float(np.sum(np.asarray(g, float) * np.asarray(d, float))) for g, d in pairs)

    def remainder(n: int) -> float:
        h = first / n
        moved = jax.tree.map(lambda a, d: a + jnp.asarray(h, a.dtype) * d, dynamic, v)
        return abs(float(value(moved)) - float(base) - h * slope)

    return observed_order(remainder, (1, 2, 4))
