from collections.abc import Callable, Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Array

from ._adjoint import AbstractAdjoint, CheckpointedAdjoint
from ._choose import choose
from ._method import AbstractMethod, Options
from ._problem import EvolutionProblem, SteadyProblem
from ._solution import Solution, Stats, checked


def solve(
    problem: EvolutionProblem | SteadyProblem,
    method: AbstractMethod | None = None,
    *,
    adjoint: AbstractAdjoint | None = None,
    save_at: Sequence[float] | Array | None = None,
    max_steps: int | None = None,
    throw: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """Solve a problem and say how well.

    **Arguments:**

    - `problem`: an `EvolutionProblem` or a `SteadyProblem`.
    - `method`: e.g. `solvers.ETDRK4(dt)`, `solvers.ConjugateGradient()`. Without one, a steady problem gets a method
      that suits its operator, named with the reason in `stats`.
    - `adjoint`: how gradients of a time stepping are computed (`CheckpointedAdjoint()`); steady problems always use the
      implicit function theorem.
    - `save_at`: increasing times to keep, multiples of the step; without it only the final field is kept.
    - `max_steps`: bound on time steps or iterations.
    - `throw`: raise if the result is not `successful`; otherwise look at `solution.result`.
    - `progress`: called as `progress(steps done, steps in all)` now and then during an evolution, between saved times.

    **Returns** a `Solution`. The call may stand inside `jit`, `vmap` and `grad`, with respect to the initial field and
    the parameters of the equation; outside of `jit` it compiles once per structure.

    **Raises** `SolveError` (a `RuntimeError`) with the result's message if the solve failed and `throw` is true;
    `TypeError`/`ValueError` for a method that does not fit the problem.
    """
    if not isinstance(problem, EvolutionProblem | SteadyProblem):
        raise TypeError(
            f"solve takes an EvolutionProblem or a SteadyProblem, got {type(problem).__name__}; "
            "wrap the equation in one."
        )
    reason = "asked for"
    if method is None:
        method, reason = choose(problem)
    if not isinstance(method, AbstractMethod):
        raise TypeError(
            f"the method must be a solver object, got {method!r}; write e.g. pdejax.solvers.ETDRK4(dt=1e-3)."
        )
    if isinstance(problem, SteadyProblem):
        for name, value in (("adjoint", adjoint), ("save_at", save_at), ("progress", progress)):
            if value is not None:
                raise ValueError(f"{name} belongs to time stepping and a steady problem has none; leave it out.")
    times = None if save_at is None else tuple(float(t) for t in np.asarray(save_at))
    options = Options(CheckpointedAdjoint() if adjoint is None else adjoint, times, max_steps, progress)
    solution = _run(method, problem, method.prepare(problem, options), options)
    stats = Stats(solution.stats.numbers, (*solution.stats.facts, ("reason", reason)))
    solution = eqx.tree_at(lambda s: s.stats, solution, stats)
    return checked(solution) if throw else solution


@eqx.filter_jit
def _run(method, problem, prepared, options) -> Solution:
    return method.run(problem, prepared, options)
