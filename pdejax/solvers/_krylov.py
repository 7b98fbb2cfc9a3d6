import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from ._fast_transform import check_steady
from ._kernel import Kernel, constant_kernel
from ._method import AbstractMethod, Options
from ._multigrid import Multigrid
from ._preconditioner import AbstractPreconditioner, InverseLaplacian
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, Stats
from ._steady import Unknowns, unknowns
from .linear import FGMRES, MINRES, PCG
from .linear._preconditioned import constant

# Residual norms kept in stats["residual_history"].
_HISTORY = 100


class AbstractLinearMethod(AbstractMethod):
    """A Krylov method with a preconditioner, for linear steady equations.

    The operator is applied, never formed; the gradient of the solution is one more solve with the transposed operator
    and preconditioner (lineax). A null space of constants (periodic and Neumann domains) is projected out: the solution
    has mean zero, and a source with a mean is reported as `null_space`.
    """

    preconditioner: eqx.AbstractVar[AbstractPreconditioner]

    @abc.abstractmethod
    def linear_solver(self, dtype, max_steps: int | None) -> tuple[lx.AbstractLinearSolver, float, float]:
        """The lineax solver with its relative and absolute tolerance."""

    @property
    def tags(self) -> Any:
        """What the method assumes of the operator."""
        return ()

    def prepare(self, problem: SteadyProblem, options: Options) -> tuple[AbstractPreconditioner, Kernel]:
        check_steady(type(self).__name__, problem)
        recipe = self.preconditioner.prepare(problem).tabulate(problem, self.tags)
        return recipe, constant_kernel(problem)

    def run(self, problem: SteadyProblem, prepared, options: Options) -> Solution:
        system = unknowns(problem)
        solver, rtol, atol = self.linear_solver(system.dtype, options.max_steps)
        return solve_linear(system, solver, prepared, rtol, atol, type(self).__name__, self.tags)


class ConjugateGradient(AbstractLinearMethod):
    """Matrix-free conjugate gradients, for self-adjoint positive definite equations with variable coefficients.

    By default preconditioned by the fast inverse of the Laplacian on the same grid: the number of iterations then
    depends on the contrast of the coefficients, not on the grid (Concus & Golub 1973). Under `vmap` all lanes run until
    the slowest has converged.

    **Arguments:** `rtol`: reduction of the residual in the norm of the preconditioner, which is close to that of the
    error in the energy norm (default: `1e-8` in float64, `1e-5` in float32); `atol`: the same, absolute;
    `preconditioner`: symmetric positive definite.

    **Raises** `TypeError` for an evolution problem, `ValueError` for a tolerance that the dtype cannot reach.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)
    preconditioner: AbstractPreconditioner = InverseLaplacian()

    def linear_solver(self, dtype, max_steps: int | None):
        rtol = default_rtol(self.rtol, dtype)
        return PCG(rtol, self.atol, max_steps, history=_HISTORY), rtol, self.atol

    @property
    def tags(self) -> Any:
        return lx.positive_semidefinite_tag


class MultigridCG(ConjugateGradient):
    """Conjugate gradients with a multigrid cycle as preconditioner: `ConjugateGradient` for large grids and contrasts.

    Some ten iterations for `-div(a grad u) + c u = f` on `Uniform(order=2)` axes, whatever the grid and the jumps of
    the coefficients (Kettler 1982). Arguments as for `ConjugateGradient`; `preconditioner`: a `Multigrid`.
    """

    preconditioner: AbstractPreconditioner = Multigrid()


class MinimalResidual(AbstractLinearMethod):
    """Minimal residuals (MINRES, Paige & Saunders 1975), for self-adjoint equations that are not definite.

    **Arguments** as for `ConjugateGradient`; the preconditioner must be definite although the operator is not.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)
    preconditioner: AbstractPreconditioner = InverseLaplacian()

    def linear_solver(self, dtype, max_steps: int | None):
        rtol = default_rtol(self.rtol, dtype)
        return MINRES(rtol, self.atol, max_steps, history=_HISTORY), rtol, self.atol

    @property
    def tags(self) -> Any:
        return lx.symmetric_tag


