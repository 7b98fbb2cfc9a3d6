import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._method import AbstractMethod, Options
from .._problem import EvolutionProblem
from .._solution import RESULTS, Solution
from ..time._march import March, Scheme, check_dt, march, plan
from ._cfl import conservation_law, wave_rate
from ._fluxes import HLL, AbstractFlux
from ._ghosts import check_cells
from ._integrators import AbstractIntegrator, ShuOsher
from ._reconstruction import MUSCL, AbstractReconstruction
from ._volumes import Volumes

# One, and room for the rounding of the step.
_LIMIT = 1.001


class FiniteVolume(AbstractMethod):
    """Finite volumes for an `AbstractConservationLaw` (or a `Forced` one), whose values are the means of cells.

    `q_t = -sum_i (F_{i+1/2} - F_{i-1/2}) / dx_i + s(q, t)`: face values by `reconstruction`, drawn towards the mean
    where positivity asks for it, one `flux` per face, and steps of `integrator`, axis by axis (LeVeque 2002,
    chapters 4, 10 and 19). What the law conserves is conserved to rounding. Needs `Uniform` axes, periodic or centred
    with `Outflow`, `Reflecting`, `Dirichlet` or `Neumann` ends.

    **Arguments:** `dt` (adjusted to divide `t1 - t0` evenly, see `stats["dt"]`; `cfl_dt(problem)` finds one);
    `stats["cfl"]` is the largest `dt sum_i |speed_i| / dx_i` at the start and the saved times: above 1 the result is
    `cfl_violated`, and below the reconstruction's `share` positive means stay positive.

    **Raises** `ValueError` for `dt <= 0` and unsuitable axes, `TypeError` for equations that are no conservation law.
    """

    dt: float = eqx.field(static=True, converter=float)
    reconstruction: AbstractReconstruction = MUSCL()
    flux: AbstractFlux = HLL()
    integrator: AbstractIntegrator = ShuOsher()

    def __check_init__(self):
        check_dt("FiniteVolume", self.dt)

    def prepare(self, problem: EvolutionProblem, options: Options) -> March:
        steps = plan(problem, self.dt, options)
        conservation_law(problem.equation)
        check_cells(problem.u0.grid, self.reconstruction.width)
        return steps

    def run(self, problem: EvolutionProblem, prepared: March, options: Options) -> Solution:
        u0 = problem.u0
        volumes = Volumes(problem.equation, u0.grid, self.reconstruction, self.flux)

        def step(v: Array, t: Array, i: Array) -> Array:
            return self.integrator(volumes, v, t, jnp.asarray(prepared.dt, t.dtype))

        parts = {"reconstruction": self.reconstruction, "flux": self.flux, "integrator": self.integrator}
        facts = (("method", "FiniteVolume"), *((name, type(part).__name__) for name, part in parts.items()))
        solution = march(Scheme(u0.values, step, u0.with_values), problem, prepared, options, facts)
        seen = jnp.concatenate([u0.values[None], jnp.reshape(solution.value.values, (-1, *u0.values.shape))])
        rates = jax.vmap(lambda v: wave_rate(conservation_law(problem.equation), u0.with_values(v)))(seen)
        cfl = jnp.max(rates) * jnp.asarray(prepared.dt, u0.dtype)
        result = RESULTS.where(cfl > _LIMIT, RESULTS.cfl_violated, solution.result)
        numbers = {**solution.stats.numbers, "cfl": cfl}
        return eqx.tree_at(lambda s: (s.result, s.stats.numbers), solution, (result, numbers))
