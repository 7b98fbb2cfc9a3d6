"""Trust regions: how far the linear model is believed is what decides the direction."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ._globalisation import AbstractGlobalisation, Direction, Model, Move, add, backtrack, moved


class TrustRegion(AbstractGlobalisation):
    """Truncated conjugate gradients in a trust region (Steihaug 1983, Toint 1981), for equations `F = dE/du`.

    The quadratic model of the energy is minimised within `||p|| <= radius` in the norm of the preconditioner's inverse;
    at negative curvature or at the border the iteration stops there, so that minima of nonconvex energies are found.
    The radius follows the ratio of the measured change of energy (the work of F along the step, by Simpson's rule) to
    the predicted one. It brings its own linear solver; the preconditioner must be symmetric positive definite.

    **Arguments:** `first`: the first radius in units of the preconditioned gradient step; `max_steps`: bound on inner
    iterations (default: the number of unknowns).
    """

    first: float = 1.0
    accept: float = 1e-4
    max_steps: int | None = eqx.field(static=True, default=None)

    def start(self, size: Array) -> Array:
        return jnp.asarray(jnp.inf, size.dtype)

    def step(self, model: Model, memory: Array) -> Move:
        inverse = model.precondition(model.operator)
        gradient = jnp.sqrt(jnp.maximum(v.energy(model.f, inverse.mv(model.f)), 0))
        radius = jnp.where(jnp.isinf(memory), self.first * gradient, memory)
        limit = v.size(model.f) if self.max_steps is None else self.max_steps
        d, length, gain = steihaug(model, inverse, radius, limit)
        half, end = (model.residual(moved(model.y, jnp.asarray(t, radius.dtype), d.p)) for t in (0.5, 1.0))
        size, slopes = model.norm(end), [v.energy(f, d.p) for f in (model.f, half, end)]
        work = (slopes[0] + 4 * slopes[1] + slopes[2]) / 6
        # The sum bounds the change of a convex energy from above, also where Simpson's rule misses a kink.
        down = jnp.isfinite(size) & (slopes[1] + slopes[2] < 0)
        ratio = jnp.where(down, -work / jnp.where(gain > 0, gain, 1), -jnp.inf)
        moves = (ratio > self.accept) & (gain > 0)
        grown = jnp.where((ratio > 0.75) & (length > 0.99 * radius), 2 * radius, radius)
        new = jnp.where(ratio < 0.25, 0.25 * length, grown)
        stuck = ~moves & (new <= 1e-10 * gradient)
        return Move(d.p, size, moves, stuck, new, *d[1:3], jnp.asarray(2), d.indefinite)


def steihaug(model: Model, inverse: lx.AbstractLinearOperator, radius: Array, limit: int):
    """Minimise `f . p + p . J p / 2` over `||p|| <= radius` by conjugate gradients, stopped at the border (Conn, Gould
    & Toint 2000, algorithm 7.5.1).

    **Returns** the step, its norm in the metric of `inverse^-1`, and the predicted decrease.
    """
    f = model.f
    z = inverse.mv(f)
    first = v.energy(f, z)
    goal = model.eta**2 * first

    def going(carry):
        _, _, _, rz, _, _, _, step, ended, _ = carry
        return model.live & ~ended & (rz > goal) & (step < limit)

    def body(carry):
        p, r, q, rz, pp, pq, qq, step, ended, indefinite = carry
        live = going(carry)
        image = model.operator.mv(q)
        curvature = v.energy(q, image)
        alpha = v.ratio(rz, curvature, live & (curvature > 0))
        beyond = (curvature <= 0) | (pp + 2 * alpha * pq + alpha**2 * qq >= radius**2)
        border = v.ratio(jnp.sqrt(jnp.maximum(pq**2 + qq * (radius**2 - pp), 0)) - pq, qq, live & (qq > 0))
        t = jnp.where(live, jnp.where(beyond, border, alpha), 0)
        p, r, pp = v.axpy(t, q, p), v.axpy(t, image, r), pp + 2 * t * pq + t**2 * qq
        z = inverse.mv(r)
        new = jnp.where(live, v.energy(r, z), rz)
        beta = v.ratio(new, rz, live & (rz > 0))
        turned = v.subtract(v.axpy(beta, q, v.zeros(q)), z)
        q = jax.tree.map(lambda a, b: jnp.where(live, a, b), turned, q)
        pq = jnp.where(live, beta * (pq + t * qq), pq)
        qq = jnp.where(live, new + beta**2 * qq, qq)
        ended, indefinite = ended | (live & beyond), indefinite | (live & (curvature <= 0))
        return p, r, q, new, pp, pq, qq, step + live.astype(step.dtype), ended, indefinite

    zero, no = jnp.zeros_like(first), jnp.zeros((), bool)
    carry = (v.zeros(f), f, jax.tree.map(jnp.negative, z), first, zero, zero, first, jnp.zeros((), int), no, no)
    out = jax.lax.while_loop(lambda carry: unvmap_any(going(carry)), body, carry)
    p, r, _, _, pp, _, _, steps, _, indefinite = out
    # The residual of the model is r = f + J p, so that the decrease needs no further product.
    return Direction(p, steps, steps, indefinite), jnp.sqrt(pp), -0.5 * v.energy(p, add(f, r))


class Dogleg(AbstractGlobalisation):
    """Powell's (1970) dogleg between steepest descent and an inexact Newton step (Pawlowski, Simonis, Walker & Shadid
    2008), for any system.

    Descent of `||M F||^2 / 2` with the preconditioner M, in which lengths are those of a Newton step (Deuflhard's
    natural level function), within `||p|| <= radius`. M must have a transpose.

    **Arguments:** `first`: the first radius, in units of the first Newton step; `shrinks`: how often a step may be
    shortened.
    """

    first: float = 1.0
    accept: float = 1e-4
    shrinks: int = eqx.field(static=True, default=30)

    def start(self, size: Array) -> Array:
        return jnp.asarray(jnp.inf, size.dtype)

    def step(self, model: Model, memory: Array) -> Move:
        inverse = model.precondition(model.operator)
        newton = model.solve(model.f, model.eta)
        apply = lambda p: inverse.mv(model.operator.mv(p))
        level = inverse.mv(model.f)
        steepest = model.operator.transpose().mv(inverse.transpose().mv(level))
        image, newton_image = apply(steepest), apply(newton.p)
        bend = v.energy(image, image)
        t = v.ratio(v.energy(steepest, steepest), bend, bend > 0)
        before, full = v.energy(level, level), v.norm(newton.p)
        radius = jnp.where(jnp.isinf(memory), self.first * full, memory)

        def leg(radius):
            """Weights of steepest descent and of the Newton step (both to be subtracted) on the border."""
            short = t * v.norm(steepest)
            a = v.axpy(t, steepest, v.zeros(steepest))
            b = v.subtract(newton.p, a)
            bb, ab = v.energy(b, b), v.energy(a, b)
            root = jnp.sqrt(jnp.maximum(ab**2 + bb * (radius**2 - short**2), 0))
            s = jnp.clip(v.ratio(root - ab, bb, bb > 0), 0, 1)
            inside, before_bend = full <= radius, short >= radius
            scale = v.ratio(radius, short, short > 0) * t
            weights = jnp.where(before_bend, scale, t * (1 - s)), jnp.where(before_bend, 0, s)
            return jnp.where(inside, 0, weights[0]), jnp.where(inside, 1, weights[1])

        def combine(weights, x, y) -> PyTree[Array]:
            return jax.tree.map(jnp.negative, v.axpy(weights[0], x, v.axpy(weights[1], y, v.zeros(y))))

        def trial(radius, found) -> tuple[Any, ...]:
            weights = leg(radius)
            p = combine(weights, steepest, newton.p)
            f = model.residual(add(model.y, p))
            linear = add(level, combine(weights, image, newton_image))
            found = inverse.mv(f)
            gain = before - v.energy(linear, linear)
            ratio = v.ratio(before - v.energy(found, found), gain, gain > 0)
            return p, model.norm(f), ratio

        refused = lambda radius, found: model.live & ~((found[2] > self.accept) & jnp.isfinite(found[1]))
        shorter = lambda radius, found: 0.25 * jnp.minimum(radius, v.norm(found[0]))
        none = jnp.full((), jnp.nan, radius.dtype)
        unknown = (jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), newton.p), none, none)
        radius, found, count = backtrack(trial, refused, shorter, radius, unknown, self.shrinks)
        p, size, ratio = found
        good = ~refused(radius, found)
        wide = jnp.where((ratio > 0.75) & (v.norm(p) > 0.99 * radius), 2 * radius, radius)
        new = jnp.where(ratio < 0.25, 0.5 * radius, wide)
        matvecs = newton.num_matvecs + 4
        return Move(p, size, good, ~good, new, newton.num_steps, matvecs, count, newton.indefinite)
