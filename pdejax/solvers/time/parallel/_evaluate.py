"""The front door of sequences: `evaluate(step, h0, xs)`, and the gradient of what it finds."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..._solution import RESULTS, Solution, Stats, checked
from ._deer import DEER
from ._recurrence import Recurrence
from ._sweeps import AbstractParallel, Outcome


def evaluate(
    step: Callable[[PyTree, PyTree], PyTree],
    h0: PyTree[Array],
    xs: PyTree[Array] = None,
    method: AbstractParallel | None = None,
    *,
    length: int | None = None,
    guess: PyTree[Array] | None = None,
    max_steps: int = 100,
    throw: bool = True,
) -> Solution:
    """Evaluate `h_t = step(h_{t-1}, x_t)`, `t = 1, ..., T`, in parallel over `t`, and say how well.

    For recurrent networks (`lambda h, x: cell(x, h)` with an `equinox.nn.GRUCell`), discretised neural differential
    equations, and any other loop with one state: the same trajectory as `jax.lax.scan`, for more work in fewer
    steps that depend on each other. On a CPU the scan is faster.

    **Arguments:**

    - `step`: keeps shapes and dtypes of the state; what it is differentiated by may be closed over.
    - `h0`: the first state: an array, a field, or a pytree of them, real or complex.
    - `xs`: the inputs `x_1, ..., x_T` stacked along the first axis, or `None` together with `length`.
    - `method`: `DEER()` (small states), `QuasiDEER`, `Jacobi`, `Parareal(coarse)`; `GaussSeidel`, `MultipleShooting`.
    - `guess`: a trajectory to start from.
    - `max_steps`: sweeps (in each block, where a method has blocks); `T` are always enough.
    - `throw`: raise if the result is not `successful`; otherwise look at `solution.result`, one code a lane.

    **Returns** a `Solution`: `value` holds `h_1, ..., h_T` along the first axis; `error` the largest residual
    `|step(h_{t-1}, x_t) - h_t|` relative to the largest entry, measured at `value`; `stats`: `method`, `num_steps`
    (sweeps).

    Gradients (also forward) with respect to `h0`, `xs` and what `step` closes over are those of the recurrence at the
    trajectory found; the start has no influence.

    **Raises** `SolveError` if the solve failed and `throw` is true; `TypeError` for a step that changes structure,
    shape or dtype, or for states that are not floating; `ValueError` for lengths that do not agree.
    """
    method = DEER() if method is None else method
    if not isinstance(method, AbstractParallel):
        raise TypeError(f"the method must be one of solvers.time.parallel, got {method!r}; write e.g. DEER().")
    h0, xs, guess = jax.tree.map(_strong, (h0, xs, guess))
    solution = _evaluate(step, h0, xs, method, _length(xs, length), guess, max_steps)
    return checked(solution) if throw else solution


def _length(xs: PyTree[Array], length: int | None) -> int:
    found = {np.shape(x)[0] if np.ndim(x) else None for x in jax.tree.leaves(xs)} | ({length} - {None})
    if len(found) != 1 or None in found or min(found) < 1:
        raise ValueError(
            "a sequence needs one length of at least 1, of inputs stacked along their first axis, or length=T; got "
            f"inputs of shapes {[np.shape(x) for x in jax.tree.leaves(xs)]} and length={length}."
        )
    return found.pop()


@eqx.filter_jit
def _evaluate(step, h0, xs, method: AbstractParallel, length: int, guess, max_steps: int) -> Solution:
    _check_step(step, h0, jax.tree.map(lambda x: x[0], xs))
    step = eqx.filter_closure_convert(step, h0, jax.tree.map(lambda x: x[0], xs))
    out = _trajectory(Recurrence(step, h0, xs, length), method, guess, max_steps)
    error = jax.lax.stop_gradient(out.error)
    early = out.sweeps < length
    # After T sweeps everything that is a number is right up to rounding: a large residual means an overflow.
    overflown = ~jnp.isfinite(error) | (~early & (error > jnp.finfo(error.dtype).eps ** 0.5))
    result = RESULTS.where(early, RESULTS.nonlinear_max_steps_reached, RESULTS.tolerance_not_reached)
    result = RESULTS.where(overflown, RESULTS.nonfinite, result)
    result = RESULTS.where(out.met, RESULTS.successful, result)
    stats = Stats({"num_steps": out.sweeps}, (("method", type(method).__name__),))
    return Solution(out.value, None, result, stats, error)


@eqx.filter_custom_jvp
def _trajectory(recurrence: Recurrence, method: AbstractParallel, guess, max_steps: int) -> Outcome:
    return method.run(recurrence, guess, max_steps)


@_trajectory.def_jvp
def _trajectory_jvp(primals, tangents):
    # The equations of the tangents can be solved by substitution: no linear solver, and no tolerance.
    is_none = lambda x: x is None
    recurrence, method, *_ = primals
    moving = tangents[0]
    still, varied = eqx.partition(recurrence, jax.tree.map(is_none, moving, is_leaf=is_none), is_leaf=is_none)
    out = _trajectory(*primals)
    _, b = jax.jvp(lambda part: eqx.combine(part, still).images(out.value), (varied,), (moving,))
    none = jax.custom_derivatives.zero_from_primal(out, symbolic_zeros=True)
    return out, none._replace(value=method.propagate(recurrence, out.value, b))


def _check_step(step, h0, x0) -> None:
    leaves = jax.tree.leaves(h0)
    if not leaves or not all(jnp.issubdtype(x.dtype, np.inexact) for x in leaves):
        raise TypeError(f"the state of a sequence is made of floating-point arrays or fields, got {h0!r}.")
    kind = lambda state: jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    wanted, found = kind(h0), kind(eqx.filter_eval_shape(step, h0, x0))
    if not eqx.tree_equal(wanted, found):
        raise TypeError(
            f"a sequence needs a step that keeps structure, shapes and dtypes; it maps {wanted} to {found}."
        )


def _strong(x) -> Array:
    # A Python number has no dtype of its own, and a loop needs one.
    x = jnp.asarray(x)
    return jax.lax.convert_element_type(x, x.dtype)
