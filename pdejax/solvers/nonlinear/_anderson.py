from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ._fixed_point import AbstractFixedPoint, Evaluation, differences


class Window(NamedTuple):
    """What `Anderson` remembers: the last point and residual, and differences, newest first, of which `count` hold."""

    point: PyTree[Array]
    residual: PyTree[Array]
    points: PyTree[Array]
    residuals: PyTree[Array]
    count: Array


class Anderson(AbstractFixedPoint):
    """Anderson's acceleration, type II, of `y = T(y)` (Anderson 1965; Walker & Ni 2011).

    `y_{k+1} = y_k + b r_k - sum_i g_i (dy_i + b dr_i)`, where `g` makes `||r_k - sum_i g_i dr_i||` least over the last
    `window` differences of residuals `r = T(y) - y`. The differences are orthonormalised from the newest on, and one of
    which less than `sqrt(eps)` remains is left out, so that single precision does not spoil the least squares. For
    linear maps and an unbounded window it is GMRES.

    **Arguments:**

    - `rtol`, `atol`, `norm`, `patience`, `history`: as for all fixed-point iterations.
    - `window`: differences kept; memory is `2 window + 3` points.
    - `mixing`: `b` in `(0, 1]`.
    - `ridge`: every `g`, in orthonormal coordinates, is divided by `1 + ridge`.
    - `growth`: after a residual larger than this times the smallest one the iteration goes back to the best point,
      forgets the differences, and starts again with a plain step.

    **Raises** `ValueError` for a window below 1 or mixing outside `(0, 1]`.
    """

    rtol: float
    atol: float = 0.0
    window: int = eqx.field(static=True, default=5)
    mixing: float = eqx.field(static=True, default=1.0)
    ridge: float = eqx.field(static=True, default=0.0)
    growth: float = eqx.field(static=True, default=4.0)
    norm: Callable[[PyTree], Array] = v.norm
    patience: int = eqx.field(static=True, default=50)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.window < 1:
            raise ValueError(f"Anderson keeps at least one difference, got window={self.window!r}; write window=5.")
        if not 0 < self.mixing <= 1:
            raise ValueError(f"mixing lies in (0, 1], got mixing={self.mixing!r}; write mixing=1.0.")

    def begin(self, y: PyTree[Array]) -> Window:
        stack = jax.tree.map(lambda a: jnp.zeros((self.window, *a.shape), a.dtype), y)
        return Window(y, y, stack, stack, jnp.full((), -1))

    def advance(self, seen: Evaluation, memory: Window) -> tuple[PyTree[Array], Window]:
        # What a warm start remembers as the last point belongs to another problem: a difference of zero has no weight.
        change = v.subtract(seen.point, memory.point), v.subtract(seen.residual, memory.residual)
        dy, dr = v.where(seen.step > 0, change)
        points, residuals = differences(dy, memory.points), differences(dr, memory.residuals)
        count = jnp.where(seen.retreat, -1, jnp.minimum(memory.count + 1, self.window))
        weights, left = least_squares(residuals, seen.residual, count, self.ridge)
        following = v.combine(-weights, points, seen.point)
        following = v.axpy(jnp.asarray(self.mixing, weights.dtype), left, following)
        return following, Window(seen.point, seen.residual, points, residuals, count)

    def findings(self, memory: Window) -> dict[str, Any]:
        return {}


def least_squares(
    stack: PyTree[Array], right: PyTree[Array], count: Array, ridge: float
) -> tuple[Array, PyTree[Array]]:
    """Weights `g` that make `||right - sum_i g_i stack_i||` least over the first `count` vectors, and what is left.

    Modified Gram-Schmidt, from the first vector on; vectors that depend on those before them get no weight.
    """
    dtype = v.dtype(right)
    window = jax.tree.leaves(stack)[0].shape[0]
    threshold = float(jnp.finfo(dtype).eps) ** 0.5
    directions, coordinates, left, weights = [], [], right, jnp.zeros(window, dtype)
    for i in range(window):
        q = jax.tree.map(lambda s, i=i: s[i], stack)
        c = jnp.zeros(window, dtype).at[i].set(1)
        square = v.energy(q, q)
        for p, d in zip(directions, coordinates, strict=True):
            h = v.dot(p, q)
            q, c = v.axpy(-h, p, q), c - h * d
        rest = v.energy(q, q)
        keep = (i < count) & (rest > threshold**2 * square) & jnp.isfinite(rest)
        scale = v.ratio(jnp.ones((), dtype), jnp.sqrt(jnp.where(keep, rest, 1)), keep)
        q, c = jax.tree.map(lambda a, scale=scale, keep=keep: jnp.where(keep, a * scale, 0), q), c * scale
        g = v.dot(q, left) / (1 + ridge)
        directions, coordinates = [*directions, q], [*coordinates, c]
        left, weights = v.axpy(-g, q, left), weights + g * c
    return jnp.where(jnp.isfinite(weights), weights, 0), left
