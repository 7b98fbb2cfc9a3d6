"""The default method, chosen by what the equation is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import AbstractVariational, SteadyNavierStokes, Stokes
from ..fields import Eigenbasis
from ._fast_transform import FastTransform, linearised
from ._flow_preconditioner import LineElimination, StokesBlocks
from ._krylov import GMRES, ConjugateGradient, MinimalResidual, MultigridCG
from ._method import AbstractMethod
from ._multigrid import Multigrid
from ._problem import EvolutionProblem, SteadyProblem
from ._steady import Unknowns, unknowns
from ._symbol import NotDiagonal, in_float64, is_traced, read_symbol
from .linear import FGMRES
from .nonlinear import Newton, NewtonKrylov

# Up to this many nodes a multigrid cycle takes longer to compile than it ever saves.
_SMALL = 4096
# Unknowns on one line of a staggered grid up to which lines are eliminated densely.
_LONGEST_LINE = 800

_KNOWN: dict = {}  # What was found for each structure of problem: the look costs a second, the answer stays the same.


def choose(problem: EvolutionProblem | SteadyProblem) -> tuple[AbstractMethod, str]:
    """A method for a steady problem and the reason for it.

    The equation is applied to random fields once per structure (kinds and shapes; traced coefficients are replaced by
    random positive ones) to see whether it is linear, diagonal in the grid's modes, self-adjoint and compact:

    - linear with constant coefficients, diagonal in the modes: `FastTransform`;
    - self-adjoint and positive: `MultigridCG` where the operator couples next neighbours of a grid that is not small,
      otherwise `ConjugateGradient` with the inverse Laplacian;
    - self-adjoint and indefinite: `MinimalResidual`; neither, or complex: `GMRES`;
    - flows on staggered nodes: `MinimalResidual` or `NewtonKrylov` with preconditioners of their own;
    - nonlinear: `Newton` (conjugate gradients inside, a search on the energy) for variational equations, otherwise
      `NewtonKrylov` (GMRES inside).

    **Raises** `ValueError` for an evolution problem, which needs a time step.
    """
    if isinstance(problem, EvolutionProblem):
        raise ValueError("an evolution problem needs a step size; write solve(problem, solvers.ETDRK4(dt=1e-3)).")
    if isinstance(problem.equation, Stokes):
        return MinimalResidual(preconditioner=StokesBlocks()), "the flow is slow, its operator self-adjoint"
    if isinstance(problem.equation, SteadyNavierStokes):
        return _flow_method(problem)
    leaves, structure = jax.tree.flatten(problem)
    key = (structure, tuple((x.shape, str(x.dtype)) if eqx.is_array(x) else x for x in leaves))
    if key not in _KNOWN:
        if len(_KNOWN) >= 256:
            _KNOWN.clear()
        _KNOWN[key] = _inspect(problem)
    method, reason = _KNOWN[key]
    if isinstance(method, ConjugateGradient) and not is_traced(problem) and _smoothest_curvature(problem) < 0:
        return MinimalResidual(), "the operator is self-adjoint and not positive definite"
    return method, reason


def _flow_method(problem: SteadyProblem) -> tuple[AbstractMethod, str]:
    linear, shape = FGMRES(rtol=1e-2, max_steps=60), problem.grid.shape
    walled = [i for i, axis in enumerate(problem.grid.axes) if not axis.is_periodic]
    if walled and problem.channels * np.prod(shape) / max(shape[i] for i in walled) <= _LONGEST_LINE:
        return NewtonKrylov(linear, LineElimination()), "the equation is nonlinear and its lines are short"
    return NewtonKrylov(linear, StokesBlocks()), "the equation is nonlinear"


def _smoothest_curvature(problem: SteadyProblem) -> float:
    # Depends on the values, not on the structure: w . A w for the lowest mode, where
    # operators like -lap - k^2 turn negative.
    system, basis = unknowns(problem), Eigenbasis(problem.grid)
    eigenvalues = np.where(basis.active(), -basis.laplacian(), np.inf)
    lowest = np.broadcast_to(eigenvalues == np.min(eigenvalues), (problem.channels, *eigenvalues.shape))
    w = basis.backward(jnp.asarray(lowest, np.result_type(basis.dtype()))).values.astype(system.dtype)
    return float(_curvature(system, w))


@eqx.filter_jit
def _curvature(system: Unknowns, w):
    return jnp.sum(w * jax.jvp(system.residual, (system.guess(),), (w,))[1])


def _inspect(problem: SteadyProblem) -> tuple[AbstractMethod, str]:
    generator = np.random.default_rng(0)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        stand_in = jax.tree.map(lambda x: _number(x, generator), problem)
        system = unknowns(stand_in)
        a, b = (jnp.asarray(_random(generator, system)) for _ in range(2))
        zero, fa, fb, fab = (np.asarray(_residual(system, w)) for w in (system.guess(), a, b, a + b))
        size = max(np.abs(fa - zero).max(), np.abs(fb - zero).max(), 1e-300)
        if np.abs(fa + fb - fab - zero).max() > 1e-8 * size:
            if isinstance(problem.equation, AbstractVariational):
                return Newton(), "the equation is nonlinear and has an energy"
            return NewtonKrylov(), "the equation is nonlinear"
        try:
            read_symbol(stand_in, linearised, Eigenbasis(stand_in.grid), stand_in.channels, _is_real(system))
            return FastTransform(), "the operator is diagonal in the grid's modes"
        except NotDiagonal:
            pass
        if not _is_real(system):
            return _large(problem, GMRES(), GMRES(preconditioner=Multigrid())), "the operator is complex"
        a, b, image_a, image_b = np.asarray(a), np.asarray(b), fa - zero, fb - zero
        if abs(np.sum(image_a * b) - np.sum(image_b * a)) > 1e-8 * np.linalg.norm(image_a) * np.linalg.norm(b):
            return _large(problem, GMRES(), GMRES(preconditioner=Multigrid())), "the operator is not self-adjoint"
        method = _large(problem, ConjugateGradient(), MultigridCG())
        return method, "the operator is self-adjoint with variable coefficients"


def _is_real(system: Unknowns) -> bool:
    return not np.issubdtype(system.dtype, np.complexfloating)


def _large(problem: SteadyProblem, small: AbstractMethod, large: AbstractMethod) -> AbstractMethod:
    """The second method on grids that are large, if multigrid can read the operator."""
    if np.prod(problem.grid.shape) <= _SMALL:
        return small
    try:
        Multigrid().prepare(problem)
    except ValueError:
        return small
    return large


@eqx.filter_jit
def _residual(system: Unknowns, w):
    return system.residual(w)


def _number(x, generator: np.random.Generator):
    if not eqx.is_inexact_array(x):
        return x
    if isinstance(x, jax.core.Tracer):
        return jnp.asarray(generator.uniform(0.5, 1.5, jnp.shape(x)))
    return in_float64(x)


def _random(generator: np.random.Generator, system: Unknowns) -> np.ndarray:
    # Through the coefficients: on sine axes the end values must vanish.
    field = system.field(jnp.asarray(generator.standard_normal(system.shape)))
    return np.asarray(field.as_coefficients().values - system.field(system.guess()).values)
