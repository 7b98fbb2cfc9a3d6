import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ...fields import GridField
from ...grids import scale
from .._method import AbstractMethod, Options
from .._problem import EvolutionProblem, unknown_nodes
from .._solution import Solution
from ._march import March, check_dt, dealiased, march, plan


class RK4(AbstractMethod):
    """The classical explicit Runge-Kutta method of order four, for any evolution equation on any grid.

    Kutta 1901. Stable only while `dt` times the largest eigenvalue of the right-hand side stays below about 2.8;
    Dirichlet nodes keep their values.

    **Arguments:** `dt`, `dealias` as for `ETDRK4`.

    **Raises** `ValueError` for `dt <= 0`.
    """

    dt: float = eqx.field(static=True, converter=float)
    dealias: float = eqx.field(static=True, converter=float, default=1.5)

    def __check_init__(self):
        check_dt("RK4", self.dt)

    def prepare(self, problem: EvolutionProblem, options: Options) -> March:
        return plan(problem, self.dt, options)

    def run(self, problem: EvolutionProblem, prepared: March, options: Options) -> Solution:
        u0 = dealiased(problem.u0, self.dealias)
        free, dt = unknown_nodes(u0.grid), prepared.dt

        def rate(v: Array, t: Array) -> Array:
            u = problem.equation.tendency(GridField.from_coefficients(v, u0.grid, u0.is_real), t)
            if free is None:
                return u.coefficients
            values = u.values
            return u0.grid.forward(jnp.where(free, values, jnp.zeros((), values.dtype)))

        def step(v: Array, t: Array) -> Array:
            h = jnp.asarray(dt, t.dtype)
            k1 = rate(v, t)
            k2 = rate(v + scale(k1, h / 2), t + h / 2)
            k3 = rate(v + scale(k2, h / 2), t + h / 2)
            k4 = rate(v + scale(k3, h), t + h)
            return v + scale(k1 + 2 * k2 + 2 * k3 + k4, h / 6)

        facts = (("method", "RK4"), ("dealias", f"{self.dealias:g}"))
        return march(step, u0.coefficients, u0.with_coefficients, problem, prepared, options, facts)
