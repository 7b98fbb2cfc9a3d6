from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ._fixed_point import AbstractFixedPoint, Evaluation, differences


class Inverse(NamedTuple):
    """What `Broyden` remembers: the last point and residual, and `H = I + sum_i left_i right_i^T`, an estimate of the
    inverse of `I - dT/dy`; `fresh` before there is a last point.
    """

    point: PyTree[Array]
    residual: PyTree[Array]
    left: PyTree[Array]
    right: PyTree[Array]
    fresh: Array

    def apply(self, x: PyTree[Array]) -> PyTree[Array]:
        """`H x`."""
        return v.combine(v.project(self.right, x), self.left, x)

    def transpose(self, x: PyTree[Array]) -> PyTree[Array]:
        """`H^T x`."""
        return v.combine(v.project(self.left, x), self.right, x)


class Broyden(AbstractFixedPoint):
    """Broyden's quasi-Newton method with limited memory for `y = T(y)` (Broyden 1965).

    `y_{k+1} = y_k + H r_k` with `H = I` at first, and then the least change of `I - dT/dy` (`kind="good"`) or of its
    inverse (`kind="bad"`) that maps the last step to the last change of residuals. The oldest change is dropped when
    `memory` of them are kept. The estimate of the inverse can serve the gradient as well (`solvers.SharedAdjoint`).

    **Arguments:**

    - `rtol`, `atol`, `norm`, `patience`, `history`: as for all fixed-point iterations.
    - `memory`: changes kept; storage is `2 memory + 3` points.
    - `kind`: `"good"` or `"bad"`.
    - `growth`: after a residual larger than this times the smallest one the iteration goes back to the best point with
      `H = I`.

    **Raises** `ValueError` for another kind or a memory below 1.
    """

    rtol: float
    atol: float = 0.0
    memory: int = eqx.field(static=True, default=20)
    kind: str = eqx.field(static=True, default="good")
    growth: float = eqx.field(static=True, default=4.0)
    norm: Callable[[PyTree], Array] = v.norm
    patience: int = eqx.field(static=True, default=50)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.kind not in ("good", "bad"):
            raise ValueError(f'Broyden knows kind="good" and kind="bad", got {self.kind!r}.')
        if self.memory < 1:
            raise ValueError(f"Broyden keeps at least one change, got memory={self.memory!r}; write memory=20.")

    def begin(self, y: PyTree[Array]) -> Inverse:
        stack = jax.tree.map(lambda a: jnp.zeros((self.memory, *a.shape), a.dtype), y)
        return Inverse(y, y, stack, stack, jnp.ones((), bool))

    def advance(self, seen: Evaluation, memory: Inverse) -> tuple[PyTree[Array], Inverse]:
        step = v.subtract(seen.point, memory.point)
        change = v.subtract(memory.residual, seen.residual)
        mapped = memory.apply(change)
        dual = memory.transpose(step) if self.kind == "good" else change
        pivot = v.dot(dual, change)
        scale = v.norm(dual) * v.norm(change)
        # What a warm start remembers as the last point belongs to another problem.
        fresh = memory.fresh | (seen.step == 0)
        sound = ~fresh & ~seen.retreat & (jnp.abs(pivot) > 10 * jnp.finfo(pivot.dtype).eps * scale)
        factor = v.ratio(jnp.ones_like(pivot), pivot, sound)
        left = jax.tree.map(lambda s, m: (s - m) * factor, step, mapped)
        updated = v.choose(
            sound,
            (differences(left, memory.left), differences(dual, memory.right)),
            (memory.left, memory.right),
        )
        left, right = v.where(~seen.retreat, updated)
        inverse = Inverse(seen.point, seen.residual, left, right, seen.retreat)
        return jax.tree.map(jnp.add, seen.point, inverse.apply(seen.residual)), inverse

    def findings(self, memory: Inverse) -> dict[str, Any]:
        return {}
