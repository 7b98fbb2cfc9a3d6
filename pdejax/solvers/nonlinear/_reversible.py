import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ._fixed_point import AbstractFixedPoint, Evaluation


class Pair(NamedTuple):
    """What `Reversible` remembers: the point evaluated last, and the other one as it has been moved by that."""

    evaluated: PyTree[Array]
    moved: PyTree[Array]


class Reversible(AbstractFixedPoint):
    """Two coupled sequences, `y <- (1 - b) y + b T(z)`, `z <- (1 - b) z + b T(y)`, that can be run backwards
    (McCallum, Lim & Foster 2025): with `solvers.ReversibleAdjoint()` the gradient of the iteration itself needs the
    memory of one step.

    Evaluations alternate between the two; a residual is that of the point evaluated, so two evaluations are one step of
    the paper. It converges for contractions, about half as fast per evaluation as `Picard`.

    **Arguments:** `rtol`, `atol`, `norm`, `patience`, `history`: as for all fixed-point iterations; `mixing`: `b`.
    Running backwards divides by `1 - b`, so each step back multiplies rounding errors by up to `(1 + b) / (1 - b)`.

    **Raises** `ValueError` for `mixing` outside `(0, 1)`.
    """

    rtol: float
    atol: float = 0.0
    mixing: float = eqx.field(static=True, default=0.5)
    norm: Callable[[PyTree], Array] = v.norm
    patience: int = eqx.field(static=True, default=200)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if not 0 < self.mixing < 1:
            raise ValueError(f"a step that can be undone has 0 < mixing < 1, got {self.mixing!r}; write mixing=0.5.")

    @property
    def growth(self) -> float:
        return math.inf

    def begin(self, y: PyTree[Array]) -> Pair:
        return Pair(y, y)

    def advance(self, seen: Evaluation, memory: Pair) -> tuple[PyTree[Array], Pair]:
        b = jnp.asarray(self.mixing, v.dtype(seen.point))
        other = memory.evaluated
        moved = v.axpy(b, v.subtract(seen.image, other), other)
        return moved, v.choose(seen.live, Pair(seen.point, moved), memory)

    def undo(self, image: PyTree[Array], moved: PyTree[Array]) -> PyTree[Array]:
        """The point that was moved to `moved` by the image of the other one."""
        b = self.mixing
        return jax.tree.map(lambda m, i: (m - b * i) / (1 - b), moved, image)

    def findings(self, memory: Pair) -> dict[str, Any]:
        return {}
