import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array
from optimistix.internal import implicit_jvp

from ...equations import AbstractVariational
from .._fast_transform import check_steady
from .._krylov import default_rtol
from .._method import AbstractMethod, Options
from .._problem import SteadyProblem
from .._solution import RESULTS, Solution, Stats
from .._steady import unknowns
from ..linear import PCG, Preconditioned

# Largest slope accepted along a step, relative to the first: on a quadratic energy this is Armijo's rule with 1/10.
_UPWARD = 0.8
# Residuals that a secant step may not exceed (Grippo, Lampariello & Lucidi 1986).
_WINDOW = 10
# Evaluations without a smaller residual after which the descent gives up.
_PATIENCE = 100


class SobolevDescent(AbstractMethod):
    """Gradient descent on the energy of a variational equation in the inner product `int grad u . grad v + s u v dx`.

    `u <- u - t (s - lap)^-1 dE/du`, the inverse by fast transforms (Neuberger 1997). For energies that are uniformly
    convex in the gradient the number of steps does not depend on the grid; it grows with the ratio of the largest to
    the smallest stiffness, which Newton's method does not feel.

    **Arguments:**

    - `step`: the longest t. A step is shortened until the slope of the energy at its end is at most 4/5 of the slope at
      its start, upwards (Armijo's rule where the energy is quadratic, without the cancellation in differences of
      energies), and doubled again after that; the energy falls. `None` (default) takes secant steps (Barzilai & Borwein
      1988), several times faster: these may pass the minimum as long as the residual stays below the largest of the
      last ten, and the energy need not fall at each.
    - `shift`: s, in units of the inverse square of lengths.
    - `rtol` (default `1e-8` in float64, `1e-5` in float32), `atol`: of the residual in the norm dual to the inner
      product, relative to that of zero.

    It starts from `problem.guess`. `stats`: `num_steps`, `num_residuals` (evaluations of the gradient, one a step and
    one for each shortened trial), `residual_history` (relative, NaN-padded). The result is `stagnation` after a hundred
    evaluations without progress. Gradients use the implicit function theorem, with conjugate gradients on the Hessian
    in the same inner product.

    **Raises** `TypeError` for a problem that is not steady and variational, `ValueError` for settings out of range.
    """

    step: float | None = eqx.field(static=True, default=None)
    shift: float = eqx.field(static=True, default=1.0)
    rtol: float | None = eqx.field(static=True, default=None)
    atol: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if self.step is not None and not self.step > 0:
            raise ValueError(f"a step goes downhill for step > 0, got step={self.step:g}; write step=0.4, or None.")
        if not self.shift >= 0:
            raise ValueError(f"the inner product needs shift >= 0, got shift={self.shift:g}; write shift=1.0.")

    def prepare(self, problem: SteadyProblem, options: Options) -> None:
        check_steady("SobolevDescent", problem)
        if not isinstance(problem.equation, AbstractVariational):
            raise TypeError(
                f"SobolevDescent minimises an energy and {type(problem.equation).__name__} has none; write it as an "
                "AbstractVariational equation with energy(u), or take solvers.NewtonKrylov()."
            )

    def run(self, problem: SteadyProblem, prepared: None, options: Options) -> Solution:
        system = unknowns(problem)
        rtol, limit = default_rtol(self.rtol, system.dtype), 1000 if options.max_steps is None else options.max_steps
        linear = Preconditioned(
            PCG(min(rtol, 1e-8 if system.dtype == jnp.float64 else 1e-4)), system.preconditioner(self.shift)
        )
        inputs = (self, rtol, limit, system, system.start())
        w, found = implicit_jvp(_descend, _residual, inputs, frozenset({lx.positive_semidefinite_tag}), linear)
        failed = RESULTS.where(found["stuck"], RESULTS.stagnation, RESULTS.nonlinear_max_steps_reached)
        failed = RESULTS.where(found["finite"], failed, RESULTS.nonfinite)
        result = RESULTS.where(found["met"], RESULTS.successful, failed)
        numbers = {name: found[name] for name in ("num_steps", "num_residuals", "residual_history")}
        stats = Stats(numbers, (("method", "SobolevDescent"),))
        error = system.relative_error(w, -system.residual(system.guess()))
        return Solution(system.field(w), None, result, stats, error, None)


