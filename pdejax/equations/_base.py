import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import d, functional_derivative
from ..fields import AbstractField, FunctionField, GridField


class AbstractEquation(eqx.Module):
    """An equation `residual(u) = 0`, written with the calculus. Its parameters are differentiable leaves."""

    @abc.abstractmethod
    def residual(self, u: AbstractField) -> AbstractField:
        """Left-hand side minus right-hand side, on whatever kind of field `u` is."""

    @property
    def is_complex(self) -> bool:
        """Whether the unknown is complex even where all data are real."""
        return False


class AbstractSteady(AbstractEquation):
    """An equation without time: subclasses write `residual(u)`."""


class AbstractVariational(AbstractEquation):
    """An equation that says that `u` is stationary for an energy: subclasses write `energy(u)`."""

    @abc.abstractmethod
    def energy(self, u: AbstractField) -> Array:
        """`E(u)`, written with `integrate` or `inner`; shape `(1,)` on grid fields."""

    def residual(self, u: AbstractField) -> AbstractField:
        """The functional derivative `dE/du` (Euler-Lagrange expression)."""
        return functional_derivative(self.energy, u)


class AbstractEvolution(AbstractEquation):
    """`u_t = linear(u) + nonlinear(u, t)`: subclasses write the two parts.

    `linear` is what exponential steppers integrate exactly; its symbol is read off by applying it.
    """

    @abc.abstractmethod
    def linear(self, u: AbstractField) -> AbstractField:
        """The part linear in `u`, with coefficients constant in space and time."""

    @abc.abstractmethod
    def nonlinear(self, u: AbstractField, t: Array | AbstractField) -> AbstractField:
        """Everything else; `t` is a number when stepping and the time coordinate on space-time fields."""

    def invariants(self, u: GridField) -> dict[str, Array]:
        """Quantities that the equation conserves in time on periodic axes, by name: numbers of the field `u`."""
        return {}

    def tendency(self, u: AbstractField, t: Array | AbstractField) -> AbstractField:
        """`u_t = linear(u) + nonlinear(u, t)`."""
        return self.linear(u) + self.nonlinear(u, t)

    def residual(self, u: AbstractField) -> AbstractField:
        """`u_t - linear(u) - nonlinear(u, t)` for a space-time field, which has a coordinate `"t"`.

        **Raises** `ValueError` for a field without time.
        """
        if "t" not in u.names:
            raise ValueError(
                f"the residual of an evolution equation needs a space-time field, this one has coordinates {u.names}; "
                'give it an axis "t", or use equation.tendency(u, t).'
            )
        return d(u, "t") - self.tendency(u, u.coordinate("t"))


class Forced(AbstractEvolution):
    """An evolution equation with a source added: `u_t = linear(u) + nonlinear(u, t) + source(t, x)`.

    `source` is a `FunctionField` of `"t"` and the space coordinates.
    """

    equation: AbstractEvolution
    source: FunctionField

    def linear(self, u: AbstractField) -> AbstractField:
        return self.equation.linear(u)

    def nonlinear(self, u: AbstractField, t: Array | AbstractField) -> AbstractField:
        source = self.source if "t" in u.names else self.source.at(t=t)
        return self.equation.nonlinear(u, t) + source


class Example(eqx.Module):
    """An equation with a solution known in closed form, and where it holds: what tests and demonstrations start from.

    `solution` is a function of `("t", *space)` for evolution equations, of the space coordinates otherwise; `domain`
    gives `(start, length)` of one period of each space coordinate; `nodes` periodic nodes per coordinate resolve it to
    about ten digits and `t1` is a time until which it is worth following.
    """

    equation: AbstractEquation
    solution: FunctionField
    domain: dict[str, tuple[float, float]] = eqx.field(static=True)
    nodes: int = eqx.field(static=True, default=32)
    t1: float = eqx.field(static=True, default=1.0)


def manufactured(
    equation: AbstractEvolution,
    solution: FunctionField,
    domain: dict[str, tuple[float, float]],
    nodes: int = 32,
    t1: float = 1.0,
) -> Example:
    """The equation with the source that makes `solution` exact (Roache 2002): its residual on that function."""
    return Example(Forced(equation, equation.residual(solution)), solution, domain, nodes, t1)


class Showcase(eqx.Module):
    """A problem that shows what an evolution equation does: initial field, final time, and a step that resolves it.

    The step is for the default stepper of the equation's kind (`ETDRK4`; finite volumes for conservation laws);
    `channel` is the one to draw.
    """

    equation: AbstractEvolution
    u0: GridField
    t1: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    channel: int = eqx.field(static=True, default=0)


def parameter(value) -> Array:
    """A physical parameter as a differentiable leaf."""
    if not isinstance(value, int | float | complex | tuple | list):
        return value
    # Also inside jit a number stays known, so that steppers can compute their coefficients from it in float64.
    with jax.ensure_compile_time_eval():
        value = jnp.asarray(value)
        return value.astype(jnp.result_type(complex if jnp.iscomplexobj(value) else float))


def data(value):
    """A coefficient or source: a number becomes a leaf; fields stay as they are;
    a function of coordinates is refused with advice.

    **Raises** `TypeError` for other callables.
    """
    if isinstance(value, AbstractField):
        return value
    if callable(value):
        raise TypeError(
            "a coefficient given as a function needs its coordinates; "
            "write FunctionField.from_function(fn, ('x', 'y'))."
        )
    return parameter(value)


def check_positive(equation: str, name: str, value) -> None:
    """**Raises** `ValueError` if a parameter, or a field of it, is known now and not positive everywhere."""
    if isinstance(value, GridField):
        value = value.data
    if isinstance(value, AbstractField) or isinstance(value, jax.core.Tracer) or not eqx.is_array_like(value):
        return
    lowest = np.min(np.asarray(value))
    if not lowest > 0:
        raise ValueError(
            f"{equation} needs a positive {name}, got {lowest:g}; write {name}={abs(lowest) or 1.0:g} or larger."
        )


def entry(value: Array, i: int) -> Array:
    """Component `i` of a parameter that is one number for all axes or one per axis."""
    return value if jnp.ndim(value) == 0 else value[i]
