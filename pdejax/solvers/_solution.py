from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import optimistix as optx
from jaxtyping import Array

from ..fields import GridField


class RESULTS(optx.RESULTS):  # pyright: ignore
    """How a solve ended; `successful` is the only code that means the tolerance was met."""

    successful = ""
    nonfinite_state = (
        "The solution became infinite or NaN (first seen at stats['nonfinite_at']); "
        "take a smaller dt, more nodes, or check the data."
    )
    cfl_violated = (
        "The solution blew up (at stats['nonfinite_at']) and dt is beyond the stability limit of this explicit method "
        "(see solvers.stable_dt); take a smaller dt, or a method that treats the stiff part implicitly."
    )
    final_time_not_reached = (
        "The final time was not reached within max_steps steps; allow more, or loosen the tolerances."
    )
    not_stationary = (
        "The last step still moved the state, so the implicit gradient of a steady state does not apply; "
        "integrate longer, or use solvers.CheckpointedAdjoint()."
    )
    null_space = (
        "The source has a part in the null space of the operator, such as a mean on a periodic or Neumann domain, so "
        "no solution exists; subtract it from the source (solution.error is its relative size)."
    )
    tolerance_not_reached = (
        "The residual measured after the solve is above the tolerance (see solution.error): rounding limits this "
        "dtype; use a larger rtol, or float64."
    )
    no_descent = (
        "No step along the Newton direction reduced the residual: give SteadyProblem a guess, follow the solution from "
        "an easier parameter (solvers.continuation), or use another globalisation."
    )
    indefinite = (
        "Conjugate gradients met a direction of negative curvature: the operator is not positive definite. "
        "Use solvers.MinimalResidual() (self-adjoint) or solvers.GMRES() (any) for indefinite problems."
    )

    no_progress = (
        "The residual has stopped falling above the tolerance (see solution.error): rounding limits this dtype, or the "
        "map does not contract near the solution; use a larger rtol or float64, a damped step, or another solver."
    )
    infeasible = (
        "The map has no fixed point: y - T(y) and the way travelled agree on a displacement that is not zero "
        "(stats['displacement']); the problem has no solution, or is misspecified."
    )


class SolveError(RuntimeError):
    """A solve that did not succeed; the message says why and what to do."""


class Stats(eqx.Module, Mapping):
    """What a solve reports: numbers (arrays, batched under `vmap`) and facts (text, static). Reads like a dict."""

    numbers: dict[str, Array]
    facts: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def __getitem__(self, name: str) -> Any:
        return dict(self.facts)[name] if name in dict(self.facts) else self.numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*dict(self.facts), *self.numbers])

    def __len__(self) -> int:
        return len(self.facts) + len(self.numbers)

    def __repr__(self) -> str:
        return f"Stats({dict(self)})"


class Solution(eqx.Module):
    """What `solve` returns.

    `value`: the field, with a leading time axis if times were asked for; `ts`: those times; `result`: how it ended;
    `stats`: method, reason for the choice, counts; `error`: measured error of a steady solution, the residual relative
    to that of the zero guess in a dual norm: that of the preconditioner where it is definite (with multigrid nearly the
    relative error in the energy norm), otherwise H^-1 (which bounds it up to the contrast of the coefficients); of the
    discrete equations, see `verify.error_estimate` for the discretisation; `None` for evolution, whose error
    `verify.observed_order` measures; `state`: what a warm start needs.
    """

    value: GridField
    ts: Array | None
    result: RESULTS
    stats: Stats
    error: Array | None
    state: Any = None

    @property
    def ok(self) -> Array:
        """Whether the solve met its tolerance."""
        return self.result == RESULTS.successful


def checked(solution: Solution) -> Solution:
    """The solution, if it succeeded.

    **Raises** `SolveError` with what the result says; inside `jit`, when it runs.
    """
    failed = solution.result != RESULTS.successful
    if isinstance(failed, jax.core.Tracer):
        value = solution.result.error_if(solution.value, failed)
        return eqx.tree_at(lambda s: s.value, solution, value)
    if failed:
        raise SolveError(RESULTS[solution.result])  # pyright: ignore[reportInvalidTypeArguments]
    return solution
