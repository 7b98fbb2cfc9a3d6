import abc
from collections.abc import Callable

import equinox as eqx
import jax


class AbstractAdjoint(eqx.Module):
    """How the gradient of a time stepping is computed."""

    @abc.abstractmethod
    def wrap(self, step: Callable) -> Callable:
        """The step as reverse mode shall see it."""


class CheckpointedAdjoint(AbstractAdjoint):
    """Keep the state of each step and redo the step backwards: least work on CPU and little memory (the default)."""

    def wrap(self, step: Callable) -> Callable:
        return jax.checkpoint(step)


class UnrolledAdjoint(AbstractAdjoint):
    """Keep every intermediate of every step."""

    def wrap(self, step: Callable) -> Callable:
        return step
