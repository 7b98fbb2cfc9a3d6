import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ._displacement import Displacement
from ._fixed_point import AbstractFixedPoint, Evaluation
from ._mirror import AbstractMirror, Euclidean


class Picard(AbstractFixedPoint):
    """Averaged fixed-point iteration `y <- (1 - a_k) y + a_k T(y)` (Krasnoselskii 1955, Mann 1953).

    Linear for contractions; for non-expansive maps an average with `0 < a < 1` converges, with a residual that falls as
    `k^(-1/2)` only (then take `Halpern`).

    **Arguments:**

    - `rtol`, `atol`, `norm`, `patience`, `history`: as for all fixed-point iterations.
    - `average`: `a`, or a function of the step number `k = 0, 1, ...` such as `lambda k: 2 / (k + 2)`. Decreasing
      averages slow a contraction down: for `T = gamma I` the error falls as `k^(-2 (1 - gamma))` with `2 / (k + 2)`,
      where `a = 1` gives `gamma^k`.
    - `mirror`: the average is taken in `grad phi` coordinates, e.g. `Entropic()` for positive unknowns.
    - `certify`: look for an infimal displacement that is not zero, and end with the result `infeasible` when its
      estimates agree within this fraction; `None` does not look. Maps that contract by less than this fraction over
      half of the evaluations made look the same.

    **Raises** `ValueError` for a constant average outside `(0, 1]`.
    """

    rtol: float
    atol: float = 0.0
    average: float | Callable[[Array], Array] = eqx.field(static=True, default=1.0)
    mirror: AbstractMirror = Euclidean()
    certify: float | None = eqx.field(static=True, default=None)
    norm: Callable[[PyTree], Array] = v.norm
    patience: int = eqx.field(static=True, default=200)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if not callable(self.average) and not 0 < self.average <= 1:
            raise ValueError(f"an average lies in (0, 1], got average={self.average!r}; write average=0.5.")

    @property
    def growth(self) -> float:
        return math.inf

    def begin(self, y: PyTree[Array]) -> Displacement | None:
        return None if self.certify is None else Displacement.begin(y, self.certify)

    def advance(self, seen: Evaluation, memory: Any) -> tuple[PyTree[Array], Any]:
        dtype = v.dtype(seen.point)
        a = self.average(seen.step.astype(dtype)) if callable(self.average) else self.average
        a = jnp.asarray(a, dtype)
        if memory is not None:
            way = v.ratio(jnp.ones((), dtype), a * seen.step.astype(dtype), seen.step > 0)
            memory = memory.look(seen.step, way, seen.point, seen.residual)
        if isinstance(self.mirror, Euclidean):
            return (seen.image if self.average == 1.0 else v.axpy(a, seen.residual, seen.point)), memory
        mix = lambda p, q: (1 - a.astype(p.dtype)) * p + a.astype(p.dtype) * q
        return self.mirror.primal(jax.tree.map(mix, self.mirror.dual(seen.point), self.mirror.dual(seen.image))), memory

    def findings(self, memory: Displacement | None) -> dict[str, Any]:
        return {} if memory is None else memory.stats()
