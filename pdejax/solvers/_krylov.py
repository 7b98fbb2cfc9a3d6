from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from ._fast_transform import check_steady
from ._method import AbstractMethod, Options
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, Stats
from ._steady import Unknowns, unknowns
from .linear import PCG


class ConjugateGradient(AbstractMethod):
    """Matrix-free conjugate gradients, preconditioned by the fast inverse of the Laplacian on the same grid.

    For linear self-adjoint positive definite equations with variable coefficients; the number of iterations depends on
    the contrast of the coefficients, not on the grid (Concus & Golub 1973). Under `vmap` all lanes run until the
    slowest has converged.

    **Arguments:** `rtol`: reduction of the residual in the dual (H^-1) norm (default: `1e-8` in float64, `1e-5` in
    float32); `atol`: the same, absolute.

    **Raises** `TypeError` for an evolution problem.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)

    def prepare(self, problem: SteadyProblem, options: Options) -> None:
        check_steady("ConjugateGradient", problem)

    def run(self, problem: SteadyProblem, prepared: None, options: Options) -> Solution:
        system = unknowns(problem)
        rtol = default_rtol(self.rtol, system.dtype)
        solver = PCG(rtol, self.atol, options.max_steps, system.preconditioner())
        return solve_linear(system, solver, rtol, self.atol, "ConjugateGradient", lx.positive_semidefinite_tag)


class GMRES(AbstractMethod):
    """Restarted generalised minimal residuals (lineax), preconditioned by the fast inverse of the Laplacian.

    Saad & Schultz 1986. For linear equations that are not self-adjoint or not definite.

    **Arguments:** `rtol`, `atol` as for `ConjugateGradient`; `restart`: vectors kept.

    **Raises** `TypeError` for an evolution problem.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)
    restart: int = eqx.field(static=True, default=40)

    def prepare(self, problem: SteadyProblem, options: Options) -> None:
        check_steady("GMRES", problem)

    def run(self, problem: SteadyProblem, prepared: None, options: Options) -> Solution:
        system = unknowns(problem)
        rtol = default_rtol(self.rtol, system.dtype)
        # lineax stops on an elementwise scale and on the step as well;
        # ask for a little more and measure the residual ourselves.
        solver = lx.GMRES(rtol=rtol, atol=rtol, norm=optx.two_norm, restart=self.restart, max_steps=options.max_steps)
        return solve_linear(system, solver, rtol, self.atol, "GMRES", (), {"preconditioner": system.preconditioner()})


def solve_linear(
    system: Unknowns, solver, rtol: float, atol: float, name: str, tags, options: dict[str, Any] | None = None
) -> Solution:
    """Solve `F(w) = 0` for linear `F` through lineax, which brings the implicit derivative,
    and measure what came out.
    """
    start, product = jax.linearize(system.residual, system.guess())
    operator = lx.FunctionLinearOperator(product, system.structure(), tags)
    right = -start
    out = lx.linear_solve(operator, right, solver, options=options, throw=False)
    error = system.relative_error(out.value, right)
    # Twice the tolerance: the residual is recomputed; the recursive one that stopped the iteration differs by rounding.
    met = (error <= jnp.asarray(2 * rtol, error.dtype)) | ((atol > 0) & (out.result == lx.RESULTS.successful))
    failed = RESULTS.where(
        out.result == lx.RESULTS.successful, RESULTS.tolerance_not_reached, RESULTS.promote(out.result)
    )
    if "indefinite" in out.stats:
        failed = RESULTS.where(out.stats["indefinite"], RESULTS.indefinite, failed)
    result = RESULTS.where(met, RESULTS.successful, failed)
    stats = Stats(
        {"num_steps": jnp.asarray(out.stats["num_steps"])}, (("method", name), ("preconditioner", "inverse Laplacian"))
    )
    return Solution(system.field(out.value), None, result, stats, error, None)


def default_rtol(rtol: float | None, dtype) -> float:
    """The tolerance asked for, or one within reach of the dtype.

    **Raises** `ValueError` if a tolerance is not positive.
    """
    if rtol is None:
        return 1e-8 if dtype == jnp.float64 else 1e-5
    if not rtol > 0:
        raise ValueError(f"a relative tolerance must be positive, got rtol={rtol:g}; write rtol=1e-6.")
    return rtol
