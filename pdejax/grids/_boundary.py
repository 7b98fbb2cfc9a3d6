import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array


class AbstractBoundary(eqx.Module):
    """Condition at one end of a nodal axis: at the end node of a closed one, at the outer face of a centred one.

    Values are leaves: changing them never recompiles.
    """


class Dirichlet(AbstractBoundary):
    """`u = value` at the end; `value` is a number or an array that broadcasts against the field's boundary slice.

    Finite volumes take it for the state outside (inflow, far field): waves that leave pass through it.
    """

    value: Array = eqx.field(converter=jnp.asarray, default=0.0)


class Neumann(AbstractBoundary):
    """`du/dx = slope` at the end (derivative along the axis, not outward)."""

    slope: Array = eqx.field(converter=jnp.asarray, default=0.0)


class Robin(AbstractBoundary):
    """`du/dn + alpha u = value` at the end, with `n` pointing out of the domain.

    `alpha >= 0` loses heat to the surroundings (Newton's law of cooling). A complex `alpha`, for complex fields, makes
    an impedance: `alpha = -1j * k` lets waves `exp(-i omega t)` of wavenumber k that come at right angles leave (first
    order absorbing condition, Engquist & Majda 1977, equation 1.27).
    """

    alpha: Array = eqx.field(converter=jnp.asarray, default=1.0)
    value: Array = eqx.field(converter=jnp.asarray, default=0.0)


class Periodic(AbstractBoundary):
    """The two ends are the same point; must stand at both ends, and the right end is then no node."""


class Free(AbstractBoundary):
    """No condition: derivatives are taken one-sided. Results of calculus and arithmetic are free."""


class Held(AbstractBoundary):
    """The end node is known and nothing is asked there: derivatives have zero in its place.

    Solvers put it where a problem says `Dirichlet`, after setting the node, so that no work is spent on rows that the
    condition replaces.
    """


class Outflow(AbstractBoundary):
    """Waves leave and none come in: finite volumes continue the last cell unchanged (LeVeque 2002, section 7.2.1).

    The calculus differences one-sided there, as at a `Free` end.
    """


class Reflecting(AbstractBoundary):
    """A wall: finite volumes mirror the cells and turn the normal momentum round (LeVeque 2002, section 7.3.3).

    Which channels turn is asked of the equation (`AbstractConservationLaw.normal`). The calculus differences one-sided
    there, as at a `Free` end.
    """
