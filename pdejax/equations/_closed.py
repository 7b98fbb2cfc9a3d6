from collections.abc import Callable

from ..fields import AbstractField
from ._base import AbstractEvolution


class Closed(AbstractEvolution):
    """An equation of the resolved scales with what the unresolved ones do to them: `u_t = L u + N(u, t) + g(u)`.

    **Arguments:** `equation`, any evolution equation; `closure` g, field to field: a trained operator, a polynomial, a
    model of turbulence. It is part of the nonlinear terms, so steppers treat it explicitly.

    **Raises** what its parts raise.
    """

    equation: AbstractEvolution
    closure: Callable[[AbstractField], AbstractField]

    def linear(self, u: AbstractField) -> AbstractField:
        return self.equation.linear(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return self.equation.nonlinear(u, t) + self.closure(u)
