import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from ...linear import _vectors as v
from ._recurrence import Recurrence


class Outcome(NamedTuple):
    """A trajectory, the sweeps it took, its residual relative to its largest entries, and whether that suffices."""

    value: PyTree[Array]
    sweeps: Array
    error: Array
    met: Array


class AbstractParallel(eqx.Module):
    """A way to evaluate a recurrence other than one step after the other."""

    @abc.abstractmethod
    def run(self, recurrence: Recurrence, guess: PyTree[Array] | None, max_steps: int) -> Outcome:
        """The trajectory, from a guess of it, with at most `max_steps` sweeps over anything."""

    def propagate(self, recurrence: Recurrence, h: PyTree[Array], b: PyTree[Array]) -> PyTree[Array]:
        """The tangents `d_t = (df/dh)(h_{t-1}, x_t) d_{t-1} + b_t`, `d_0 = 0`, around a trajectory `h`: one scan."""

        def one(d, given):
            state, x, b = given
            moved = jax.jvp(lambda s: recurrence.step(s, x), (state,), (d,))[1]
            d = jax.tree.map(jnp.add, moved, b)
            return d, d

        return jax.lax.scan(one, v.zeros(recurrence.start), (recurrence.before(h), recurrence.inputs, b))[1]


class AbstractSweeps(AbstractParallel):
    """Sweeps over the whole trajectory, until it solves `h_t = f(h_{t-1}, x_t)` to a tolerance.

    Every sweep evaluates all steps in parallel and leaves what solves the recurrence alone; a further state is right
    after each, so that `T` sweeps are enough. The residual is measured at each trajectory, per leaf in the maximum norm
    relative to the largest entry, and the trajectory that meets `rtol` is returned. The error is larger by the factor
    by which the recurrence amplifies perturbations.
    """

    rtol: eqx.AbstractVar[float | None]

    def first(self, recurrence: Recurrence) -> PyTree[Array]:
        """Where the sweeps begin if there is no guess."""
        return recurrence.resting()

    @abc.abstractmethod
    def sweep(self, recurrence: Recurrence, h: PyTree[Array], images: PyTree[Array]) -> PyTree[Array]:
        """The next trajectory; `images` are those of `h`."""

    def run(self, recurrence: Recurrence, guess: PyTree[Array] | None, max_steps: int) -> Outcome:
        most = min(max_steps, recurrence.length)

        def body(carry: tuple[Outcome, Array]) -> tuple[Outcome, Array]:
            # The images are computed in one place: elsewhere they may be rounded otherwise, and a sweep that changes
            # nothing would not be seen as one.
            h, sweeps, _, _ = carry[0]
            images = recurrence.images(h)
            error = residual(h, images)
            met = error <= self._tolerance(error.dtype)
            goes_on = ~met & (sweeps < most)
            swept = jax.lax.cond(unvmap_any(goes_on), lambda: self.sweep(recurrence, h, images), lambda: h)
            return Outcome(v.choose(goes_on, swept, h), sweeps + goes_on.astype(sweeps.dtype), error, met), goes_on

        h = self.first(recurrence) if guess is None else guess
        unknown = jnp.full((), jnp.inf, jax.eval_shape(residual, h, h).dtype)
        start = Outcome(h, jnp.zeros((), int), unknown, jnp.zeros((), bool)), jnp.ones((), bool)
        return jax.lax.while_loop(lambda carry: unvmap_any(carry[1]), body, start)[0]

    def _tolerance(self, dtype) -> Array:
        rtol = self.rtol
        if rtol is None:
            rtol = 1e-10 if dtype == jnp.float64 else 1e-6
        return jnp.asarray(rtol, dtype)


class Jacobi(AbstractSweeps):
    """All steps at once from the trajectory of the sweep before: `h_t <- f(h_{t-1}, x_t)` (Song, Meng, Liao & Ermon
    2021, algorithm 1).

    Few sweeps suffice where the recurrence forgets; one that does not needs all `T`. The gradient takes one scan
    backwards.

    **Arguments:** `rtol`: of the residual; zero stops when a sweep changes nothing, and is exact.
    """

    rtol: float | None = 0.0

    def sweep(self, recurrence: Recurrence, h: PyTree[Array], images: PyTree[Array]) -> PyTree[Array]:
        return images


def residual(h: PyTree[Array], images: PyTree[Array]) -> Array:
    """The largest difference between a trajectory and its images, relative to the largest image, over all leaves."""

    def relative(a: Array, b: Array) -> Array:
        difference, size = jnp.max(jnp.abs(a - b)), jnp.max(jnp.abs(b))
        return jnp.where(difference > 0, difference / jnp.where(size > 0, size, jnp.ones_like(size)), difference)

    ratios = [relative(a, b) for a, b in zip(jax.tree.leaves(h), jax.tree.leaves(images), strict=True)]
    return jnp.max(jnp.stack(ratios))