def _residual(w: Array, found, inputs) -> Array:
    return inputs[3].residual(w)


def _descend(inputs) -> tuple[Array, dict[str, Array]]:
    method, rtol, limit, system, begin = inputs
    gradient = system.preconditioner(method.shift).mv
    dot = lambda a, b: jnp.sum(a * b)

    def measured(w: Array) -> tuple[Array, Array, Array]:
        r = system.residual(w)
        z = gradient(r)
        return r, z, dot(r, z)

    r, z, square = measured(begin)
    unit = square if system.problem.guess is None else measured(system.guess())[2]
    unit = jnp.where(jnp.isfinite(unit) & (unit > 0), unit, jnp.where(square > 0, square, jnp.ones_like(square)))
    goal = (jnp.asarray(rtol, unit.dtype) * jnp.sqrt(unit) + jnp.asarray(method.atol, unit.dtype)) ** 2
    relative = lambda square: jnp.sqrt(square / unit)
    history = jnp.full(limit + 1, jnp.nan, unit.dtype).at[0].set(relative(square))
    first = jnp.asarray(1.0 if method.step is None else method.step, unit.dtype)

    def going(square, best, step, since):
        return (square > goal) & (step < limit) & (since < _PATIENCE)

    def unfinished(carry):
        # One answer for a whole batch, so that `vmap` copies no state: finished lanes stand still.
        return unvmap_any(going(*carry[3:7]))

    def body(carry):
        w, z, t, square, best, step, since, window, count, history = carry
        live = going(square, best, step, since)
        there = w - t * z
        r, z_there, size = measured(there)
        slope = -dot(r, z) / square
        secant = 1 / (1 + slope)  # In units of t: where the slope, falling from -1 on a line, would be zero.
        accepted = slope <= _UPWARD
        if method.step is None:
            accepted |= size <= jnp.max(window)
            longer = t * jnp.where(secant > 0, jnp.minimum(secant, 100.0), 2.0)
        else:
            longer = jnp.minimum(2 * t, first)
        accepted &= live & jnp.isfinite(size)
        # Comparisons with NaN are false: a trial that is not finite shortens the step most.
        shorter = t * jnp.where(secant > 0.1, jnp.minimum(secant, 0.5), 0.1)
        keep = lambda new, old: jnp.where(accepted, new, old)
        step = step + accepted.astype(step.dtype)
        # Away from a saddle point the residual grows while the energy falls; at rounding level nothing moves.
        moved = jnp.max(jnp.abs(t * z)) > 16 * jnp.finfo(w.dtype).eps * jnp.max(jnp.abs(w))
        progress = accepted & ((size < best) | moved)
        return (
            keep(there, w),
            keep(z_there, z),
            jnp.where(live, keep(longer, shorter), t),
            keep(size, square),
            jnp.where(progress, size, best),
            step,
            jnp.where(progress, 0, since + live.astype(since.dtype)),
            keep(window.at[step % _WINDOW].set(size), window),
            count + live.astype(count.dtype),
            keep(history.at[step].set(relative(size), mode="drop"), history),
        )

    none = jnp.zeros((), int)
    carry = (begin, z, first, square, square, none, none, jnp.full(_WINDOW, square), none, history)
    w, _, _, square, _, step, since, _, count, history = jax.lax.while_loop(unfinished, body, carry)
    met = square <= goal
    stats = {
        "num_steps": step,
        "num_residuals": count + 1 + int(system.problem.guess is not None),
        "residual_history": history,
    }
    return w, stats | {"met": met, "stuck": ~met & (since >= _PATIENCE), "finite": jnp.isfinite(square)}
