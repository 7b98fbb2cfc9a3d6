import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx

from ._problem import EvolutionProblem, SteadyProblem
from ._solution import Solution


class AbstractMethod(eqx.Module):
    """A way to solve a problem. `prepare` runs once in Python, in float64 where it can; `run` is compiled."""

    @abc.abstractmethod
    def prepare(self, problem: EvolutionProblem | SteadyProblem, options: "Options") -> Any:
        """Tables that do not depend on the solution (symbols, coefficients).

        **Raises** `TypeError` for a kind of problem that the method does not solve, `ValueError` for bad settings.
        """

    @abc.abstractmethod
    def run(self, problem: EvolutionProblem | SteadyProblem, prepared: Any, options: "Options") -> Solution:
        """The solve itself."""


class Options(eqx.Module):
    """What `solve` passes on: how to differentiate, when to save, how long to go on, whom to tell."""

    adjoint: Any
    save_at: tuple[float, ...] | None = eqx.field(static=True)
    max_steps: int | None = eqx.field(static=True)
    progress: Callable[[int, int], None] | None = eqx.field(static=True, default=None)
