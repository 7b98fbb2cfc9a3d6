import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ._displacement import Displacement
from ._fixed_point import AbstractFixedPoint, Evaluation


class Anchor(NamedTuple):
    """What `Halpern` remembers: where it is anchored, since when, and the residual there."""

    point: PyTree[Array]
    count: Array
    size: Array
    displacement: Displacement | None


class Halpern(AbstractFixedPoint):
    """Halpern's anchored iteration `y_{k+1} = b_k y_0 + (1 - b_k) T(y_k)`, `b_k = 1 / (k + 2)`, for non-expansive maps.

    `||y_k - T(y_k)|| <= 2 ||y_0 - y*|| / (k + 1)`, the best that is possible for this class (Lieder 2021), where
    `Picard` needs the square of the steps. On contractions it is slower than any other method here.

    **Arguments:**

    - `rtol`, `atol`, `norm`, `patience`, `history`: as for all fixed-point iterations.
    - `restart`: anchor anew when the residual has fallen to this fraction of that at the anchor, which gives maps that
      contract a linear rate; `None` keeps the first anchor.
    - `certify`: end with the result `infeasible` when the estimates of the infimal displacement agree within this
      fraction (Park & Ryu 2023: with the anchor they approach it as `k^-2`); `None` does not look. `stats` has
      `displacement`, of which each non-zero value certifies that no fixed point exists.

    **Raises** `ValueError` for `restart` outside `(0, 1)`.
    """

    rtol: float
    atol: float = 0.0
    restart: float | None = eqx.field(static=True, default=None)
    certify: float | None = eqx.field(static=True, default=1e-2)
    norm: Callable[[PyTree], Array] = v.norm
    patience: int = eqx.field(static=True, default=200)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.restart is not None and not 0 < self.restart < 1:
            raise ValueError(f"a restart waits for a fraction in (0, 1), got restart={self.restart!r}; write 0.5.")

    @property
    def growth(self) -> float:
        return math.inf

    def begin(self, y: PyTree[Array]) -> Anchor:
        displacement = None if self.certify is None else Displacement.begin(y, self.certify)
        return Anchor(y, jnp.zeros((), int), jnp.full((), jnp.inf, v.dtype(y)), displacement)

    def advance(self, seen: Evaluation, memory: Anchor) -> tuple[PyTree[Array], Anchor]:
        anchor, count, size, displacement = memory
        size = jnp.where(count == 0, seen.size, size)
        if self.restart is not None:
            anew = seen.size <= self.restart * size
            anchor = v.choose(anew, seen.point, anchor)
            count, size = jnp.where(anew, 0, count), jnp.where(anew, seen.size, size)
        dtype = v.dtype(seen.point)
        b = 1 / (count.astype(dtype) + 2)
        if displacement is not None:
            # Anchors that move shorten the way: then only those of the first one count.
            way = v.ratio(jnp.asarray(2.0, dtype), count.astype(dtype) + 1, count == seen.step)
            displacement = displacement.look(seen.step, way, seen.point, seen.residual)
        return v.axpy(b, v.subtract(anchor, seen.image), seen.image), Anchor(anchor, count + 1, size, displacement)

    def findings(self, memory: Anchor) -> dict[str, Any]:
        return {} if memory.displacement is None else memory.displacement.stats()
