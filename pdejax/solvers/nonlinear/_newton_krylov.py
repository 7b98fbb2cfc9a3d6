"""Newton-Krylov methods for steady problems."""

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array

from .._fast_transform import check_steady
from .._krylov import default_rtol
from .._method import AbstractMethod, Options
from .._preconditioner import AbstractPreconditioner, InverseLaplacian
from .._problem import SteadyProblem
from .._solution import RESULTS, Solution, Stats
from .._steady import Unknowns, unknowns
from ..linear import FGMRES, MINRES, PCG, DeflatedCG, FlexibleCG
from ..linear import _vectors as v
from ._forcing import AbstractForcing, RatioForcing
from ._globalisation import AbstractGlobalisation, EnergySearch, LineSearch
from ._inexact_newton import InexactNewton


class NewtonKrylov(AbstractMethod):
    """Inexact Newton: each step solves the linearised equations by a Krylov method, only as exactly as pays off.

    The Jacobian is applied, never formed. It starts from `problem.guess` (zero without one) and ends when the residual
    in the dual (H^-1) norm is `rtol` times that of zero (of the start where zero has none). Gradients use the implicit
    function theorem with the same solver and preconditioner. Under `vmap` lanes stop one by one.

    **Arguments:**

    - `linear`: any lineax solver; `FGMRES` for every equation, `PCG` where the Jacobian is symmetric positive definite
      (variational equations).
    - `preconditioner`: rebuilt at every step from the current Jacobian.
    - `forcing`: how exactly each linear system is solved (`RatioForcing`, `ModelForcing`, `ConstantForcing`).
    - `globalisation`: `LineSearch` or `Dogleg` for systems; `EnergySearch`, `TrustRegion` or `Damped` for variational
      equations; `PseudoTransient` for steady states of evolution equations; `FullStep` for none.
    - `rtol` (default `1e-8` in float64, `1e-5` in float32), `atol`.

    `stats`: `num_steps`, `linear_steps`, `num_matvecs`, `num_residuals`, `residual_history` (relative, NaN-padded).

    **Raises** `TypeError` for an evolution problem.
    """

    linear: lx.AbstractLinearSolver = FGMRES(rtol=1e-2, max_steps=400)
    preconditioner: AbstractPreconditioner = InverseLaplacian()
    forcing: AbstractForcing = RatioForcing()
    globalisation: AbstractGlobalisation = LineSearch()
    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)

    def prepare(self, problem: SteadyProblem, options: Options) -> AbstractPreconditioner:
        check_steady("NewtonKrylov", problem)
        return self.preconditioner.prepare(problem)

    def run(self, problem: SteadyProblem, prepared: AbstractPreconditioner, options: Options) -> Solution:
        system = unknowns(problem)
        rtol, steps = default_rtol(self.rtol, system.dtype), 50 if options.max_steps is None else options.max_steps
        norm, build, begin = DualNorm(system), Build(prepared, system), system.start()
        ends = (system.guess(),) if problem.guess is None else (system.guess(), begin)
        size = _first_finite_positive(*(norm(system.residual(w)) for w in ends))
        solver = InexactNewton(
            rtol, self.atol, self.linear, build, self.forcing, self.globalisation, norm, history=steps
        )
        out = optx.root_find(
            _residual,
            solver,
            begin,
            system,
            {"size": size},
            tags=frozenset(promised(self.linear)),
            adjoint=solver.adjoint(min(rtol, 1e-8 if system.dtype == jnp.float64 else 1e-4)),
            max_steps=steps,
            throw=False,
        )
        left = norm(system.residual(out.value))
        # A little more than the tolerance: the residual is computed anew.
        met = left <= 1.1 * (jnp.asarray(rtol, size.dtype) * size + jnp.asarray(self.atol, size.dtype))
        code = RESULTS.promote(out.result)
        failed = RESULTS.where(code == RESULTS.successful, RESULTS.tolerance_not_reached, code)
        failed = RESULTS.where(out.stats["stuck"], RESULTS.no_descent, failed)
        failed = RESULTS.where(out.stats["indefinite"] & out.stats["stuck"], RESULTS.indefinite, failed)
        numbers = ("num_steps", "linear_steps", "num_matvecs", "num_residuals", "residual_history")
        facts = (
            ("method", "NewtonKrylov"),
            ("linear_solver", type(self.linear).__name__),
            ("preconditioner", prepared.name),
            ("globalisation", type(self.globalisation).__name__),
        )
        stats = Stats({name: jnp.asarray(out.stats[name]) for name in numbers}, facts)
        result = RESULTS.where(met, RESULTS.successful, failed)
        return Solution(system.field(out.value), None, result, stats, left / size, None)


class Newton(AbstractMethod):
    """Newton's method with preconditioned conjugate gradients and a search on the energy: `NewtonKrylov` as it suits
    variational equations.

    **Arguments:** `rtol`: reduction of the residual (default by dtype).

    **Raises** `TypeError` for an evolution problem.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def prepare(self, problem: SteadyProblem, options: Options) -> AbstractPreconditioner:
        check_steady("Newton", problem)
        return self._method().prepare(problem, options)

    def run(self, problem: SteadyProblem, prepared: AbstractPreconditioner, options: Options) -> Solution:
        solution = self._method().run(problem, prepared, options)
        facts = (("method", "Newton"), *(fact for fact in solution.stats.facts if fact[0] != "method"))
        return eqx.tree_at(lambda s: s.stats, solution, Stats(solution.stats.numbers, facts))

    def _method(self) -> NewtonKrylov:
        return NewtonKrylov(PCG(1e-2), globalisation=EnergySearch(), rtol=self.rtol)


class DualNorm(eqx.Module):
    """`||r||` in the dual of H^1: `r . (-lap)^-1 r`, which finer grids do not change."""

    system: Unknowns

    def __call__(self, r: Array) -> Array:
        return jnp.sqrt(jnp.maximum(v.energy(r, self.system.preconditioner().mv(r)), 0))


class Build(eqx.Module):
    """From the Jacobian of a system to an approximate inverse."""

    preconditioner: AbstractPreconditioner
    system: Unknowns

    def __call__(self, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        return self.preconditioner.build(self.system, product)


def promised(linear: lx.AbstractLinearSolver) -> tuple[object, ...]:
    """What the choice of a linear solver says about the Jacobian."""
    if isinstance(linear, PCG | FlexibleCG | DeflatedCG):
        return (lx.positive_semidefinite_tag,)
    return (lx.symmetric_tag,) if isinstance(linear, MINRES) else ()


def _residual(w: Array, system: Unknowns) -> Array:
    return system.residual(w)


def _first_finite_positive(*sizes: Array) -> Array:
    out = jnp.ones((), sizes[0].dtype)
    for size in reversed(sizes):
        out = jnp.where(jnp.isfinite(size) & (size > 0), size, out)
    return out
