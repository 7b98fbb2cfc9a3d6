import abc
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import optimistix as optx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from ..linear import _vectors as v

PLAIN_LOOP = functools.partial(eqxi.while_loop, kind="lax")
"""The loop of iterations that are not differentiated through."""


class Evaluation(NamedTuple):
    """What one application of the map has told: the point `y`, its image `T(y)`, the residual `T(y) - y` and its norm.

    `step` counts from 0. `retreat`: the residual is not finite, or has grown too much; the next point will be the best
    one seen, and differences across that jump mean nothing. `live`: false in lanes that only wait for others.
    """

    step: Array
    point: PyTree[Array]
    image: PyTree[Array]
    residual: PyTree[Array]
    size: Array
    retreat: Array
    live: Array


class Iterate(eqx.Module):
    """State of a fixed-point iteration. `best` has the smallest residual of all points seen, `size` is its norm and
    `unit` what that is relative to; `scale` bounds `unit`.
    """

    step: Array
    best: PyTree[Array]
    size: Array
    unit: Array
    scale: Array
    since: Array
    met: Array
    stuck: Array
    broken: Array
    history: Array
    memory: Any


class AbstractFixedPoint(optx.AbstractFixedPointSolver):
    """What the fixed-point iterations share, `y = T(y)` on pytrees of real arrays: they are solvers of optimistix, each
    step applies the map once.

    An iteration ends when the residual measured at a point is at most `rtol min(||T(y)||, 10 ||T(y_0)||) + atol`, never
    by the length of a step, and that very point is returned; without success, the best point seen. (Relative to
    `||T(y)||` alone, points on their way to infinity would solve anything; points so far out that rounding hides the
    residual do not count.) It gives up when `patience` evaluations in a row have not lowered the residual, as rounding
    errors or a map that does not contract make happen. Under `vmap` each lane ends, and counts, for itself.

    **Arguments:** `rtol`, `atol`; `norm` of residuals; `patience`; `history`: how many relative residuals
    `stats["residual_history"]` holds (NaN-padded).
    """

    rtol: eqx.AbstractVar[float]
    atol: eqx.AbstractVar[float]
    norm: eqx.AbstractVar[Callable[[PyTree], Array]]
    patience: eqx.AbstractVar[int]
    history: eqx.AbstractVar[int]

    @abc.abstractmethod
    def begin(self, y: PyTree[Array]) -> Any:
        """What the method remembers before the first evaluation."""

    @abc.abstractmethod
    def advance(self, seen: Evaluation, memory: Any) -> tuple[PyTree[Array], Any]:
        """The next point, and what is remembered."""

    @abc.abstractmethod
    def findings(self, memory: Any) -> dict[str, Any]:
        """What the method adds to `stats`; a key `infeasible` ends the iteration when it is true."""

    @property
    @abc.abstractmethod
    def growth(self) -> float:
        """The iteration goes back to the best point when a residual exceeds the smallest one by this factor."""

    def init(self, fn, y, args, options, f_struct, aux_struct, tags) -> Iterate:
        memory = options.get("memory")
        dtype, none, no = v.dtype(y), jnp.zeros((), int), jnp.zeros((), bool)
        far = jnp.full((), jnp.inf, dtype)
        history = jnp.full(self.history, jnp.nan, dtype)
        memory = self.begin(y) if memory is None else memory
        return Iterate(none, y, far, jnp.ones((), dtype), far, none, no, no, no, history, memory)

    def step(self, fn, y, args, options, state: Iterate, tags):
        live = ~self.ended(state)
        image, aux = fn(y, args)
        residual = v.subtract(image, y)
        size, unit = self.norm(residual), self.norm(image)
        scale = jnp.where(state.step == 0, 10 * unit, state.scale)
        rounding, unit = jnp.finfo(size.dtype).eps * unit, jnp.minimum(unit, scale)
        goal = jnp.asarray(self.rtol, size.dtype) * unit + jnp.asarray(self.atol, size.dtype)
        met = live & (size <= goal) & (rounding <= goal)
        # Comparisons with NaN are false.
        better = live & (met | ((size < state.size) & (rounding <= scale)))
        # Rounding alone makes new records now and then.
        farther = met | (better & (size < (1 - 100 * jnp.finfo(size.dtype).eps) * state.size))
        least = jnp.where(better, size, state.size)
        best = v.choose(better, y, state.best)
        retreat = ~(size <= self.growth * least) & jnp.isfinite(least)
        since = jnp.where(farther, 0, state.since + 1)
        seen = Evaluation(state.step, y, image, residual, size, retreat, live)
        following, memory = self.advance(seen, state.memory)
        tired = since >= self.patience
        found = self.findings(memory)
        if "displacement_mismatch" in found:
            # A map without a fixed point gets stuck as well; as long as it looks like one, there is more to find out.
            tired &= found["displacement_mismatch"] > 0.5
        counted, history = live.astype(state.step.dtype), state.history
        if self.history:
            history = history.at[state.step].set(jnp.where(live, size / unit, jnp.nan), mode="drop")
        new = Iterate(
            state.step + counted,
            best,
            least,
            jnp.where(better, unit, state.unit),
            scale,
            jnp.where(live, since, state.since),
            state.met | met,
            state.stuck | (live & ~met & tired),
            state.broken | (live & ~jnp.isfinite(least)),
            history,
            memory,
        )
        return v.choose(retreat, best, following), new, aux

    def terminate(self, fn, y, args, options, state: Iterate, tags):
        code = optx.RESULTS.where(state.stuck, optx.RESULTS.stagnation, optx.RESULTS.successful)
        code = optx.RESULTS.where(self.infeasible(state), optx.RESULTS.nonlinear_divergence, code)
        code = optx.RESULTS.where(state.broken, optx.RESULTS.nonfinite, code)
        return self.ended(state), optx.RESULTS.where(state.met, optx.RESULTS.successful, code)

    def postprocess(self, fn, y, aux, args, options, state: Iterate, tags, result):
        stats = {"residual": self.error(state), **self.findings(state.memory)}
        return state.best, aux, stats | ({"residual_history": state.history} if self.history else {})

    def error(self, state: Iterate) -> Array:
        """The relative residual at the best point; zero where map and point vanish together."""
        return v.ratio(state.size, state.unit, state.unit > 0)

    def infeasible(self, state: Iterate) -> Array:
        """Whether the map has been found to have no fixed point."""
        return self.findings(state.memory).get("infeasible", jnp.zeros((), bool))

    def ended(self, state: Iterate) -> Array:
        """Whether this lane has come to its end."""
        return state.met | state.stuck | state.broken | self.infeasible(state)


def run(fn, solver: AbstractFixedPoint, y, args, options: dict[str, Any], max_steps: int, while_loop):
    """The iteration from `y` on, for maps `fn(y, args) -> (T(y), aux)`; returns the last point and the state.

    One condition holds for a whole batch, so that `vmap` copies no state: lanes that have ended stand still in
    what they report, and wait.
    """
    state = solver.init(fn, y, args, options, None, None, frozenset())

    def body(carry):
        y, state = carry
        y, state, _ = solver.step(fn, y, args, options, state, frozenset())
        return y, state

    unfinished = lambda carry: unvmap_any(~solver.ended(carry[1]))
    return while_loop(unfinished, body, (y, state), max_steps=max_steps)


def differences(new: PyTree[Array], stack: PyTree[Array]) -> PyTree[Array]:
    """The stack with a vector put in front, and without its last one."""
    return jax.tree.map(lambda a, s: jnp.concatenate([a[None], s[:-1]]), new, stack)
