import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..equations import Poisson
from ..fields import AbstractField, GridField, sample
from ..grids import Chebyshev
from ..solvers import SteadyProblem
from ..solvers._steady import Unknowns, unknowns


class ErrorEstimate(eqx.Module):
    """What a residual says about the error: `absolute` in the H^1 seminorm, `relative` to that of the solution."""

    absolute: Array
    relative: Array


def error_estimate(problem: SteadyProblem, u: AbstractField) -> ErrorEstimate:
    """A posteriori estimate of the error of `u`, wherever it comes from, by the residual in the dual norm.

    `|u - u*|_1 ~ <r, z>^(1/2) / c` with `z = (-lap)^-1 r` by a fast solve (on spectral axes that is Parseval's sum) and
    `c = <z, A z> / <r, z>` the stiffness of the linearised operator `A` along `z`: exact for `-c lap`, for other
    operators as good as one step of steepest descent in H^1 (Verfuerth 2013, section 1.4 for the equivalence).

    The exact solution meant is that of `problem` on its grid. A field on another grid is resampled: to see the
    discretisation error of a solution, pose the problem on a grid twice as fine, with coefficients given as functions.

    **Raises** `ValueError` if the channels differ.
    """
    system = unknowns(problem)
    w = _unknown_part(system, u)
    r, product = jax.linearize(system.residual, w)
    z = system.preconditioner().mv(r)
    square = jnp.maximum(jnp.sum(jnp.conj(r) * z).real, 0)
    stiffness = jnp.abs(jnp.sum(jnp.conj(z) * product(z))) / jnp.where(square > 0, square, jnp.ones_like(square))
    absolute = jnp.sqrt(square) / jnp.where(square > 0, stiffness, jnp.ones_like(square))
    size = _seminorm(system, w)
    # Sums over nodes to integrals: what a node in the middle stands for.
    cells = [
        axis.weights.max() if isinstance(axis, Chebyshev) else np.ptp(axis.points[:2]) for axis in problem.grid.axes
    ]
    volume = jnp.asarray(np.prod(cells), absolute.dtype)
    relative = absolute / jnp.where(size > 0, size, jnp.ones_like(size))
    return ErrorEstimate(absolute * jnp.sqrt(volume), relative)


def _unknown_part(system: Unknowns, u: AbstractField) -> Array:
    problem = system.problem
    field = u if isinstance(u, GridField) else sample(u, problem.grid, system.dtype)
    if field.channels != problem.channels:
        raise ValueError(
            f"the problem has {problem.channels} channels and the field {field.channels}; write u[i] for one of them."
        )
    if field.grid.shape != problem.grid.shape:
        field = field.resample(problem.grid)
    return field.values.astype(system.dtype) - problem.boundary(system.dtype).values


def _seminorm(system: Unknowns, w: Array) -> Array:
    """`<w, -lap w>^(1/2)`, summed over the nodes, with the boundary conditions of the problem."""
    poisson = Unknowns(SteadyProblem(Poisson(0.0), system.problem.grid, system.problem.channels), system.dtype)
    image = jax.linearize(poisson.residual, poisson.guess())[1](w)
    return jnp.sqrt(jnp.maximum(jnp.sum(jnp.conj(w) * image).real, 0))
