"""Implicit-explicit multistep methods: one evaluation of `N` and one solve a step."""

import abc
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from ...grids import scale
from ._imex import ARS443
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._multistep import multistep
from ._stepper import AbstractModalStepper
from ._system import ModalSystem

Tables = dict[str, dict[str, AbstractOperator]]


class AbstractImexMultistep(AbstractModalStepper):
    """`a_0 v_{n+1} + sum_j a_{j+1} v_{n-j} = dt (h_0 L v_{n+1} + h_1 L v_n + sum_j b_j N(v_{n-j}))`.

    The first steps are `ARS443`, whose third order suffices for methods of order up to four.
    """

    @property
    @abc.abstractmethod
    def state_weights(self) -> tuple[float, ...]:
        """`a_0, a_1, ...`."""

    @property
    @abc.abstractmethod
    def explicit_weights(self) -> tuple[float, ...]:
        """`b_0, b_1, ...`."""

    @property
    def implicit_weights(self) -> tuple[float, float]:
        """`h_0, h_1`."""
        return 1.0, 0.0

    def tables(self, linear: AbstractLinearPart, dt: float) -> Tables:
        a, h = self.state_weights[0], self.implicit_weights
        own = {"solve": linear.resolvent(dt * h[0] / a)} | ({"L": linear.product()} if h[1] else {})
        return {"own": own, "first": self._starter().tables(linear, dt)}

    def scheme(self, system: ModalSystem, tables: Tables, dt: float) -> Scheme:
        nonlinear, own = system.nonlinear(), tables["own"]
        a, b, h = self.state_weights, self.explicit_weights, self.implicit_weights

        def step(v: Array, past: tuple[tuple[Array, Array], ...]) -> Array:
            states, rates = [p[0] for p in past], [p[1] for p in past]
            terms = [_times(s, -w / a[0]) for w, s in zip(a[1:], states, strict=False)]
            terms += [_times(n, dt * w / a[0]) for w, n in zip(b, rates, strict=True)]
            if h[1]:
                terms.append(_times(own["L"](v), dt * h[1] / a[0]))
            return own["solve"](sum(terms[1:], terms[0]))

        first = self._starter().scheme(system, tables["first"], dt).step
        keep = lambda v, t: (v, nonlinear(v, t))
        return multistep(system.start(), keep, first, step, len(b), system.field)

    def _starter(self) -> ARS443:
        return ARS443(self.dt, self.dealias)


class SBDF1(AbstractImexMultistep):
    """Backward Euler for the linear part, forward Euler for the rest; order one (Ascher, Ruuth & Wetton 1995)."""

    order: ClassVar[int] = 1

    @property
    def state_weights(self):
        return 1.0, -1.0

    @property
    def explicit_weights(self):
        return (1.0,)


class SBDF2(AbstractImexMultistep):
    """Semi-implicit backward differentiation of order two (Ascher, Ruuth & Wetton 1995)."""

    order: ClassVar[int] = 2

    @property
    def state_weights(self):
        return 3 / 2, -2.0, 1 / 2

    @property
    def explicit_weights(self):
        return 2.0, -1.0


class SBDF3(AbstractImexMultistep):
    """Semi-implicit backward differentiation of order three (Ascher, Ruuth & Wetton 1995)."""

    order: ClassVar[int] = 3

    @property
    def state_weights(self):
        return 11 / 6, -3.0, 3 / 2, -1 / 3

    @property
    def explicit_weights(self):
        return 3.0, -3.0, 1.0


class SBDF4(AbstractImexMultistep):
    """Semi-implicit backward differentiation of order four (Ascher, Ruuth & Wetton 1995)."""

    order: ClassVar[int] = 4

    @property
    def state_weights(self):
        return 25 / 12, -4.0, 3.0, -4 / 3, 1 / 4

    @property
    def explicit_weights(self):
        return 4.0, -6.0, 4.0, -1.0


class CNAB2(AbstractImexMultistep):
    """Crank-Nicolson for the linear part, Adams-Bashforth for the rest; order two (Ascher, Ruuth & Wetton 1995)."""

    order: ClassVar[int] = 2

    @property
    def state_weights(self):
        return 1.0, -1.0

    @property
    def explicit_weights(self):
        return 3 / 2, -1 / 2

    @property
    def implicit_weights(self):
        return 1 / 2, 1 / 2


def _times(v: Array, factor: float) -> Array:
    return scale(v, jnp.asarray(factor, v.real.dtype))
