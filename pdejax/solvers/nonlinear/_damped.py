import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..linear import _vectors as v
from ._globalisation import AbstractGlobalisation, Model, Move, backtrack, moved, scaled


class Damping(eqx.Module):
    """The estimate `constant` of the third derivative and the last step length `alpha`."""

    constant: Array
    alpha: Array


class Damped(AbstractGlobalisation):
    """Affine-invariant cubic Newton steps, for equations `F = dE/du` with convex E (Hanzely, Kamzolov, Pasechnyuk,
    Gasnikov, Richtarik & Takac 2022): `y - alpha d`, `H d = F(y)`, `alpha = (sqrt(1 + 2 L g) - 1) / (L g)`,
    `g^2 = F . d`, the Newton decrement.

    `alpha` solves `alpha^2 L g / 2 = 1 - alpha`, hence `F(y - alpha d) . d` lies between 0 and `2 (1 - alpha) g^2`
    wherever L bounds the third derivative in the metric of H. L is doubled until the slope at the new point satisfies
    the lower bound (with a slack of `overshoot g^2`), which by convexity means that the energy has decreased, and is
    halved for the next step. No energies are compared: their differences drown in rounding where energies are large.
    Globally O(1/k^2), locally quadratic; independent of the scaling of unknowns.

    **Arguments:** `first`: the first L; `overshoot`: by how much of the slope a step may pass the minimum along it.
    """

    first: float = 1.0
    overshoot: float = 0.1
    doublings: int = eqx.field(static=True, default=60)

    def start(self, size: Array) -> Damping:
        return Damping(jnp.asarray(self.first, size.dtype), jnp.ones((), size.dtype))

    def step(self, model: Model, memory: Damping) -> Move:
        d = model.solve(model.f, model.eta)
        square = v.energy(model.f, d.p)
        g = jnp.sqrt(jnp.maximum(square, 0))
        length = lambda constant: 2 / (1 + jnp.sqrt(1 + 2 * constant * g))

        def trial(constant, found):
            f = model.residual(moved(model.y, -length(constant), d.p))
            return v.energy(f, d.p), model.norm(f)

        def refused(constant, found):
            slope, size = found
            return model.live & ~((slope >= -self.overshoot * square) & (square > 0) & jnp.isfinite(size))

        none = jnp.full((), jnp.nan, g.dtype)
        double = lambda constant, found: 2 * constant
        constant, found, count = backtrack(trial, refused, double, memory.constant, (none, none), self.doublings)
        good, alpha = ~refused(constant, found), length(constant)
        return Move(
            scaled(-alpha, d.p), found[1], good, ~good, Damping(constant / 2, alpha), *d[1:3], count, d.indefinite
        )