class GMRES(AbstractLinearMethod):
    """Restarted generalised minimal residuals, preconditioned from the right (Saad & Schultz 1986; Saad 1993).

    For linear equations that are not self-adjoint, not definite, or complex.

    **Arguments** as for `ConjugateGradient` with any preconditioner, the residual in the 2-norm; `restart`: vectors
    kept.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)
    restart: int = eqx.field(static=True, default=40)
    preconditioner: AbstractPreconditioner = InverseLaplacian()

    def linear_solver(self, dtype, max_steps: int | None):
        rtol = default_rtol(self.rtol, dtype)
        return FGMRES(rtol, self.atol, max_steps, self.restart, _HISTORY), rtol, self.atol


class Krylov(AbstractLinearMethod):
    """Any lineax solver with any preconditioner: `Krylov(lineax.BiCGStab(1e-8, 0.0), Multigrid())`.

    **Arguments:** `solver`: a solver that reads `options["preconditioner"]`; `preconditioner`; `tags`: the lineax tags
    it asks of the operator.
    """

    solver: lx.AbstractLinearSolver
    preconditioner: AbstractPreconditioner = InverseLaplacian()
    tags: Any = eqx.field(static=True, default=())

    def linear_solver(self, dtype, max_steps: int | None):
        solver = self.solver
        if max_steps is not None:
            fields = {name: getattr(solver, name) for name in solver.__dataclass_fields__}
            solver = type(solver)(**{**fields, "max_steps": max_steps})
        return solver, solver.rtol, solver.atol


def solve_linear(
    system: Unknowns,
    solver: lx.AbstractLinearSolver,
    prepared: tuple[AbstractPreconditioner, Kernel],
    rtol: float,
    atol: float,
    name: str,
    tags,
) -> Solution:
    """Solve `F(w) = 0` for linear `F` through lineax, which brings the implicit derivative, and measure the outcome."""
    recipe, kernel = prepared
    start, product = jax.linearize(system.residual, system.guess())
    operator = lx.FunctionLinearOperator(product, system.structure(), tags)
    approximate = kernel.around(constant(recipe.build(system, constant(operator))))
    right = -start
    consistent = kernel.project(right)
    out = lx.linear_solve(operator, consistent, solver, options={"preconditioner": approximate}, throw=False)
    w = kernel.centred(out.value)
    # Conjugate gradients have measured it already, in the norm of the preconditioner.
    error = out.stats.get("relative_residual")
    error = system.relative_error(w, right, approximate) if error is None else error
    # Twice the tolerance: the residual is recomputed; the recursive one that stopped the iteration differs by rounding.
    met = (error <= jnp.asarray(2 * rtol, error.dtype)) | (out.result == lx.RESULTS.successful)
    failed = RESULTS.where(
        out.result == lx.RESULTS.successful, RESULTS.tolerance_not_reached, RESULTS.promote(out.result)
    )
    if "indefinite" in out.stats:
        failed = RESULTS.where(out.stats["indefinite"], RESULTS.indefinite, failed)
    failed = RESULTS.where(kernel.is_inconsistent(right), RESULTS.null_space, failed)
    result = RESULTS.where(met & ~kernel.is_inconsistent(right), RESULTS.successful, failed)
    stats = Stats(
        {k: jnp.asarray(x) for k, x in out.stats.items() if k in ("num_steps", "num_matvecs", "residual_history")},
        (("method", name), ("preconditioner", recipe.name)),
    )
    return Solution(system.field(w), None, result, stats, error, None)


def default_rtol(rtol: float | None, dtype) -> float:
    """The tolerance asked for, or one within reach of the dtype.

    **Raises** `ValueError` if a tolerance is not positive or below what the dtype can reach.
    """
    real = np.finfo(dtype).dtype
    if rtol is None:
        return 1e-8 if real == np.float64 else 1e-5
    if not rtol > 0:
        raise ValueError(f"a relative tolerance must be positive, got rtol={rtol:g}; write rtol=1e-6.")
    reachable = 8 * float(np.finfo(real).eps)
    if rtol < reachable:
        raise ValueError(
            f"rtol={rtol:g} is below what {real} can reach; write rtol={reachable:.0e} or more"
            + (", or pass float64 data with jax_enable_x64 on." if real != np.float64 else ".")
        )
    return rtol
