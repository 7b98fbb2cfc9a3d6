"""What makes Newton's method converge from afar: the interface, and searches along the Newton direction."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from ..linear import _vectors as v


class Direction(NamedTuple):
    """An approximate solution of the linearised equations, and what it cost."""

    p: PyTree[Array]
    num_steps: Array
    num_matvecs: Array
    indefinite: Array


class Model(NamedTuple):
    """The equations near the iterate `y`: `F(y + p) ~ f + J p`.

    `solve(right, eta, shift)` solves `(J + shift) p = right` to the relative tolerance `eta`; `precondition` builds an
    approximate inverse of an operator; `live` is false in lanes of a batch that have finished.
    """

    residual: Callable[[PyTree[Array]], PyTree[Array]]
    norm: Callable[[PyTree[Array]], Array]
    operator: lx.AbstractLinearOperator
    precondition: Callable[[lx.AbstractLinearOperator], lx.AbstractLinearOperator]
    solve: Callable[..., Direction]
    y: PyTree[Array]
    f: PyTree[Array]
    size: Array
    eta: Array
    live: Array


class Move(NamedTuple):
    """What a step found: `y + p` with residual norm `size` if `moved`; otherwise the next step tries with the new
    `memory`, or gives up if `stuck`.
    """

    p: PyTree[Array]
    size: Array
    moved: Array
    stuck: Array
    memory: Any
    num_steps: Array
    num_matvecs: Array
    num_residuals: Array
    indefinite: Array


class AbstractGlobalisation(eqx.Module):
    """How far to go along which direction. `memory` is what one step tells the next (a radius, a step size)."""

    @abc.abstractmethod
    def start(self, size: Array) -> Any:
        """The memory before the first step, for a first residual of norm `size`."""

    @abc.abstractmethod
    def step(self, model: Model, memory: Any) -> Move:
        """One step, accepted or not."""


class FullStep(AbstractGlobalisation):
    """Newton's method as it is: every step is taken in full. Fast near a solution, may cycle or diverge elsewhere."""

    def start(self, size: Array) -> None:
        return None

    def step(self, model: Model, memory: None) -> Move:
        d = model.solve(model.f, model.eta)
        p = jax.tree.map(jnp.negative, d.p)
        size = model.norm(model.residual(add(model.y, p)))
        return Move(p, size, jnp.isfinite(size), ~jnp.isfinite(size), None, *d[1:3], jnp.asarray(1), d.indefinite)


class LineSearch(AbstractGlobalisation):
    """Backtracking until the residual norm decreases: `||F(y + t p)|| <= (1 - c t) ||F(y)||` (Dennis & Schnabel 1983).

    The next `t` minimises the parabola through what is known, within a tenth and a half of the last one (Kelley 1995,
    section 8.3). For any system; a stationary point of the norm that is no solution ends it.

    **Arguments:** `decrease`: c; `shrinks`: how often `t` may be reduced.
    """

    decrease: float = 1e-4
    shrinks: int = eqx.field(static=True, default=30)

    def start(self, size: Array) -> None:
        return None

    def step(self, model: Model, memory: None) -> Move:
        d, size = model.solve(model.f, model.eta), model.size

        def trial(t, found):
            return model.norm(model.residual(moved(model.y, -t, d.p)))

        def refused(t, new):
            return model.live & ~(new <= (1 - self.decrease * t) * size)

        def shrink(t, new):
            best = t**2 * size**2 / (new**2 - size**2 + 2 * t * size**2)
            return jnp.where(jnp.isfinite(best), jnp.clip(best, 0.1 * t, 0.5 * t), 0.1 * t)

        one, none = jnp.ones((), size.dtype), jnp.full((), jnp.nan, size.dtype)
        t, new, count = backtrack(trial, refused, shrink, one, none, self.shrinks)
        good = ~refused(t, new)
        p = scaled(-t, d.p)
        return Move(p, new, good, ~good, None, *d[1:3], count, d.indefinite)


class EnergySearch(AbstractGlobalisation):
    """Backtracking until the energy decreases, for equations `F = dE/du`: `(F(y + t p / 2) + F(y + t p)) . p / 2 <=
    c F(y) . p`.

    The slope of a convex energy grows along the step, so that the left-hand side times t bounds the change of energy
    from above: Armijo's (1966) condition, sharp enough for the full step near a minimum, without the cancellation of
    two large energies. With conjugate gradients inside, negative curvature ends the linear solve early with a direction
    of descent (Dembo & Steihaug 1983), so that minima of nonconvex energies are found, too.

    **Arguments:** `decrease`: c; `shrinks`: how often the step may be halved.
    """

    decrease: float = 1e-4
    shrinks: int = eqx.field(static=True, default=40)

    def start(self, size: Array) -> None:
        return None

    def step(self, model: Model, memory: None) -> Move:
        d = model.solve(model.f, model.eta)
        # Negative curvature at once: down the gradient.
        down = v.energy(model.f, d.p) > 0
        steepest = model.precondition(model.operator).mv(model.f)
        d = d._replace(p=jax.tree.map(lambda a, b: jnp.where(down, a, b), d.p, steepest))
        slope = v.energy(model.f, d.p)

        def at(t):
            f = model.residual(moved(model.y, -t, d.p))
            return v.energy(f, d.p), model.norm(f)

        def refused(t, ends):
            (half, _), (end, size) = ends
            return model.live & ~(((half + end) / 2 >= self.decrease * slope) & jnp.isfinite(size))

        # Halving makes the middle of one trial the end of the next: one residual each, from twice the step on.
        trial = lambda t, ends: (at(t / 2), ends[0])
        two, none = jnp.full((), 2, model.size.dtype), jnp.full((), jnp.nan, model.size.dtype)
        start = ((none, none), (none, none))
        t, ends, count = backtrack(trial, refused, lambda t, ends: t / 2, two, start, self.shrinks)
        good = ~refused(t, ends)
        return Move(scaled(-t, d.p), ends[1][1], good, ~good, None, *d[1:3], count, d.indefinite)


def backtrack(trial: Callable, refused: Callable, shrink: Callable, t: Array, unknown: PyTree[Array], limit: int):
    """`found = trial(t, found)`, then the same with `t` reduced by `shrink(t, found)` while `refused(t, found)`, at
    most `limit` times, lane by lane.

    Before the first trial `found` is `unknown`, NaN that must be refused, so that the trial is compiled once.

    **Returns** the last `t`, what was found there, and the number of trials.
    """

    def going(carry):
        t, found, count = carry
        return refused(t, found) & (count <= limit)

    def body(carry):
        t, found, count = carry
        live = going(carry)
        smaller = jnp.where(live & (count > 0), shrink(t, found), t)
        kept = jax.tree.map(lambda a, b: jnp.where(live, a, b), trial(smaller, found), found)
        return smaller, kept, count + live.astype(count.dtype)

    return jax.lax.while_loop(lambda carry: unvmap_any(going(carry)), body, (t, unknown, jnp.zeros((), int)))


def add(x: PyTree[Array], y: PyTree[Array]) -> PyTree[Array]:
    """`x + y`."""
    return jax.tree.map(jnp.add, x, y)


def scaled(t: Array, p: PyTree[Array]) -> PyTree[Array]:
    """`t p`."""
    return jax.tree.map(lambda x: t.astype(x.dtype) * x, p)


def moved(y: PyTree[Array], t: Array, p: PyTree[Array]) -> PyTree[Array]:
    """`y + t p`."""
    return v.axpy(t, p, y)
