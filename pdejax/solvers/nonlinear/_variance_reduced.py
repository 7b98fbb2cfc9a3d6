import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox.internal import unvmap_any
from jaxtyping import Array, PRNGKeyArray, PyTree

from .._solution import RESULTS, Solution, Stats, checked
from ..linear import _vectors as v


class _State(NamedTuple):
    x: PyTree[Array]
    before: PyTree[Array]
    estimate: PyTree[Array]
    size: Array  # norm of the estimate
    best: Array  # the smallest norm of F measured
    met: Array
    broken: Array
    step: Array
    calls: Array
    key: PRNGKeyArray


@eqx.filter_jit
def _run(component, count: int, x0, step, atol, anchor, batch: int, max_calls, key) -> Solution:
    dtype = v.dtype(x0)

    def mean(fn, indices):
        return jax.tree.map(lambda f: jnp.mean(f, axis=0), jax.vmap(fn)(indices))

    def going(s: _State) -> Array:
        return ~(s.met | s.broken) & (s.calls + count <= max_calls)

    def body(s: _State) -> _State:
        key, coin, draw = jax.random.split(s.key, 3)
        k = s.step.astype(dtype)
        # An estimate that claims success is checked by the next one, which is exact.
        full = (jax.random.uniform(coin, (), dtype) * (k + 5) < 4) | (s.size <= atol)

        def some(_):
            change = lambda i: v.subtract(component(i, s.x), component(i, s.before))
            return jax.tree.map(jnp.add, s.estimate, mean(change, jax.random.randint(draw, (batch,), 0, count)))

        estimate = jax.lax.cond(full, lambda _: mean(lambda i: component(i, s.x), jnp.arange(count)), some, None)
        size, live = v.norm(estimate), going(s)
        met = full & (size <= atol)
        moved = v.axpy(anchor(k), v.subtract(x0, s.x), v.axpy(-step, estimate, s.x))
        new = _State(
            v.choose(met, s.x, moved),
            s.x,
            estimate,
            size,
            jnp.where(full, jnp.minimum(size, s.best), s.best),
            met,
            ~jnp.isfinite(size),
            s.step + 1,
            s.calls + jnp.where(full, count, 2 * batch),
            key,
        )
        return jax.tree.map(lambda a, b: jnp.where(live, a, b), new, s)

    none, no, zero = jnp.zeros((), int), jnp.zeros((), bool), jnp.zeros((), dtype)
    start = _State(x0, x0, v.zeros(x0), zero + jnp.inf, zero + jnp.inf, no, no, none, none, key)
    end = jax.lax.while_loop(lambda s: unvmap_any(going(s)), body, start)
    failed = RESULTS.where(end.broken, RESULTS.nonfinite, RESULTS.nonlinear_max_steps_reached)
    result = RESULTS.where(end.met, RESULTS.successful, failed)
    numbers = {"num_steps": end.step, "num_components": end.calls}
    stats = Stats(numbers, (("method", "variance_reduced_halpern"),))
    return Solution(end.x, None, result, stats, end.best, None)


def variance_reduced_halpern(
    component: Callable[[Array, PyTree[Array]], PyTree[Array]],
    count: int,
    x0: PyTree[Array],
    *,
    step: float,
    atol: float,
    anchor: Callable[[Array], Array] = lambda k: 1 / (k + 2),
    batch: int | None = None,
    max_calls: int = 1_000_000,
    throw: bool = True,
    key: PRNGKeyArray,
) -> Solution:
    """Find a zero of the mean `F = (1/n) sum_i F_i` of many operators, most steps evaluating a few of them.

    Halpern's iteration `x <- x + b_k (x_0 - x) - step G_k` with the recursive estimate of Li, Bao, Zhang & Richtarik
    (2021) in the place of `F`: `G_k = F(x_k)` with probability `4 / (k + 5)`, and otherwise `G_{k-1}` plus the mean of
    `F_i(x_k) - F_i(x_{k-1})` over a random batch (in the spirit of Cai, Song, Guzman & Diakonikolas 2022). About
    `n + sqrt(n) L / atol` evaluations of components where `solvers.Halpern` on `x - F(x) / L` takes `n L / atol`, as
    long as the components resemble each other.

    **Arguments:**

    - `component`: `(i, x) -> F_i(x)`, like `x`; `count`: n. The mean must be monotone, the components Lipschitz.
    - `step`: at most `1 / L` where `||F(x) - F(y)||^2 <= L <F(x) - F(y), x - y>`; shorter, or with a larger batch, the
      more the components differ, or the estimate runs away.
    - `atol`: for `||F||`, which is measured in full before it is believed.
    - `anchor`: `b_k` of the step number `k = 0, 1, ...`; theirs is `2 / (k + 4)`, with twice the steps.
    - `batch`: drawn with replacement, `ceil(sqrt(n))` without one.
    - `max_calls`: evaluations of components.

    **Returns** a `Solution`: `value`; `error`: the smallest `||F||` measured, that of `value` on success; `stats`:
    `num_steps`, `num_components` (evaluations). Under `vmap` each step takes the time of a full one.

    **Raises** `ValueError` for counts and steps that are not positive, `SolveError` if it failed and `throw` is true.
    """
    if count < 1 or max_calls < count or (batch is not None and batch < 1):
        raise ValueError(
            f"1 <= count <= max_calls and 1 <= batch, got {count}, {max_calls} and {batch}; write count=100."
        )
    if not (isinstance(step, jax.Array) or step > 0):
        raise ValueError(f"the step is positive, got step={step!r}; write 1 / L.")
    batch = math.isqrt(count - 1) + 1 if batch is None else batch
    # Arrays, so that other numbers do not compile again.
    step, atol = (jnp.asarray(a, v.dtype(x0)) for a in (step, atol))
    solution = _run(component, count, x0, step, atol, anchor, batch, jnp.asarray(max_calls), key)
    return checked(solution) if throw else solution
