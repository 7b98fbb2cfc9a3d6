import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import Eigenbasis, GridField
from ..grids import scale
from ._method import AbstractMethod, Options
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, Stats
from ._steady import _held, symmetrising_weights, unknowns
from ._symbol import NotDiagonal, is_traced, read_symbol

_NEEDED: dict = {}  # For each structure of problem: which of its leaves the linear operator depends on.
_TABLES: dict = {}  # Tables of the problems solved last, for each structure and values of these leaves.


class FastTransform(AbstractMethod):
    """Direct solve of a linear equation that is diagonal in the grid's modes: two transforms and a division.

    Modes are Fourier, sine, cosine, or those of nodal axes (fast diagonalisation, Lynch, Rice & Thomas 1964): sines
    and cosines by FFTs for long axes with differences of order 2, dense matrices for the others. Data may be complex.
    Modes in the null space (constants of a periodic Poisson problem) are set to zero; if the source has a part there
    the result is `null_space` and `error` says how large it is. The operator is looked at once; later solves with other
    sources and boundary values reuse its table.

    **Raises** `ValueError` if the operator couples modes or is not linear.
    """

    def prepare(self, problem: SteadyProblem, options: Options) -> "Tables":
        check_steady("FastTransform", problem)
        arrays, rest = eqx.partition(problem, _is_array)
        leaves, structure = jax.tree.flatten(arrays)
        others = jax.tree.flatten(rest)
        kind = (structure, others[1], tuple(others[0]), tuple((x.shape, x.dtype) for x in leaves))
        if kind not in _NEEDED:
            _remember(_NEEDED, kind, _needed(problem), 256)
        needed = _NEEDED[kind]
        if is_traced([leaves[i] for i in needed]):
            return _tables(problem)
        key = (kind, tuple(np.asarray(leaves[i]).tobytes() for i in needed), jnp.result_type(float))
        if key not in _TABLES:
            # What does not matter may be traced (in a gradient with respect to the source) and must not be kept.
            known = [x if i in needed else np.zeros(x.shape, x.dtype) for i, x in enumerate(leaves)]
            with jax.ensure_compile_time_eval():
                tables = _tables(eqx.combine(structure.unflatten(known), rest))
            _remember(_TABLES, key, tables, 8)
        return _TABLES[key]

    def run(self, problem: SteadyProblem, prepared: "Tables", options: Options) -> Solution:
        system, basis, real = unknowns(problem), Eigenbasis(problem.grid), prepared.real
        dtype = _kind(system.dtype, real)

        def residual(w: Array) -> GridField:
            u = system.field(w)
            out = problem.equation.residual(u.with_grid(_held(u.grid)))
            return out if real else out.as_complex()

        source = -residual(jnp.zeros(system.shape, dtype))
        right = basis.forward(source)
        w = basis.backward(_multiply(prepared.inverse, right), real).values
        # The residual steers nothing: in single precision its norm is as good.
        rest = jax.tree.map(_single, residual(w))
        size = _dual_square(basis, prepared.dual, source, right, real)
        safe = jnp.where(size > 0, size, jnp.ones_like(size))
        error = jnp.sqrt(_dual_square(basis, prepared.dual, rest, basis.forward(rest), real).astype(size.dtype) / safe)
        # A direct solve is exact to rounding, amplified by the condition number;
        # a source in the null space is off by order one.
        met = error <= jnp.asarray(float(jnp.finfo(error.dtype).eps) ** 0.5, error.dtype)
        failed = RESULTS.where(prepared.null_modes > 0, RESULTS.null_space, RESULTS.tolerance_not_reached)
        result = RESULTS.where(met, RESULTS.successful, failed)
        stats = Stats({"num_steps": jnp.asarray(0), "null_modes": prepared.null_modes}, (("method", "FastTransform"),))
        return Solution(system.field(w), None, result, stats, error, None)


class Tables(eqx.Module):
    """What modes are multiplied by: the inverse operator `(channels, channels, *modes)`, and the weights of the dual
    norm of the Laplacian.
    """

    inverse: Array
    dual: Array
    null_modes: Array
    real: bool = eqx.field(static=True)


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


