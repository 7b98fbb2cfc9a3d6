from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._method import AbstractMethod, Options
from .._problem import EvolutionProblem
from .._solution import RESULTS, Solution, Stats
from ._march import check_problem, check_times
from ._system import NodalSystem, on_grid, working_grid


class Adaptive(AbstractMethod):
    """Adaptive stepping by any solver of diffrax (Kidger 2021), for any of our right-hand sides.

    The equation becomes `v' = f(v)` for the coefficients (complex ones as pairs of real numbers). Solvers of the
    implicit-explicit kind (`diffrax.KenCarp4()`) get the linear part as the implicit term. Save times are arbitrary.

    **Arguments:** `solver`: a diffrax solver, default `diffrax.Tsit5()`; `rtol`, `atol`: of the step size control
    (default: 1e-6 and 1e-8 in float64, 1e-4 and 1e-6 in float32); `dt0`: first step (chosen if `None`); `dealias`: as
    for fixed steps.

    The gradient is that of diffrax's recursive checkpointing; forward mode needs
    `differentiation=diffrax.DirectAdjoint()` or `diffrax.ForwardMode()`.
    """

    solver: Any = eqx.field(static=True, default=None)
    rtol: float | None = eqx.field(static=True, default=None)
    atol: float | None = eqx.field(static=True, default=None)
    dt0: float | None = eqx.field(static=True, default=None)
    dealias: float = eqx.field(static=True, default=1.5)
    differentiation: Any = eqx.field(static=True, default=None)

    def prepare(self, problem: EvolutionProblem, options: Options) -> Any:
        check_problem(problem)
        return None if options.save_at is None else check_times(problem, options.save_at)

    def run(self, problem: EvolutionProblem, prepared: Any, options: Options) -> Solution:
        solver = diffrax.Tsit5() if self.solver is None else self.solver
        system = NodalSystem(on_grid(problem, working_grid(problem.u0.grid, self.dealias)))
        v0 = system.start()
        dtype = v0.real.dtype
        as_real = lambda v: jnp.stack([v.real, v.imag]) if jnp.iscomplexobj(v0) else v
        as_state = lambda y: jax.lax.complex(y[0], y[1]) if jnp.iscomplexobj(v0) else y
        term = lambda part: diffrax.ODETerm(lambda t, y, args: as_real(part(as_state(y), t)))
        terms: Any = term(system.rate)
        if isinstance(getattr(solver, "tableau", None), diffrax.MultiButcherTableau):
            terms = diffrax.MultiTerm(term(system.nonlinear), term(system.linear))
        single = dtype == jnp.float32
        control = diffrax.PIDController(
            rtol=self.rtol or (1e-4 if single else 1e-6), atol=self.atol or (1e-6 if single else 1e-8)
        )
        ts = None if prepared is None else jnp.asarray(np.asarray(options.save_at), dtype)
        out = diffrax.diffeqsolve(
            terms,
            solver,
            jnp.asarray(problem.t0, dtype),
            jnp.asarray(problem.t1, dtype),
            None if self.dt0 is None else jnp.asarray(self.dt0, dtype),
            as_real(v0),
            saveat=diffrax.SaveAt(t1=True) if ts is None else diffrax.SaveAt(ts=ts),
            stepsize_controller=control,
            adjoint=self.differentiation or diffrax.RecursiveCheckpointAdjoint(),
            max_steps=options.max_steps or 65536,
            throw=False,
        )
        value = jax.vmap(lambda y: self._home(system.field(as_state(y)), problem))(out.ys)
        if ts is None:
            value = jax.tree.map(lambda x: x[0], value)
        good = jnp.all(jnp.isfinite(out.ys))
        short = out.result == diffrax.RESULTS.max_steps_reached
        failed = RESULTS.where(short, RESULTS.final_time_not_reached, RESULTS.nonfinite_state)
        finished = out.result == diffrax.RESULTS.successful
        result = RESULTS.where(finished & good, RESULTS.successful, failed)
        numbers = {"num_steps": out.stats["num_accepted_steps"], "num_rejected": out.stats["num_rejected_steps"]}
        facts = (("method", f"Adaptive({type(solver).__name__})"), ("dealias", f"{self.dealias:g}"))
        return Solution(value, ts, result, Stats(numbers, facts), None, None)

    def _home(self, u, problem: EvolutionProblem):
        grid = problem.u0.grid
        return (u.with_grid(grid) if u.grid.same_nodes(grid) else u.resample(grid)).as_values()
