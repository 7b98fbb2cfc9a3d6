from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..linear import _vectors as v

# Residuals are compared at evaluations 2^k, from this one on.
_FIRST = 64


class Displacement(eqx.Module):
    """Tells a map without a fixed point by its infimal displacement `v = argmin ||w||, w in closure{y - T(y)}`.

    For a non-expansive `T` both `y_k - T(y_k)` and the scaled way travelled, `c (y_0 - y_k) / k`, tend to `v`, which is
    zero where `T` has a fixed point, or nearly has one (Pazy 1971). A verdict at evaluation `2^k` needs the residuals
    at `2^(k-1)` and `2^k` and the way travelled to agree, within `tolerance` relative to the residual.
    """

    start: PyTree[Array]
    marked: PyTree[Array]
    infeasible: Array
    mismatch: Array
    tolerance: float = eqx.field(static=True)

    @classmethod
    def begin(cls, y: PyTree[Array], tolerance: float) -> "Displacement":
        """Before the first evaluation."""
        return cls(y, v.zeros(y), jnp.zeros((), bool), jnp.full((), jnp.inf, v.dtype(y)), tolerance)

    def look(self, step: Array, way: Array, point: PyTree[Array], residual: PyTree[Array]) -> "Displacement":
        """After evaluation number `step` (from 0); `way` is what the way travelled is multiplied by."""
        count = step + 1
        due = (count & (count - 1)) == 0
        size = v.norm(residual)
        moved = v.subtract(v.axpy(way, v.subtract(point, self.start), v.zeros(point)), residual)
        mismatch = jnp.maximum(v.norm(v.subtract(residual, self.marked)), v.norm(moved))
        mismatch = v.ratio(mismatch, size, size > 0)
        found = due & (count >= _FIRST) & (size > 0) & (mismatch <= self.tolerance)
        return Displacement(
            self.start,
            v.choose(due, residual, self.marked),
            self.infeasible | found,
            jnp.where(due & ~self.infeasible, mismatch, self.mismatch),
            self.tolerance,
        )

    def stats(self) -> dict[str, Any]:
        """`displacement` (the last residual looked at, with the sign of `y - T(y)`), how well its estimates agree
        (`displacement_mismatch`), and the verdict.
        """
        displacement = v.subtract(v.zeros(self.marked), self.marked)
        return {
            "infeasible": self.infeasible,
            "displacement": displacement,
            "displacement_mismatch": self.mismatch,
        }