def _needed(problem: SteadyProblem) -> tuple[int, ...]:
    """Indices of the leaves that the linear operator may depend on: those that reach its result in its program."""
    arrays, rest = eqx.partition(problem, _is_array)
    leaves, structure = jax.tree.flatten(arrays)
    system, real = unknowns(problem), _is_real(problem)

    def apply(leaves, u):
        stand_in = eqx.combine(structure.unflatten(leaves), rest)
        return linearised(stand_in, GridField(u, stand_in.grid)).values

    u = jax.ShapeDtypeStruct(system.shape, _kind(system.dtype, real))
    program = jax.make_jaxpr(apply)(leaves, u).jaxpr
    reached = set(program.outvars)
    for equation in reversed(program.eqns):
        if not reached.isdisjoint(equation.outvars):
            reached.update(v for v in equation.invars if not isinstance(v, jax.extend.core.Literal))
    return tuple(i for i in range(len(leaves)) if program.invars[i] in reached)


def _is_array(x) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def _is_real(problem: SteadyProblem) -> bool:
    leaves = jax.tree.leaves(problem, is_leaf=lambda x: isinstance(x, GridField))
    return all(x.is_real if isinstance(x, GridField) else not (_is_array(x) and jnp.iscomplexobj(x)) for x in leaves)


def _remember(memory: dict, key, value, most: int) -> None:
    if len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value


def _tables(problem: SteadyProblem) -> Tables:
    basis, real, dtype = Eigenbasis(problem.grid), _is_real(problem), unknowns(problem).dtype
    try:
        symbol = read_symbol(problem, linearised, basis, problem.channels, real)
    except NotDiagonal as error:
        raise ValueError(
            f"FastTransform needs an operator that is diagonal in the grid's modes: {error} "
            "Write solvers.ConjugateGradient() for variable coefficients, or let solve choose."
        ) from None
    inverse, null_modes = _invert(symbol, basis.active(real))
    if isinstance(inverse, np.ndarray) and not np.any(np.imag(inverse)):
        inverse = np.real(inverse)
    # Where the Laplacian vanishes the smallest eigenvalue counts, so that a part in the null space is seen.
    eigenvalues, squares = -basis.laplacian(real), basis.squares(real)
    smallest = np.min(eigenvalues[eigenvalues > 1e-12 * eigenvalues.max()])
    dual = (1.0 if squares is None else squares) / np.maximum(eigenvalues, smallest)
    inverse = jnp.asarray(inverse).astype(_kind(dtype, not jnp.iscomplexobj(inverse)))
    return Tables(inverse, jnp.asarray(dual, _kind(dtype, True)), jnp.asarray(null_modes), real)


def _kind(dtype: np.dtype, real: bool) -> np.dtype:
    """The real or complex dtype of the same precision."""
    return np.finfo(dtype).dtype if real else np.result_type(dtype, np.complex64)


def _dual_square(basis: Eigenbasis, dual: Array, field: GridField, modes: Array, real: bool) -> Array:
    """Square of the dual norm of a residual with the given modes, by Parseval where the modes are orthogonal."""
    if basis.squares(real) is not None:
        return jnp.sum(scale(jnp.abs(modes) ** 2, dual[None]).astype(dual.dtype))
    potential = basis.backward(scale(modes, dual[None]), real).values
    return jnp.sum(scale((jnp.conj(field.values) * potential).real, symmetrising_weights(basis.grid)[None]))


def _single(x):
    if not eqx.is_inexact_array(x):
        return x
    return x.astype(jnp.complex64 if jnp.iscomplexobj(x) else jnp.float32)


def _invert(symbol, active: np.ndarray):
    xp = np if isinstance(symbol, np.ndarray) else jnp
    channels = symbol.shape[0]
    if channels == 1:
        s = symbol[0, 0]
        null = xp.abs(s) <= 1e-12 * xp.abs(s).max()
        return xp.where(null, 0, 1 / xp.where(null, 1, s))[None, None], (null & active).sum()
    matrices = xp.moveaxis(symbol, (0, 1), (-2, -1))
    return xp.moveaxis(xp.linalg.pinv(matrices, rcond=1e-12), (-2, -1), (0, 1)), 0


def _multiply(table: Array, v: Array) -> Array:
    channels = range(v.shape[0])
    return jnp.stack([sum(_times(table[i, j], v[j]) for j in channels) for i in channels])


def _times(factor: Array, v: Array) -> Array:
    return v * factor.astype(v.dtype) if jnp.iscomplexobj(factor) else scale(v, factor)
