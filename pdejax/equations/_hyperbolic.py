import abc

from jaxtyping import Array

from ..calculus import d, integrate
from ..fields import AbstractField, GridField
from ._base import AbstractEvolution


class AbstractConservationLaw(AbstractEvolution):
    """`q_t + sum_i d f_i(q) / d x_i = s(q, t)`: subclasses write `flux` and `speeds`, all else is optional.

    `axis` counts space axes from zero. The same text is read on grid fields, on functions, and by finite volumes on the
    states at both sides of every cell face, so it is written with field algebra alone and takes the number of axes
    from `u.space_names`.
    """

    @abc.abstractmethod
    def flux(self, u: AbstractField, axis: int) -> AbstractField:
        """`f_axis(u)`, one channel for each of `u`."""

    @abc.abstractmethod
    def speeds(self, u: AbstractField, axis: int) -> AbstractField:
        """Two channels that bound the wave speeds along the axis: the smallest and the largest
        (for a flux that is not convex: over all states between any two, not only at `u`).
        """

    def source(self, u: AbstractField, t: Array | AbstractField) -> AbstractField | None:
        """`s(u, t)`; `None` where there is none."""
        return None

    def positive(self, u: AbstractField) -> AbstractField | None:
        """Concave functions of the state that must stay positive (density, pressure, depth); `None` if none must.

        Each may divide by those before it.
        """
        return None

    def primitive(self, u: AbstractField) -> AbstractField:
        """The variables in which states are better interpolated (velocity, pressure)."""
        return u

    def conserved(self, w: AbstractField) -> AbstractField:
        """The inverse of `primitive`."""
        return w

    def normal(self, axis: int) -> tuple[int, ...]:
        """Channels that change sign in a wall across the axis."""
        return ()

    def waves(self, left: AbstractField, right: AbstractField, axis: int) -> list[tuple[AbstractField, AbstractField]]:
        """Roe's linearisation (Roe 1981): waves `(speed, jump)` from the slowest to the fastest, one channel and as
        many as `u`, with `sum jump = right - left` and `sum speed jump = f(right) - f(left)`.

        **Raises** `TypeError` for a law that has none.
        """
        raise TypeError(f"{type(self).__name__} gives no Roe waves; write flux=HLL().")

    def contact(
        self, left: AbstractField, right: AbstractField, slowest: AbstractField, fastest: AbstractField, axis: int
    ) -> tuple[AbstractField, AbstractField, AbstractField]:
        """Speed of the wave between the slowest and the fastest, and the states at its left and right.

        **Raises** `TypeError` for a law that has none.
        """
        raise TypeError(f"{type(self).__name__} has no contact wave; write flux=HLL().")

    def divergence(self, u: AbstractField) -> AbstractField:
        """`sum_i d f_i(u) / d x_i`."""
        terms = [d(self.flux(u, i), name) for i, name in enumerate(u.space_names)]
        return sum(terms[1:], terms[0])

    def linear(self, u: AbstractField) -> AbstractField:
        return u * 0.0

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        source = self.source(u, t)
        return -self.divergence(u) if source is None else source - self.divergence(u)


class AbstractLinearLaw(AbstractConservationLaw):
    """A conservation law with constant coefficients: flux and source are linear in `u`, and free of `t`."""

    def linear(self, u: AbstractField) -> AbstractField:
        source = self.source(u, 0.0)  # type: ignore[arg-type]
        return -self.divergence(u) if source is None else source - self.divergence(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return u * 0.0


def vector(law: AbstractConservationLaw, u: AbstractField, scalars: int = 1) -> list[AbstractField]:
    """The components of the vector that follows the first channel, one per space axis.

    **Raises** `ValueError` if the field has not `scalars` channels beside the vector.
    """
    names = u.space_names
    if u.channels != scalars + len(names):
        raise ValueError(
            f"{type(law).__name__} on space axes {names} takes {scalars + len(names)} channels, {len(names)} of them a "
            f"vector, got {u.channels}; join them with stack."
        )
    return [u[1 + i] for i in range(len(names))]


def totals(u: GridField, first: str, vector_name: str = "", last: str = "") -> dict[str, Array]:
    """The integral of each channel, by name."""
    vectors = [f"{vector_name}_{name}" for name in u.space_names] if vector_name else []
    names = [first, *vectors, *([last] if last else [])]
    return dict(zip(names, integrate(u), strict=True))
