"""The front door of fixed points: `fixed_point(T, y0, args)`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, PyTree

from ..fields import GridField
from ._adjoint import ImplicitAdjoint
from ._krylov import default_rtol
from ._solution import RESULTS, Solution, Stats, checked
from .linear import _vectors as v
from .nonlinear import Anderson, InexactNewton
from .nonlinear._fixed_point import AbstractFixedPoint, run

Solver = AbstractFixedPoint | optx.AbstractFixedPointSolver | optx.AbstractRootFinder


def fixed_point(
    fn: Callable[[PyTree, PyTree], PyTree],
    y0: PyTree,
    args: PyTree = None,
    solver: Solver | None = None,
    *,
    adjoint: optx.AbstractAdjoint | None = None,
    memory: Any = None,
    max_steps: int = 256,
    throw: bool = True,
) -> Solution:
    """Find `y = T(y, args)` and say how well.

    **Arguments:**

    - `fn`: the map `T`; what it is differentiated by comes in `args` or is closed over.
    - `y0`: where to start: arrays, fields, or any pytree of them, real or complex.
    - `solver`: an iteration (`Anderson`, `Broyden`, `Picard`, `Halpern`, `Reversible`), `InexactNewton` (applied to
      `y - T(y)`), or a solver of optimistix. Without one, `Anderson` to 1e-8 (float64) or 1e-5 (float32).
    - `adjoint`: how gradients are computed, `ImplicitAdjoint()` without one; see also `NeumannAdjoint`,
      `PhantomAdjoint`, `SharedAdjoint`, `ReversibleAdjoint`, `UnrolledAdjoint`, `RecursiveAdjoint`.
    - `memory`: `solution.state` of a related problem, with which `Broyden` and `Anderson` start. Start from its
      `solution.value` as well.
    - `max_steps`: evaluations of `fn` (steps of other solvers).
    - `throw`: raise if the result is not `successful`; otherwise look at `solution.result`, one code a lane.

    **Returns** a `Solution`: `value` like `y0`; `error`: the relative residual `||T(y) - y|| / ||T(y)||` measured at
    `value`; `state`: what `memory` takes; `stats`: `method`, `num_steps`, `residual_history` where the solver keeps
    one, and for methods that look for it `infeasible`, `displacement`, `displacement_mismatch`.

    **Raises** `SolveError` if the solve failed and `throw` is true; `TypeError` for a map that changes structure, shape
    or dtype, or for unknowns that are not floating.
    """
    adjoint = ImplicitAdjoint() if adjoint is None else adjoint
    if not isinstance(adjoint, optx.AbstractAdjoint):
        raise TypeError(f"{type(adjoint).__name__} is for time stepping; write e.g. solvers.ImplicitAdjoint().")
    if solver is not None and not isinstance(solver, Solver):
        raise TypeError(f"the solver must be a solver object, got {solver!r}; write e.g. solvers.Anderson(1e-6).")
    solution = _find(fn, solver, y0, args, {} if memory is None else {"memory": memory}, max_steps, adjoint)
    return checked(solution) if throw else solution


@eqx.filter_jit
def _find(fn, solver, y0, args, options, max_steps: int, adjoint) -> Solution:
    start, wrap = as_arrays(y0)
    solver = Anderson(default_rtol(None, v.dtype(start))) if solver is None else solver

    def mapped(w, args):
        image, _ = as_arrays(fn(wrap(w), args))
        wanted, found = ([(x.shape, str(x.dtype)) for x in t] for t in (w, image))
        if wanted != found:
            raise TypeError(
                f"a fixed point needs a map that keeps shapes and dtypes; this one maps {wanted} to {found}."
            )
        return image, None

    mapped = eqx.filter_closure_convert(mapped, start, args)
    find = _own if isinstance(solver, AbstractFixedPoint) else _foreign
    solution = find(mapped, solver, start, args, options, max_steps, adjoint)
    numbers = solution.stats.numbers
    if "displacement" in numbers:
        numbers = numbers | {"displacement": wrap(numbers["displacement"])}
    stats = Stats(numbers, solution.stats.facts)
    return eqx.tree_at(lambda s: (s.value, s.stats), solution, (wrap(solution.value), stats))


def _own(fn, solver: AbstractFixedPoint, start, args, options, max_steps: int, adjoint) -> Solution:
    inputs = (fn, solver, start, args, options, max_steps)
    y, (_, end) = adjoint.apply(_iterate, _defect, inputs, frozenset())
    failed = RESULTS.where(end.stuck, RESULTS.no_progress, RESULTS.nonlinear_max_steps_reached)
    failed = RESULTS.where(solver.infeasible(end), RESULTS.infeasible, failed)
    failed = RESULTS.where(end.broken, RESULTS.nonfinite, failed)
    numbers = {"num_steps": end.step, **solver.findings(end.memory)}
    if solver.history:
        numbers["residual_history"] = end.history
    stats = Stats(numbers, (("method", type(solver).__name__),))
    result = RESULTS.where(end.met, RESULTS.successful, failed)
    return Solution(y, None, result, stats, solver.error(end), end.memory)


def _foreign(fn, solver: Solver, start, args, options, max_steps: int, adjoint) -> Solution:
    size = v.norm(fn(start, args)[0])
    if isinstance(solver, InexactNewton):
        options = {"size": jnp.where(size > 0, size, jnp.ones_like(size)), **options}
    find = optx.fixed_point if isinstance(solver, optx.AbstractFixedPointSolver) else optx.root_find
    map_ = fn if isinstance(solver, optx.AbstractFixedPointSolver) else _ToRoot(fn)
    out = find(map_, solver, start, args, options, has_aux=True, max_steps=max_steps, adjoint=adjoint, throw=False)
    image = jax.lax.stop_gradient(fn(out.value, args)[0])
    far = v.norm(image)
    unit = jnp.minimum(far, 10 * jax.lax.stop_gradient(size))
    unit = jnp.where(unit > 0, unit, jnp.ones_like(unit))
    error = v.norm(v.subtract(image, jax.lax.stop_gradient(out.value))) / unit
    # Their criteria look at steps, or at the first image; the residual is measured here.
    goal = 10 * (solver.rtol + solver.atol / unit)
    met = (error <= goal) & (jnp.finfo(far.dtype).eps * far <= goal * unit)
    code = RESULTS.promote(out.result)
    result = RESULTS.where(met | (code != RESULTS.successful), code, RESULTS.tolerance_not_reached)
    numbers = {k: x for k, x in out.stats.items() if eqx.is_array(x)}
    return Solution(out.value, None, result, Stats(numbers, (("method", type(solver).__name__),)), error, None)


class _ToRoot(eqx.Module):
    fn: Callable

    def __call__(self, y, args):
        image, aux = self.fn(y, args)
        return v.subtract(y, image), aux


def _iterate(inputs):
    fn, solver, start, args, options, max_steps, while_loop = inputs
    y, end = run(fn, solver, start, args, options, max_steps, while_loop)
    return end.best, (y, end)


def _defect(y, rest, inputs):
    fn, args = inputs[0], inputs[3]
    return v.subtract(y, fn(y, args)[0])


def as_arrays(y: PyTree) -> tuple[PyTree[Array], Callable[[PyTree[Array]], PyTree]]:
    """The unknowns of a pytree of fields and arrays as real arrays, and the way back."""
    leaves, structure = jax.tree.flatten(y, is_leaf=lambda x: isinstance(x, GridField))
    values = [x.values if isinstance(x, GridField) else jnp.asarray(x) for x in leaves]
    if not values or not all(jnp.issubdtype(x.dtype, np.inexact) for x in values):
        raise TypeError(f"the unknowns of a fixed point are floating-point arrays or fields, got {y!r}.")
    real = [jnp.stack([x.real, x.imag]) if jnp.iscomplexobj(x) else x for x in values]

    def back(arrays: PyTree[Array]) -> PyTree:
        out = []
        for like, complex_, w in zip(leaves, map(jnp.iscomplexobj, values), arrays, strict=True):
            w = jax.lax.complex(w[0], w[1]) if complex_ else w
            out.append(GridField(w, like.grid) if isinstance(like, GridField) else w)
        return jax.tree.unflatten(structure, out)

    return real, back
