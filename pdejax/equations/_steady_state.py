from ..fields import AbstractField
from ._base import AbstractEvolution, AbstractSteady


class SteadyState(AbstractSteady):
    """The states in which an evolution equation rests: `residual(u) = -(linear(u) + nonlinear(u, 0))`.

    The sign makes diffusion positive definite. Time-dependent terms are taken at `t = 0`.
    """

    equation: AbstractEvolution

    def residual(self, u: AbstractField) -> AbstractField:
        return -self.equation.tendency(u, 0.0)
