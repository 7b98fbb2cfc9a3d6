"""Exponential Runge-Kutta methods for `v' = L v + N(v, t)`.

Stage i is `exp(c_i z) v + dt sum_j a_ij(z) N_j` with `z = dt L`, and the step `exp(z) v + dt sum_i b_i(z) N_i`; the
entries are combinations of phi functions (Hochbruck & Ostermann 2010, eq. (2.10)). Stiff linear parts put no limit on
`dt`; the nonlinear part does.
"""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ...grids import scale
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._phi import Combination
from ._stepper import AbstractModalStepper
from ._system import ModalSystem

Row = tuple[tuple[int, Combination], ...]  # of a tableau: pairs (stage j, entry)


class Tableau(eqx.Module):
    """Nodes `c_i` of the stages after the first, their rows `a_ij`, and the weights `b_i`."""

    nodes: tuple[float, ...] = eqx.field(static=True)
    rows: tuple[Row, ...] = eqx.field(static=True)
    weights: Row = eqx.field(static=True)


class AbstractExponentialRungeKutta(AbstractModalStepper):
    """The steps of one tableau."""

    @property
    @abc.abstractmethod
    def tableau(self) -> Tableau:
        """The coefficients."""

    def tables(self, linear: AbstractLinearPart, dt: float) -> dict[str, AbstractOperator]:
        tableau = self.tableau
        wanted = {_exp(c): phi(0, 1.0, c) for c in (*tableau.nodes, 1.0)}
        wanted |= {
            _name(entry): _scaled(entry, dt / entry[0][0])
            for row in (*tableau.rows, tableau.weights)
            for _, entry in row
        }
        return linear.exponentials(dt, {name: entry for name, entry in wanted.items() if any(c for *_, c in entry)})

    def scheme(self, system: ModalSystem, tables: dict[str, AbstractOperator], dt: float) -> Scheme:
        tableau, nonlinear = self.tableau, system.nonlinear()

        def increment(v: Array, node: float, row: Row, rates: list[Array]) -> Array:
            out = tables[_exp(node)](v)
            # Stages with the same entry up to a factor share one application.
            groups: dict[str, list[Array]] = {}
            for j, entry in row:
                groups.setdefault(_name(entry), []).append(_times(rates[j], entry[0][0]))
            for name, parts in groups.items():
                total = sum(parts[1:], parts[0])
                out = out + (tables[name](total) if name in tables else _times(total, dt))
            return out

        def step(v: Array, t: Array, i: Array) -> Array:
            rates = [nonlinear(v, t)]
            for node, row in zip(tableau.nodes, tableau.rows, strict=True):
                stage = increment(v, node, row, rates)
                rates.append(nonlinear(stage, t + jnp.asarray(node * dt, t.dtype)))
            return increment(v, 1.0, tableau.weights, rates)

        return Scheme(system.start(), step, system.field)


class ETDRK1(AbstractExponentialRungeKutta):
    """Exponential Euler, order one: `v + dt phi_1(z) (L v + N)` (Cox & Matthews 2002, eq. (4))."""

    order: ClassVar[int] = 1

    @property
    def tableau(self) -> Tableau:
        return Tableau((), (), ((0, phi(1)),))


class ETDRK2(AbstractExponentialRungeKutta):
    """Exponential Runge-Kutta of order two (Cox & Matthews 2002, eqs. (20)-(22))."""

    order: ClassVar[int] = 2

    @property
    def tableau(self) -> Tableau:
        return Tableau((1.0,), (((0, phi(1)),),), ((0, phi(1) + phi(2, -1.0)), (1, phi(2))))


class ETDRK3(AbstractExponentialRungeKutta):
    """Exponential Runge-Kutta of order three (Cox & Matthews 2002, eqs. (23)-(25))."""

    order: ClassVar[int] = 3

    @property
    def tableau(self) -> Tableau:
        rows = (((0, phi(1, 0.5, 0.5)),), ((0, phi(1, -1.0)), (1, phi(1, 2.0))))
        first, middle, _, last = _simpson()
        return Tableau((0.5, 1.0), rows, (first, (1, _scaled(middle[1], 2.0)), (2, last[1])))


class ETDRK4(AbstractExponentialRungeKutta):
    """Exponential time differencing, fourth-order Runge-Kutta (Cox & Matthews 2002, eqs. (26)-(29)).

    Complex symbols (advection, dispersion) keep the fourth order; the coefficients are computed in float64 and cast to
    the dtype of the data.
    """

    order: ClassVar[int] = 4

    @property
    def tableau(self) -> Tableau:
        half = phi(1, 0.5, 0.5)
        rows = (((0, half),), ((1, half),), ((0, phi(1) + phi(1, -1.0, 0.5)), (2, phi(1, 1.0, 0.5))))
        return Tableau((0.5, 0.5, 1.0), rows, _simpson())


class Krogstad4(AbstractExponentialRungeKutta):
    """Exponential Runge-Kutta of order four, whose stages are exact to higher order (Krogstad 2005, ETDRK4-B)."""

    order: ClassVar[int] = 4

    @property
    def tableau(self) -> Tableau:
        rows = (
            ((0, phi(1, 0.5, 0.5)),),
            ((0, phi(1, 0.5, 0.5) + phi(2, -1.0, 0.5)), (1, phi(2, 1.0, 0.5))),
            ((0, phi(1) + phi(2, -2.0)), (2, phi(2, 2.0))),
        )
        return Tableau((0.5, 0.5, 1.0), rows, _simpson())


class IFRK4(AbstractExponentialRungeKutta):
    """The classical Runge-Kutta method of order four for `exp(-t L) v`: integrating factor (Lawson 1967)."""

    order: ClassVar[int] = 4
    keeps_fixed_points: ClassVar[bool] = False

    @property
    def tableau(self) -> Tableau:
        half, one = phi(0, 1.0, 0.5), phi(0, 1.0, 0.0)
        rows = (((0, _scaled(half, 0.5)),), ((1, _scaled(one, 0.5)),), ((2, half),))
        weights = ((0, phi(0, 1 / 6)), (1, _scaled(half, 1 / 3)), (2, _scaled(half, 1 / 3)), (3, _scaled(one, 1 / 6)))
        return Tableau((0.5, 0.5, 1.0), rows, weights)


def phi(k: int, weight: float = 1.0, c: float = 1.0) -> Combination:
    """`weight * phi_k(c z)`."""
    return ((weight, k, c),)


def _simpson() -> Row:
    middle = phi(2, 2.0) + phi(3, -4.0)
    return (
        (0, phi(1) + phi(2, -3.0) + phi(3, 4.0)),
        (1, middle),
        (2, middle),
        (3, phi(2, -1.0) + phi(3, 4.0)),
    )


def _scaled(entry: Combination, factor: float) -> Combination:
    return tuple((weight * factor, k, c) for weight, k, c in entry)


def _name(entry: Combination) -> str:
    # Up to the weight of the first function.
    return "+".join(f"{weight / entry[0][0]!r}phi{k}({c!r})" for weight, k, c in entry)


def _exp(c: float) -> str:
    return f"exp({c!r})"


def _times(v: Array, factor: float) -> Array:
    return v if factor == 1 else scale(v, jnp.asarray(factor, v.real.dtype))
