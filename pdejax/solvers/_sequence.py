"""Many related steady problems, one after the other, each helped by those before it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import PyTree

from ._kernel import Kernel, constant_kernel
from ._krylov import default_rtol
from ._preconditioner import AbstractPreconditioner, InverseLaplacian
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, SolveError, Stats
from ._steady import unknowns
from .linear._gcrodr import GCRODR, Recycle
from .linear._preconditioned import constant


def sort_by_parameters(parameters: PyTree, block: int = 4096) -> np.ndarray:
    """An order in which neighbours are close: a greedy chain that starts with sample 0 and goes on with the nearest
    sample not yet visited, in the 2-norm of all parameters (Wang, Hao, Wang, Geng, Wang, Li & Wu 2024).

    `parameters` is an array, or a pytree of arrays, with samples along the first axis; chains end at multiples of
    `block` samples, since the distances within a block are kept.

    **Returns** the integer permutation, shape `(samples,)`.

    **Raises** `ValueError` if there are no arrays, or their first axes differ.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(parameters) if eqx.is_inexact_array_like(leaf)]
    counts = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
    if len(counts) != 1 or None in counts:
        raise ValueError(
            f"parameters are arrays with one entry per sample along the first axis, got shapes "
            f"{[leaf.shape for leaf in leaves]}; stack the samples, for instance with jax.vmap."
        )
    rows = np.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)
    rows = np.concatenate([rows.real, rows.imag], axis=1) if np.iscomplexobj(rows) else rows
    chains = [start + _chain(rows[start : start + block]) for start in range(0, len(rows), block)]
    return np.concatenate(chains)


def _chain(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=0)
    square = np.sum(rows**2, axis=1)
    distance = square[:, None] + square[None] - 2 * rows @ rows.T
    order = [0]
    free = np.ones(len(rows), bool)
    for _ in range(len(rows) - 1):
        free[order[-1]] = False
        order.append(int(np.argmin(np.where(free, distance[order[-1]], np.inf))))
    return np.asarray(order)


def solve_sequence(
    problems: SteadyProblem,
    solver: GCRODR | None = None,
    preconditioner: AbstractPreconditioner | None = None,
    order: np.ndarray | None = None,
    throw: bool = True,
) -> Solution:
    """Solve a batch of linear steady problems in sorted order, recycling Krylov directions from one to the next.

    For data sets of a parametrised equation (Wang et al. 2024, "Accelerating data generation for neural operators via
    Krylov subspace recycling"):

        grid = pj.Grid(x=pj.Uniform(65, lower=zero, upper=zero), y=pj.Uniform(65, lower=zero, upper=zero))
        media = jax.vmap(sample)(jax.random.split(key, 100))              # a batch of fields on the nodes
        problems = jax.vmap(lambda a: pj.SteadyProblem(pj.equations.Darcy(a), grid))(media)
        solution = pj.solvers.solve_sequence(problems)
        solution.value.values                                             # (100, 1, 65, 65), in the order of `media`

    Recycling pays where the preconditioner leaves more steps than a cycle of the solver has, and does harm where it
    leaves fewer (`experiments/skr`): for small contrasts `jax.vmap` of a solve with `ConjugateGradient` is faster.

    **Arguments:** `problems`: a `SteadyProblem` with a leading axis on every array; `solver` (default: `GCRODR` with
    the tolerance that suits the dtype); `preconditioner` (default: `InverseLaplacian()`), built anew for each problem;
    `order`: a permutation (default: `sort_by_parameters(problems)`, on the host); `throw`: raise if a problem failed.

    **Returns** a `Solution` with a leading axis, in the order given. `error` is as for `GMRES`. Compiled once per
    structure; inside `jit` give `order` and `throw=False`.

    **Raises** `SolveError` that names the first problem that failed.
    """
    recipe = InverseLaplacian() if preconditioner is None else preconditioner
    order = sort_by_parameters(problems) if order is None else np.asarray(order)
    first = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, problems)
    solver = GCRODR(default_rtol(None, unknowns(first).dtype)) if solver is None else solver
    solution = _run(problems, solver, recipe.prepare(first), constant_kernel(first), order, np.argsort(order))
    if throw and not bool(jnp.all(solution.ok)):
        worst = int(jnp.argmin(solution.ok))
        message = RESULTS[jax.tree.map(lambda x: x[worst], solution.result)]  # pyright: ignore
        raise SolveError(f"problem {worst} of the sequence: {message}")
    return solution


@eqx.filter_jit
def _run(
    problems: SteadyProblem,
    solver: GCRODR,
    recipe: AbstractPreconditioner,
    kernel: Kernel,
    order: np.ndarray,
    back: np.ndarray,
) -> Solution:
    arrays, static = eqx.partition(problems, eqx.is_array)
    arrays = jax.tree.map(lambda x: x[order], arrays)

    def step(recycle: Recycle, mine):
        system = unknowns(eqx.combine(mine, static))
        start, product = jax.linearize(system.residual, system.guess())
        operator, right = lx.FunctionLinearOperator(product, system.structure()), -start
        approximate = kernel.around(constant(recipe.build(system, constant(operator))))
        options = {"preconditioner": approximate}
        out, recycle = solver.solve(operator, kernel.project(right), recycle, options)
        w = kernel.centred(out.value)
        lost = kernel.is_inconsistent(right)
        result = RESULTS.where(lost, RESULTS.null_space, RESULTS.promote(out.result))
        facts = (("method", "GCRODR"), ("preconditioner", recipe.name), ("reason", "a sequence of problems"))
        stats = Stats({name: out.stats[name] for name in ("num_steps", "num_matvecs")}, facts)
        error = system.relative_error(w, right, approximate)
        return recycle, Solution(system.field(w), None, result, stats, error, None)

    one = jax.tree.map(lambda x: x[0], arrays)
    recycle = solver.empty(unknowns(eqx.combine(one, static)).structure())
    solutions = jax.lax.scan(step, recycle, arrays)[1]
    return jax.tree.map(lambda x: x[back], solutions)
