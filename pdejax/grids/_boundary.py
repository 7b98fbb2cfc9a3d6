import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array


class AbstractBoundary(eqx.Module):
    """Condition at one end of a closed nodal axis. Values are leaves: changing them never recompiles."""

    @property
    @abc.abstractmethod
    def fixes_value(self) -> bool:
        """Whether the node at the end is known."""


class Dirichlet(AbstractBoundary):
    """`u = value` at the end; `value` is a number or an array that broadcasts against the field's boundary slice."""

    value: Array = eqx.field(converter=jnp.asarray, default=0.0)

    @property
    def fixes_value(self) -> bool:
        return True


class Neumann(AbstractBoundary):
    """`du/dx = slope` at the end (derivative along the axis, not outward)."""

    slope: Array = eqx.field(converter=jnp.asarray, default=0.0)

    @property
    def fixes_value(self) -> bool:
        return False


class Periodic(AbstractBoundary):
    """The two ends are the same point; must stand at both ends, and the right end is then no node."""

    @property
    def fixes_value(self) -> bool:
        return False


class Free(AbstractBoundary):
    """No condition: derivatives are taken one-sided. Results of calculus and arithmetic are free."""

    @property
    def fixes_value(self) -> bool:
        return False


class Held(AbstractBoundary):
    """The end node is known and nothing is asked there: derivatives have zero in its place.

    Solvers put it where a problem says `Dirichlet`, after setting the node, so that no work is spent on rows that the
    condition replaces.
    """

    @property
    def fixes_value(self) -> bool:
        return True
