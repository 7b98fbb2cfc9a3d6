import abc
import functools
import math
from collections.abc import Callable

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from ._implicit import default_linear, implicit
from ._solution import RESULTS

Step = Callable[[PyTree, Array], PyTree]  # (state, index of the step) -> state


class AbstractAdjoint(eqx.Module):
    """How the gradient of a time stepping is computed."""

    @abc.abstractmethod
    def loop(self, step: Step, state: PyTree, first: Array, count: int) -> PyTree:
        """The state after `count` steps, the first of which has the index `first`."""

    def finish(self, step: Step, state: PyTree, last: Array) -> tuple[PyTree, RESULTS]:
        """The final state as gradients shall see it, and how that went; `last` is the index of the next step."""
        return state, RESULTS.successful


class UnrolledAdjoint(AbstractAdjoint, optx.AbstractAdjoint):
    """Keep every intermediate of every step.

    An iteration, whose length is not known before, is differentiated in blocks of sixteen steps, which are redone once
    or twice (equinox's bounded loop).
    """

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        return primal_fn((*inputs, functools.partial(eqxi.while_loop, kind="bounded")))

    def loop(self, step: Step, state: PyTree, first: Array, count: int) -> PyTree:
        return _scan(step, state, first, count)


class CheckpointedAdjoint(AbstractAdjoint):
    """Keep some states and redo the steps between them backwards (Griewank & Walther 2000).

    `levels=1` (the default of `solve`) keeps the state of each step and redoes one step at a time: less work on CPU
    than keeping intermediates, and `n` states of memory. `levels=L` nests: about `L n^(1/L)` states, and each step is
    redone `L` times.

    **Raises** `ValueError` for `levels < 1`.
    """

    levels: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.levels < 1:
            raise ValueError(f"checkpoints have at least one level, got levels={self.levels}; write levels=2.")

    def loop(self, step: Step, state: PyTree, first: Array, count: int) -> PyTree:
        return _nested(step, state, first, count, self.levels)


class RecursiveAdjoint(AbstractAdjoint, optx.AbstractAdjoint):
    """Halve the interval again and again: about `2 log2(n)` states in memory, each step redone `log2(n)` times.

    For an iteration, whose length is not known before, checkpoints move while it runs (Stumm & Walther 2010); it has
    no forward derivative then.
    """

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        return primal_fn((*inputs, functools.partial(eqxi.while_loop, kind="checkpointed")))

    def loop(self, step: Step, state: PyTree, first: Array, count: int) -> PyTree:
        return _nested(step, state, first, count, max(1, math.ceil(math.log2(max(count, 2)))))


