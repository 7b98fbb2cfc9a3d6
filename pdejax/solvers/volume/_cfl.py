import jax.numpy as jnp
from jaxtyping import Array

from ...equations import AbstractEvolution
from ...equations._base import Forced
from ...equations._hyperbolic import AbstractConservationLaw
from ...fields import GridField
from .._problem import EvolutionProblem


def conservation_law(equation: AbstractEvolution) -> AbstractConservationLaw:
    """The law that finite volumes solve, without the sources of `Forced`.

    **Raises** `TypeError` for equations that are none.
    """
    if isinstance(equation, Forced):
        return conservation_law(equation.equation)
    if not isinstance(equation, AbstractConservationLaw):
        raise TypeError(
            f"finite volumes solve conservation laws, and {type(equation).__name__} gives no flux; subclass "
            "equations.AbstractConservationLaw, or take solvers.ETDRK4(dt) or RK4(dt)."
        )
    return equation


def wave_rate(law: AbstractConservationLaw, u: GridField) -> Array:
    """`max sum_i |speed_i| / dx_i` over the cells: the inverse of the time in which a wave crosses one."""
    total = jnp.zeros((), u.dtype)
    for i, name in enumerate(u.space_names):
        speeds = law.speeds(u, i).values  # type: ignore[attr-defined]
        axis = u.grid.axis(name)
        total = total + jnp.max(jnp.abs(speeds), axis=0) * jnp.asarray(1 / axis.spacing, u.dtype)
    return jnp.max(total)


def cfl_number(problem: EvolutionProblem, dt: float) -> Array:
    """`dt max sum_i |speed_i| / dx_i` of the initial field (Courant, Friedrichs & Lewy 1928)."""
    return wave_rate(conservation_law(problem.equation), problem.u0) * jnp.asarray(dt, problem.u0.dtype)


def cfl_dt(problem: EvolutionProblem, cfl: float = 0.4) -> float:
    """The step at which the initial field has the given CFL number; waves that grow faster later need a smaller one.

    **Raises** `ValueError` if nothing moves in the initial field.
    """
    rate = float(cfl_number(problem, 1.0))
    if not rate > 0:
        raise ValueError(
            f"the initial field has no wave of positive speed (got {rate:g}), so any step is stable; choose dt."
        )
    return cfl / rate
