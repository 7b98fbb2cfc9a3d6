import abc
from typing import Self

import equinox as eqx
import lineax as lx

from ._problem import SteadyProblem
from ._steady import Unknowns


class AbstractPreconditioner(eqx.Module):
    """A recipe for an approximate inverse of the linearised equations of a steady problem.

    `prepare` looks at the problem once in Python; `build` is compiled, and runs anew for each linearisation.
    """

    def prepare(self, problem: SteadyProblem) -> Self:
        """The same recipe with what can be known before compilation (itself, unless it needs to look)."""
        return self

    def tabulate(self, problem: SteadyProblem, tags) -> "AbstractPreconditioner":
        """The same for one linear problem, whose operator has these lineax tags, with its tables computed
        (itself, unless tables are dear: as arguments of the compiled solve they are not merged into it).
        """
        return self

    @abc.abstractmethod
    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        """The approximate inverse of `product`, the derivative of the system's residual."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What `stats` calls it."""


class InverseLaplacian(AbstractPreconditioner):
    """`(-lap)^-1` with the grid's homogeneous conditions by fast transforms, in single precision at most.

    Spectrally equivalent to `-div(a grad u)` with the contrast of `a` as constant, whatever the grid (Concus & Golub
    1973).
    """

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        return system.preconditioner()

    @property
    def name(self) -> str:
        return "inverse Laplacian"


class Unpreconditioned(AbstractPreconditioner):
    """None: Krylov spaces of the operator itself, to compare with."""

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        return lx.IdentityLinearOperator(system.structure())

    @property
    def name(self) -> str:
        return "none"
