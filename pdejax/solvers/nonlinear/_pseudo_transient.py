import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._globalisation import AbstractGlobalisation, Model, Move, add


class PseudoTransient(AbstractGlobalisation):
    """Implicit Euler steps of `y_t = -F(y)` whose length grows as the residual falls (Kelley & Keyes 1998):
    `(1/delta + J) p = -F`, then `delta` is multiplied by `||F(y)|| / ||F(y + p)||`, at least by `slowest` and at most
    by `fastest`, and stays above `smallest`.

    For steady states of evolution equations, whose Jacobian may be singular or indefinite far from them: the residual
    may grow on the way, as the transient does. Newton's method at the end. A step to values that are not finite is
    tried again with a tenth of `delta`.

    **Arguments:** `first`: the first `delta`, a time in which the state changes by a part of itself.
    """

    first: float = 1.0
    smallest: float = 1e-3
    largest: float = 1e12
    slowest: float = 0.1
    fastest: float = 2.0
    stuck_below: float = eqx.field(static=True, default=1e-8)

    def start(self, size: Array) -> Array:
        return jnp.asarray(self.first, size.dtype)

    def step(self, model: Model, memory: Array) -> Move:
        d = model.solve(model.f, model.eta, 1 / memory)
        p = jax.tree.map(jnp.negative, d.p)
        size = model.norm(model.residual(add(model.y, p)))
        good = jnp.isfinite(size)
        growth = jnp.clip(model.size / jnp.where(size > 0, size, 1), self.slowest, self.fastest)
        grown = jnp.clip(memory * growth, self.smallest, self.largest)
        delta = jnp.where(good, grown, memory / 10)
        stuck = ~good & (delta < self.stuck_below * self.first)
        return Move(p, size, good, stuck, delta, *d[1:3], jnp.asarray(1), d.indefinite)
