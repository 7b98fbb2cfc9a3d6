"""Explicit Runge-Kutta methods made stable for stiff linear parts by time-accurate, highly stable operators (TASE)."""

import abc
from math import comb

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ...grids import scale
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._stepper import AbstractModalStepper
from ._system import ModalSystem

Row = tuple[float, ...]


class TASETableau(eqx.Module):
    """An explicit method of as many stages as its order p (rows `a_ij` after the first, weights `b_i`), the number
    `alpha` in `P = (I - alpha dt L)^-1`, and the shifts `s_i`: stage i has
    `T_i = I - (I - P)^p + s_i P (P - I)^(p - 1) = I + O(dt^(p - 1))`, of order p if `sum_i b_i s_i = 0`.
    """

    rows: tuple[Row, ...] = eqx.field(static=True)
    weights: Row = eqx.field(static=True)
    alpha: float = eqx.field(static=True)
    shifts: Row = eqx.field(static=True)

    @property
    def powers(self) -> tuple[Row, ...]:
        """`beta_ij` in `T_i = sum_j beta_ij P^j`, j = 1..p: (2, -1), (3, -3, 1), (4, -6, 4, -1) without shifts."""
        p = len(self.weights)
        return tuple(
            tuple((-1) ** (j + 1) * comb(p, j) + s * (-1) ** (p - j) * comb(p - 1, j - 1) for j in range(1, p + 1))
            for s in self.shifts
        )


_MIDPOINT = ((0.5,),), (0.0, 1.0)
_HEUN3 = ((1 / 3,), (0.0, 2 / 3)), (0.25, 0.0, 0.75)
_KUTTA3 = ((0.5,), (-1.0, 2.0)), (1 / 6, 2 / 3, 1 / 6)
_THREE_EIGHTHS = ((1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)), (0.125, 0.375, 0.375, 0.125)
_CLASSICAL = ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)

# The smallest alpha, to two digits, that is stable on the whole negative axis.
SINGLY = {
    2: TASETableau(*_MIDPOINT, 1.0, (0.0,) * 2),
    3: TASETableau(*_KUTTA3, 1.2, (0.0,) * 3),
    4: TASETableau(*_CLASSICAL, 1.44, (0.0,) * 4),
}
# Computed by experiments/tase/derive.py: R(-infinity) = 0, |R| <= 1 (to 1e-6) in the sector of 90, 89, 85 degrees about
# the negative axis, and the smallest error under these conditions.
MODIFIED = {
    2: TASETableau(*_MIDPOINT, 0.27, (1.5329, 0.0)),
    3: TASETableau(*_HEUN3, 0.6, (-1.770038734713263, -0.4668283737498933, 0.5900129115710876)),
    4: TASETableau(
        *_THREE_EIGHTHS, 0.54, (2.723959220838062, -0.8332063050358457, -1.0575466105851556, 2.9482995260249423)
    ),
}


class AbstractTASE(AbstractModalStepper):
    """`k_i = T_i f(v + dt sum_j a_ij k_j, t + c_i dt)` with `f = L v + N(v, t)`, then `v + dt sum_i b_i k_i`.

    `T_i` damps what is stiff and multiplies the whole right-hand side; the only linear systems are
    `(I - alpha dt L) x = y`, as many as stages times order. The order does not rest on `L` being the exact Jacobian;
    the stability does: what is stiff must be in `L`.
    """

    @property
    @abc.abstractmethod
    def tableau(self) -> TASETableau:
        """The coefficients."""

    def tables(self, linear: AbstractLinearPart, dt: float) -> dict[str, AbstractOperator]:
        return {"L": linear.product(), "P": linear.resolvent(self.tableau.alpha * dt)}

    def scheme(self, system: ModalSystem, tables: dict[str, AbstractOperator], dt: float) -> Scheme:
        tableau, nonlinear = self.tableau, system.nonlinear()

        def moved(v: Array, row: Row, rates: list[Array]) -> Array:
            return v + sum(scale(k, jnp.asarray(a * dt, v.real.dtype)) for a, k in zip(row, rates, strict=True))

        def damped(f: Array, powers: Row) -> Array:
            # Horner in P, not in P - I: differences of large stiff rates would cancel.
            out = jnp.zeros_like(f)
            for beta in reversed(powers):
                out = tables["P"](out + scale(f, jnp.asarray(beta, f.real.dtype)))
            return out

        def step(v: Array, t: Array, i: Array) -> Array:
            rates: list[Array] = []
            for row, powers in zip(((), *tableau.rows), tableau.powers, strict=True):
                stage = moved(v, row, rates)
                f = tables["L"](stage) + nonlinear(stage, t + jnp.asarray(sum(row) * dt, t.dtype))
                rates.append(damped(f, powers))
            return moved(v, tableau.weights, rates)

        return Scheme(system.start(), step, system.field)


class TASE(AbstractTASE):
    """Modified singly-RK-TASE method of `order` 2, 3 or 4: one resolvent, another combination of its powers per stage.

    After Calvo, Montijano & Randez 2025 (orders 2 and 3); the coefficients are our own: `R(-infinity) = 0`, stable in
    sectors of 90, 89 and 85 degrees about the negative axis. Waves in `L` call for order 2: undamped ones grow by up to
    1.5 % a step with order 3 and 42 % with order 4. Growing modes of `L` need `dt lambda` well below the pole at
    `1 / alpha` (alpha = 0.27, 0.6, 0.54).

    **Raises** `ValueError` for another order.
    """

    order: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        _check_order("TASE", self.order)

    @property
    def tableau(self) -> TASETableau:
        return MODIFIED[self.order]


class SinglyTASE(AbstractTASE):
    """Singly-RK-TASE method of `order` 2, 3 or 4, one `T` for all stages, `alpha` = 1, 1.2, 1.44 (Calvo, Fu,
    Montijano & Randez 2023).

    Its errors are several times those of `TASE` at equal cost, and it hardly damps the stiffest modes.

    **Raises** `ValueError` for another order.
    """

    order: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        _check_order("SinglyTASE", self.order)

    @property
    def tableau(self) -> TASETableau:
        return SINGLY[self.order]


def _check_order(name: str, order: int) -> None:
    if order not in MODIFIED:
        raise ValueError(f"{name} has the orders 2, 3 and 4, got order={order!r}; write {name}(dt, order=3).")
