"""Diagonally implicit Runge-Kutta methods for `v' = L v + N(v, t)`, implicit in both parts."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jaxtyping import Array

from ...grids import scale
from .._adjoint import _as_like, _as_real
from .._solution import RESULTS
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._stepper import AbstractModalStepper
from ._system import ModalSystem

Row = tuple[float, ...]


class Reached(eqx.Module):
    """The state `value`, and whether the stages that led to it converged."""

    value: Array
    result: RESULTS


class AbstractDiagonallyImplicit(AbstractModalStepper):
    """`w_i = v + dt sum_(j <= i) a_ij k_j`, `k_i = f(w_i, t + c_i dt)`, `f = L v + N(v, t)`; the last stage is `v_1`.

    Each stage solves `w = P (known + g dt N(w, t))`, `P = (I - g dt L)^-1`, by Newton's method (optimistix) with GMRES
    inside (lineax): preconditioned by `P`, the Jacobian is the identity but for `g dt P N'`. A linear equation costs
    one Newton step. `newton_steps` bounds them per stage: a stage that needs more ends the run with
    `nonlinear_max_steps_reached`, one whose linear system is not solved with the message of GMRES. Gradients use the
    implicit function theorem stage by stage.
    """

    newton_steps: int = eqx.field(static=True, default=10)

    @property
    @abc.abstractmethod
    def rows(self) -> tuple[Row, ...]:
        """Rows `a_ij`, j <= i, of the stages; `c_i` are their sums. The diagonal is `g`, or zero in the first row."""

    def tables(self, linear: AbstractLinearPart, dt: float) -> dict[str, AbstractOperator]:
        return {"L": linear.product(), "P": linear.resolvent(self.rows[-1][-1] * dt)}

    def scheme(self, system: ModalSystem, tables: dict[str, AbstractOperator], dt: float) -> Scheme:
        nonlinear = system.nonlinear()

        def stage(guess: Array, known: Array, h: Array, t: Array) -> tuple[Array, RESULTS]:
            return fixed_point(lambda w: tables["P"](known + scale(nonlinear(w, t), h)), guess, self.newton_steps)

        def step(state: Reached, t: Array, i: Array) -> Reached:
            v, w, result, rates = state.value, state.value, state.result, []
            for row in self.rows:
                now = t + jnp.asarray(sum(row) * dt, t.dtype)
                h = jnp.asarray(row[-1] * dt, v.real.dtype)
                if not row[-1]:
                    rates.append(tables["L"](v) + nonlinear(v, now))
                    continue
                earlier = zip(row[:-1], rates, strict=True)
                known = v + sum(scale(k, jnp.asarray(a * dt, v.real.dtype)) for a, k in earlier)
                w, ended = stage(w, known, h, now)
                result = RESULTS.where(result == RESULTS.successful, ended, result)
                rates.append(scale(w - known, 1 / h))
            return Reached(w, result)

        start = Reached(system.start(), RESULTS.successful)
        return Scheme(start, step, system.field, lambda state: state.value, lambda state: state.result)


class Theta(AbstractDiagonallyImplicit):
    """`v_1 = v + dt ((1 - theta) f(v) + theta f(v_1))`: `theta=1/2` is Crank-Nicolson (order two, A-stable, hardly
    damps what is stiff; Crank & Nicolson 1947), `theta=1` backward Euler (order one, L-stable).

    **Raises** `ValueError` unless `1/2 <= theta <= 1`.
    """

    theta: float = eqx.field(static=True, default=0.5)

    def __check_init__(self):
        if not 0.5 <= self.theta <= 1:
            raise ValueError(
                f"Theta is stable for stiff equations with theta between 1/2 and 1, got theta={self.theta:g}; write "
                "Theta(dt, theta=0.5), or RK4(dt) for an explicit method."
            )

    @property
    def order(self) -> int:
        """Two for `theta=1/2`, else one."""
        return 2 if self.theta == 0.5 else 1

    @property
    def rows(self):
        return ((1.0,),) if self.theta == 1 else ((0.0,), (1 - self.theta, self.theta))


class SDIRK2(AbstractDiagonallyImplicit):
    """L-stable, order two, two stages with `g = 1 - 1/sqrt 2` (Alexander 1977)."""

    order: ClassVar[int] = 2

    @property
    def rows(self):
        g = 1 - np.sqrt(0.5)
        return ((g,), (1 - g, g))


class SDIRK3(AbstractDiagonallyImplicit):
    """L-stable, order three, three stages; `g` is the middle root of `x^3 - 3 x^2 + 3/2 x - 1/6` (Alexander 1977)."""

    order: ClassVar[int] = 3

    @property
    def rows(self):
        g = 0.43586652150845899942
        first, second = -(6 * g**2 - 16 * g + 1) / 4, (6 * g**2 - 20 * g + 5) / 4
        return ((g,), ((1 - g) / 2, g), (first, second, g))


class ESDIRK4(AbstractDiagonallyImplicit):
    """L-stable, order four, an explicit stage and five implicit ones of second order, g = 1/4: the
    implicit half of ARK4(3)6L[2]SA (Kennedy & Carpenter 2003, appendix C)."""

    order: ClassVar[int] = 4

    @property
    def rows(self):
        return (
            (0.0,),
            (1 / 4, 1 / 4),
            (8611 / 62500, -1743 / 31250, 1 / 4),
            (5012029 / 34652500, -654441 / 2922500, 174375 / 388108, 1 / 4),
            (15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912, 1 / 4),
            (82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 1 / 4),
        )


def fixed_point(image: Callable[[Array], Array], guess: Array, newton_steps: int) -> tuple[Array, RESULTS]:
    """`w = image(w)` by Newton's method near `guess`, to the square root of the rounding before the last step."""
    # One application of the map solves linear equations, so that a single Newton step certifies it.
    first = image(guess)
    size = jnp.sqrt(jnp.sum(first.real**2 + first.imag**2))
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, jnp.ones((), size.dtype)))

    def defect(x: Array, args: None) -> Array:
        # Relative to the state, so that absolute tolerances mean relative ones.
        w = scale(_as_like(x, first), size)
        return x - scale(_as_real(image(w)), 1 / size)

    eps = float(jnp.finfo(size.dtype).eps)
    tolerance = float(np.sqrt(eps))
    out = optx.root_find(
        defect,
        optx.Newton(tolerance, tolerance, norm=optx.two_norm, linear_solver=RelativeGMRES(1e-4)),
        scale(_as_real(first), 1 / size),
        max_steps=newton_steps,
        adjoint=optx.ImplicitAdjoint(RelativeGMRES(100 * eps)),
        throw=False,
    )
    return scale(_as_like(out.value, first), size), RESULTS.promote(out.result)


class RelativeGMRES(lx.AbstractLinearSolver):
    """lineax' GMRES with `||r|| <= rtol ||b||`, `||.||` over the whole array; `lineax.GMRES` compares entry by entry,
    in absolute terms where `b` is small.

    Cycles of ten vectors: preconditioned stages need few, and a cycle is not left early.
    """

    rtol: float = eqx.field(static=True)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return self._inner().init(operator, options)

    def compute(self, state, vector: Array, options: dict[str, Any]):
        size = jnp.sqrt(jnp.sum(vector**2))
        size = jnp.where(size > 0, size, jnp.ones((), size.dtype))
        value, result, stats = self._inner().compute(state, scale(vector, 1 / size), options)
        return scale(value, size), result, stats

    def transpose(self, state, options: dict[str, Any]):
        return self._inner().transpose(state, options)

    def conj(self, state, options: dict[str, Any]):
        return self._inner().conj(state, options)

    def assume_full_rank(self) -> bool:
        """No least squares: the operator is square and invertible."""
        return True

    def _inner(self) -> lx.GMRES:
        return lx.GMRES(rtol=0.0, atol=self.rtol, norm=optx.two_norm, restart=10)