class ImplicitAdjoint(AbstractAdjoint, optx.AbstractAdjoint):
    """The gradient of a fixed point by the implicit function theorem, for iterations and for runs into a steady state.

    Where `u = T(u)`, the derivative solves `(I - dT/du) du = dT/d(parameters)`, iteratively and without forming a
    matrix. Memory does not grow with the number of steps, and the start has no influence.

    **Arguments:**

    - `linear`: the lineax solver of that system, e.g. `solvers.FGMRES(1e-6)`,
      `solvers.Stationary(solvers.Picard(1e-6))`, `lineax.BiCGStab(1e-6, 1e-6)`; without one `FGMRES` to 1e-10
      (float64) or 1e-5.
    - `accept`: a solution of it with a larger relative residual becomes NaN: gradients have no result code, and a wrong
      one should not look like a right one.
    - `rtol`: a time stepping whose last step still moves the state by more than this is `not_stationary`. Conserved
      quantities make the system of a time stepping singular: their dependence on the initial field is not seen.
    """

    linear: lx.AbstractLinearSolver | None = None
    accept: float = eqx.field(static=True, default=1e-2)
    rtol: float = eqx.field(static=True, default=1e-6)

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        dtype = jnp.result_type(*(x.dtype for x in jax.tree.leaves(inputs[2]) if eqx.is_array(x)))
        linear = default_linear(dtype) if self.linear is None else self.linear
        inputs = (*inputs, functools.partial(eqxi.while_loop, kind="lax"))
        return implicit(primal_fn, rewrite_fn, inputs, linear, self.accept, tags)

    def loop(self, step: Step, state: PyTree, first: Array, count: int) -> PyTree:
        state = jax.lax.stop_gradient(state)
        return _scan(_frozen(step, state, first), state, first, count)

    def finish(self, step: Step, state: PyTree, last: Array) -> tuple[PyTree, RESULTS]:
        moving, still = eqx.partition(jax.lax.stop_gradient(state), eqx.is_inexact_array)
        point, unravel = ravel_pytree(jax.tree.map(_as_real, moving))
        like = moving

        def defect(w: Array) -> Array:
            state = eqx.combine(jax.tree.map(_as_like, unravel(w), like), still)
            after = eqx.filter(step(state, last), eqx.is_inexact_array)
            return w - ravel_pytree(jax.tree.map(_as_real, after))[0]

        at_rest = defect(point)
        product = jax.linearize(_frozen(defect, point), point)[1]
        operator = lx.FunctionLinearOperator(product, jax.ShapeDtypeStruct(point.shape, point.dtype))
        tolerance = 1e-10 if point.dtype == jnp.float64 else 1e-5
        solver = lx.GMRES(rtol=tolerance, atol=tolerance, restart=40) if self.linear is None else self.linear
        # One Newton step, in which only the defect depends on the parameters, has the derivative of the fixed point.
        change = lx.linear_solve(operator, at_rest, solver, throw=False).value
        moved = jnp.sqrt(jnp.sum(at_rest**2)) <= self.rtol * jnp.sqrt(jnp.sum(point**2))
        point = point - change
        state = eqx.combine(jax.tree.map(_as_like, unravel(point), like), still)
        return state, RESULTS.where(moved, RESULTS.successful, RESULTS.not_stationary)


def _frozen(fn: Callable, *args) -> Callable:
    """The function with what it closes over taken as constants."""
    converted = eqx.filter_closure_convert(fn, *args)
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, converted)


def _as_real(x: Array) -> Array:
    return jnp.stack([x.real, x.imag]) if jnp.iscomplexobj(x) else x


def _as_like(x: Array, like: Array) -> Array:
    return jax.lax.complex(x[0], x[1]) if jnp.iscomplexobj(like) else x


def _scan(step: Step, state: PyTree, first: Array, count: int) -> PyTree:
    return jax.lax.scan(lambda s, i: (step(s, i), None), state, first + jnp.arange(count))[0]


def _nested(step: Step, state: PyTree, first: Array, count: int, levels: int) -> PyTree:
    if levels == 1 or count <= 3:
        # The barrier against common subexpressions is not needed inside a loop.
        return _scan(jax.checkpoint(step, prevent_cse=False), state, first, count)
    block, blocks = _blocks(count, levels)
    end = first + count

    def guarded(s: PyTree, i: Array) -> PyTree:
        return jax.lax.cond(i < end, step, lambda s, i: s, s, i) if block * blocks > count else step(s, i)

    def run(s: PyTree, k: Array) -> PyTree:
        return _nested(guarded, s, first + k * block, block, levels - 1)

    inner = jax.checkpoint(run, prevent_cse=False)
    return jax.lax.scan(lambda s, k: (inner(s, k), None), state, jnp.arange(blocks))[0]


def _blocks(count: int, levels: int) -> tuple[int, int]:
    """Length and number of blocks: `count^(1/levels)` blocks, exactly if a divisor is near."""
    ideal = count ** (1 / levels)
    near = [k for k in range(2, count) if count % k == 0 and 0.6 * ideal <= k <= 1.7 * ideal]
    blocks = min(near, key=lambda k: abs(np.log(k / ideal))) if near else max(2, round(ideal))
    return math.ceil(count / blocks), blocks
