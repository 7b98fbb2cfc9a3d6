from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from ...grids import scale
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._stepper import AbstractModalStepper
from ._system import ModalSystem


class Strang(AbstractModalStepper):
    """Symmetric splitting of order two: half a step of `N`, a whole one of `exp(dt L)`, half a step of `N`
    (Strang 1968).

    The half steps are classical Runge-Kutta steps. Schroedinger equations keep their mass to the accuracy of those.
    """

    order: ClassVar[int] = 2
    keeps_fixed_points: ClassVar[bool] = False

    def tables(self, linear: AbstractLinearPart, dt: float) -> AbstractOperator:
        return linear.exponentials(dt, {"exp": ((1.0, 0, 1.0),)})["exp"]

    def scheme(self, system: ModalSystem, tables: AbstractOperator, dt: float) -> Scheme:
        nonlinear = system.nonlinear()

        def flow(v: Array, t: Array) -> Array:
            h = jnp.asarray(dt / 2, t.dtype)
            k1 = nonlinear(v, t)
            k2 = nonlinear(v + scale(k1, h / 2), t + h / 2)
            k3 = nonlinear(v + scale(k2, h / 2), t + h / 2)
            k4 = nonlinear(v + scale(k3, h), t + h)
            return v + scale(k1 + 2 * k2 + 2 * k3 + k4, h / 6)

        def step(v: Array, t: Array, i: Array) -> Array:
            return flow(tables(flow(v, t)), t + jnp.asarray(dt / 2, t.dtype))

        return Scheme(system.start(), step, system.field)
