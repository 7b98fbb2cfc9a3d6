"""Explicit Runge-Kutta methods by their Butcher tableaux."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...grids import scale
from .._method import Options
from .._problem import EvolutionProblem
from .._solution import RESULTS, Solution
from ._march import March, Scheme
from ._stepper import AbstractNodalStepper
from ._system import NodalSystem


class AbstractRungeKutta(AbstractNodalStepper):
    """`k_i = f(v + dt sum_j a_ij k_j, t + c_i dt)`, then `v + dt sum_i b_i k_i`, for any equation on any grid.

    Stable only while `dt` times the largest eigenvalue of the right-hand side stays in the method's stability region
    (`solvers.stable_dt` estimates it; a run that blows up beyond it ends with `cfl_violated`); Dirichlet nodes keep
    their values.
    """

    @property
    @abc.abstractmethod
    def stages(self) -> tuple[tuple[float, ...], ...]:
        """Rows `a_ij` of the stages after the first; `c_i` are their sums."""

    @property
    @abc.abstractmethod
    def weights(self) -> tuple[float, ...]:
        """`b_i`."""

    def scheme(self, system: NodalSystem, dt: float) -> Scheme:
        def moved(v: Array, row: tuple[float, ...], rates: list[Array]) -> Array:
            parts = [scale(k, jnp.asarray(a, k.real.dtype)) for a, k in zip(row, rates, strict=True) if a]
            return v + scale(sum(parts[1:], parts[0]), jnp.asarray(dt, v.real.dtype))

        def step(v: Array, t: Array, i: Array) -> Array:
            rates = [system.rate(v, t)]
            for row in self.stages:
                rates.append(system.rate(moved(v, row, rates), t + jnp.asarray(sum(row) * dt, t.dtype)))
            return moved(v, self.weights, rates)

        return Scheme(system.start(), step, system.field)

    def run(self, problem: EvolutionProblem, prepared: March, options: Options) -> Solution:
        solution = AbstractNodalStepper.run(self, problem, prepared, options)
        reach = max(stability_limits(self))
        # Looked at only after a failure.
        beyond = jax.lax.cond(
            solution.result == RESULTS.nonfinite_state,
            lambda: jnp.asarray(prepared.dt) * spectral_radius(self.system(problem)) > reach,
            lambda: jnp.zeros((), bool),
        )
        result = RESULTS.where(beyond, RESULTS.cfl_violated, solution.result)
        return eqx.tree_at(lambda s: s.result, solution, result)


class RK4(AbstractRungeKutta):
    """The classical method of order four (Kutta 1901)."""

    order: ClassVar[int] = 4

    @property
    def stages(self):
        return ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0))

    @property
    def weights(self):
        return (1 / 6, 1 / 3, 1 / 3, 1 / 6)


class SSPRK2(AbstractRungeKutta):
    """Strong-stability-preserving method of order two: Heun's (Shu & Osher 1988, eq. (2.16))."""

    order: ClassVar[int] = 2

    @property
    def stages(self):
        return ((1.0,),)

    @property
    def weights(self):
        return (0.5, 0.5)


class SSPRK3(AbstractRungeKutta):
    """Strong-stability-preserving method of order three, three stages (Shu & Osher 1988, eq. (2.18))."""

    order: ClassVar[int] = 3

    @property
    def stages(self):
        return ((1.0,), (0.25, 0.25))

    @property
    def weights(self):
        return (1 / 6, 1 / 6, 2 / 3)


class SSPRK4(AbstractRungeKutta):
    """Strong-stability-preserving method of order four, ten stages, steps six times those of Euler (Ketcheson 2008)."""

    order: ClassVar[int] = 4

    @property
    def stages(self):
        early = tuple((1 / 6,) * i for i in range(1, 5))
        return early + tuple((1 / 15,) * 5 + (1 / 6,) * i for i in range(5))

    @property
    def weights(self):
        return (0.1,) * 10


def stability_limits(method: AbstractRungeKutta) -> tuple[float, float]:
    """Reach of the stability region along the negative real and the imaginary axis: largest `r` with `|R| <= 1`."""
    rows = [(), *method.stages]
    powers, polynomial = [np.array([1.0])], np.array([1.0])
    # Stage rates of v' = lambda v as polynomials of z, lowest degree first.
    for row in rows:
        stage = np.array([1.0])
        for a, k in zip(row, powers[1:], strict=True):
            stage = np.polynomial.polynomial.polyadd(stage, a * k)
        powers.append(np.concatenate([[0.0], stage]))
    for b, k in zip(method.weights, powers[1:], strict=True):
        polynomial = np.polynomial.polynomial.polyadd(polynomial, b * k)
    r = np.linspace(0, 40, 40001)
    out = []
    for direction in (-1.0, 1j):
        stable = np.abs(np.polynomial.polynomial.polyval(direction * r, polynomial)) <= 1 + 1e-9
        out.append(float(r[np.argmin(stable) - 1]) if not stable.all() else float(r[-1]))
    return out[0], out[1]


def spectral_radius(system: NodalSystem, steps: int = 24) -> Array:
    """Estimate of the largest `|eigenvalue|` of the right-hand side, linearised at the initial field (power method)."""
    v0 = system.start()
    t0 = jnp.asarray(system.problem.t0, v0.real.dtype)
    push = jax.linearize(lambda v: system.rate(v, t0), v0)[1]
    start = jnp.cos(jnp.arange(v0.size, dtype=v0.real.dtype) ** 2).reshape(v0.shape).astype(v0.dtype)
    # Made of node values, so that it is the spectrum of a real field.
    start = system.problem.u0.grid.forward(system.field(start).values)

    def power(v: Array, _) -> tuple[Array, Array]:
        w = push(v)
        size = jnp.sqrt(jnp.sum(w.real**2 + w.imag**2))
        return scale(w, 1 / jnp.where(size > 0, size, jnp.ones((), size.dtype))), size

    v, sizes = jax.lax.scan(power, start, None, length=steps)
    # Two steps together: complex pairs and travelling waves rotate.
    return jnp.sqrt(sizes[-1] * sizes[-2])


def stable_dt(problem: EvolutionProblem, method: AbstractRungeKutta) -> float:
    """Largest step at which an explicit method is stable, estimated at the initial field.

    The reach of the stability region along the axis on which it is shorter (of those that it contains), divided by the
    largest eigenvalue. The step of `method` plays no part.
    """
    real, imaginary = stability_limits(method)
    reach = min(real, imaginary) if imaginary > 0 else real
    return reach / float(_radius(method.system(problem)))


@eqx.filter_jit
def _radius(system: NodalSystem) -> Array:
    return spectral_radius(system)
