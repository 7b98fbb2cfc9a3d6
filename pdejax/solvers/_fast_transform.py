import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import Eigenbasis, GridField
from ..grids import scale
from ._method import AbstractMethod, Options
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, Stats
from ._steady import unknowns
from ._symbol import NotDiagonal, read_symbol


class FastTransform(AbstractMethod):
    """Direct solve of a linear equation that is diagonal in the grid's modes: two transforms and a division.

    Modes are Fourier, sine, cosine, or the dense modes of nodal axes (fast diagonalisation, Lynch, Rice & Thomas 1964).
    Modes in the null space (constants of a periodic Poisson problem) are set to zero; if the source has a part there
    the result is `null_space` and `error` says how large it is.

    **Raises** `ValueError` if the operator couples modes or is not linear.
    """

    def prepare(self, problem: SteadyProblem, options: Options):
        check_steady("FastTransform", problem)
        try:
            return read_symbol(problem, linearised, Eigenbasis(problem.grid), problem.channels, True)
        except NotDiagonal as error:
            raise ValueError(
                f"FastTransform needs an operator that is diagonal in the grid's modes: {error} "
                "Write solvers.ConjugateGradient() for variable coefficients, or let solve choose."
            ) from None

    def run(self, problem: SteadyProblem, prepared, options: Options) -> Solution:
        system, basis = unknowns(problem), Eigenbasis(problem.grid)
        zero = system.guess()
        right = basis.forward(-problem.equation.residual(system.field(zero)))
        inverse, null_modes = _invert(prepared, basis.active())
        w = basis.backward(_multiply(inverse, right)).values
        error = system.relative_error(w, -system.residual(zero))
        # A direct solve is exact to rounding, amplified by the condition number;
        # a source in the null space is off by order one.
        met = error <= jnp.asarray(float(jnp.finfo(error.dtype).eps) ** 0.5, error.dtype)
        failed = RESULTS.where(jnp.asarray(null_modes > 0), RESULTS.null_space, RESULTS.tolerance_not_reached)
        result = RESULTS.where(met, RESULTS.successful, failed)
        stats = Stats(
            {"num_steps": jnp.asarray(0), "null_modes": jnp.asarray(null_modes)}, (("method", "FastTransform"),)
        )
        return Solution(system.field(w), None, result, stats, error, None)


def check_steady(name: str, problem) -> None:
    """**Raises** `TypeError` unless the problem is steady."""
    if not isinstance(problem, SteadyProblem):
        raise TypeError(
            f"{name} solves a SteadyProblem; write a time stepper such as solvers.ETDRK4(dt) for an EvolutionProblem."
        )


def linearised(problem: SteadyProblem, u: GridField) -> GridField:
    """The derivative of the residual at zero, applied to `u`."""
    zero = GridField(jnp.zeros_like(u.values), problem.grid)
    base = GridField(problem.boundary(u.dtype).values, problem.grid)
    values = jax.jvp(
        lambda v: problem.equation.residual(base.with_values(base.values + v)).values, (zero.values,), (u.values,)
    )[1]
    return GridField(values, problem.grid)


def _invert(symbol, active: np.ndarray):
    xp = np if isinstance(symbol, np.ndarray) else jnp
    channels = symbol.shape[0]
    if channels == 1:
        s = symbol[0, 0]
        null = xp.abs(s) <= 1e-12 * xp.abs(s).max()
        return xp.where(null, 0, 1 / xp.where(null, 1, s))[None, None], (null & active).sum()
    matrices = xp.moveaxis(symbol, (0, 1), (-2, -1))
    return xp.moveaxis(xp.linalg.pinv(matrices, rcond=1e-12), (-2, -1), (0, 1)), 0


def _multiply(table, v: Array) -> Array:
    channels = range(v.shape[0])
    return jnp.stack([sum(_times(table[i, j], v[j]) for j in channels) for i in channels])


def _times(factor, v: Array) -> Array:
    if isinstance(factor, np.ndarray) and not np.any(np.imag(factor)):
        return scale(v, np.real(factor))
    return v * jnp.asarray(factor).astype(v.dtype)
