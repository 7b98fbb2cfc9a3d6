import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from ._fast_transform import check_steady
from ._krylov import default_rtol
from ._method import AbstractMethod, Options
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, Stats
from ._steady import unknowns
from .linear import PCG


class Newton(AbstractMethod):
    """Newton's method (optimistix) with preconditioned conjugate gradients inside,
    for self-adjoint nonlinear equations.

    The Hessian is applied, never formed; gradients of the solution use the implicit function theorem with the same
    inner solver.

    **Arguments:** `rtol`: reduction of the residual (default by dtype).

    **Raises** `TypeError` for an evolution problem.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def prepare(self, problem: SteadyProblem, options: Options) -> None:
        check_steady("Newton", problem)

    def run(self, problem: SteadyProblem, prepared: None, options: Options) -> Solution:
        system = unknowns(problem)
        rtol = default_rtol(self.rtol, system.dtype)
        inner = PCG(min(rtol, 1e-6 if system.dtype == jnp.float64 else 1e-4), 0.0, None, system.preconditioner())
        size = jnp.linalg.norm(system.residual(system.guess()).ravel())
        floor = jnp.where(size > 0, size, jnp.ones((), size.dtype))
        # Scaled by the first residual, so that optimistix' absolute tolerance on the residual means reduction.
        scaled = lambda w, args: system.residual(w) / floor
        out = optx.root_find(
            scaled,
            optx.Newton(rtol=rtol, atol=rtol, norm=optx.two_norm, linear_solver=inner, cauchy_termination=True),
            system.guess(),
            tags=frozenset({lx.positive_semidefinite_tag}),
            adjoint=optx.ImplicitAdjoint(linear_solver=inner),
            max_steps=50 if options.max_steps is None else options.max_steps,
            throw=False,
        )
        error = system.relative_error(out.value, -system.residual(system.guess()))
        met = error <= jnp.asarray(2 * rtol, error.dtype)
        code = RESULTS.promote(out.result)
        failed = RESULTS.where(code == RESULTS.successful, RESULTS.tolerance_not_reached, code)
        stats = Stats(
            {"num_steps": jnp.asarray(out.stats["num_steps"])}, (("method", "Newton"), ("linear_solver", "PCG"))
        )
        return Solution(
            system.field(out.value), None, RESULTS.where(met, RESULTS.successful, failed), stats, error, None
        )
