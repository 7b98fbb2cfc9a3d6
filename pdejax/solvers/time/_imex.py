"""Implicit-explicit Runge-Kutta methods: the linear part implicitly, the rest explicitly."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ...grids import scale
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._stepper import AbstractModalStepper
from ._system import ModalSystem


class ImexTableau(eqx.Module):
    """Rows of the explicit and the implicit coefficients of the stages after the first, `a_ij` and `h_ij`.

    The implicit diagonal is one number, and the last stage is the step (both parts are stiffly accurate).
    """

    explicit: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    implicit: tuple[tuple[float, ...], ...] = eqx.field(static=True)


class AbstractImexRungeKutta(AbstractModalStepper):
    """`v_i = v + dt sum_{j<i} a_ij N(v_j) + dt sum_{j<=i} h_ij L v_j`; the last stage is the step."""

    @property
    @abc.abstractmethod
    def tableau(self) -> ImexTableau:
        """The coefficients."""

    def tables(self, linear: AbstractLinearPart, dt: float) -> dict[str, AbstractOperator]:
        return {"L": linear.product(), "solve": linear.resolvent(dt * self.tableau.implicit[0][-1])}

    def scheme(self, system: ModalSystem, tables: dict[str, AbstractOperator], dt: float) -> Scheme:
        tableau, nonlinear = self.tableau, system.nonlinear()

        def step(v: Array, t: Array, i: Array) -> Array:
            stages, rates, stiff = v, [], []
            for a, h in zip(tableau.explicit, tableau.implicit, strict=True):
                now = t + jnp.asarray(sum(tableau.explicit[len(rates) - 1]) * dt if rates else 0.0, t.dtype)
                rates.append(nonlinear(stages, now))
                parts = [scale(n, jnp.asarray(w * dt, n.real.dtype)) for w, n in zip(a, rates, strict=True) if w]
                parts += [scale(s, jnp.asarray(w * dt, s.real.dtype)) for w, s in zip(h[:-1], stiff) if w]
                stages = tables["solve"](sum(parts, v))
                stiff.append(tables["L"](stages))
            return stages

        return Scheme(system.start(), step, system.field)


class ARS222(AbstractImexRungeKutta):
    """Two stages, order two, L-stable implicit part (Ascher, Ruuth & Spiteri 1997, section 2.6)."""

    order: ClassVar[int] = 2

    @property
    def tableau(self) -> ImexTableau:
        gamma = 1 - 0.5**0.5
        delta = 1 - 1 / (2 * gamma)
        return ImexTableau(((gamma,), (delta, 1 - delta)), ((gamma,), (1 - gamma, gamma)))


class ARS443(AbstractImexRungeKutta):
    """Four stages, order three, L-stable implicit part (Ascher, Ruuth & Spiteri 1997, section 2.8)."""

    order: ClassVar[int] = 3

    @property
    def tableau(self) -> ImexTableau:
        explicit = ((1 / 2,), (11 / 18, 1 / 18), (5 / 6, -5 / 6, 1 / 2), (1 / 4, 7 / 4, 3 / 4, -7 / 4))
        implicit = ((1 / 2,), (1 / 6, 1 / 2), (-1 / 2, 1 / 2, 1 / 2), (3 / 2, -3 / 2, 1 / 2, 1 / 2))
        return ImexTableau(explicit, implicit)
