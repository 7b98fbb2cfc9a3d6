"""Bytes that a solve will need, asked of the compiler."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._method import AbstractMethod
from ._problem import EvolutionProblem, SteadyProblem
from ._solve import solve

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of a solve: of its `solution`, of its working memory, and of that of the gradient.

    The gradient is that of one number of the solution with respect to the initial field (steady problems: the data of
    the equation).
    """

    solution: int
    temporaries: int
    gradient_temporaries: int

    def __str__(self) -> str:
        parts = {"solution": self.solution, "solve": self.temporaries, "gradient": self.gradient_temporaries}
        return ", ".join(f"{name} {_readable(size)}" for name, size in parts.items())


def memory_estimate(
    problem: EvolutionProblem | SteadyProblem, method: AbstractMethod | None = None, **options
) -> MemoryEstimate:
    """The memory that `solve(problem, method, **options)` and its gradient will need on the present device.

    Both are compiled and not run, which takes as long as their first calls take to compile; the figures are the
    compiler's own. Take `adjoint=CheckpointedAdjoint(levels=2)` and the like to see what they save.

    **Raises** what `solve` raises for arguments that do not fit.
    """
    varied, rest = eqx.partition(problem, _varied(problem))

    def value(varied) -> Array:
        return solve(eqx.combine(varied, rest), method, **{**options, "throw": False}).value.data

    def number(varied) -> Array:
        out = value(varied)
        return jnp.sum(out.real**2 + out.imag**2)

    forward, backward = (_analysis(fn, varied) for fn in (value, jax.value_and_grad(number)))
    return MemoryEstimate(forward.output_size_in_bytes, forward.temp_size_in_bytes, backward.temp_size_in_bytes)


def _varied(problem: EvolutionProblem | SteadyProblem):
    """Which leaves of the problem the gradient is taken with respect to."""
    nothing = jax.tree.map(lambda _: False, problem)
    part = (lambda p: p.u0.data) if isinstance(problem, EvolutionProblem) else (lambda p: p.equation)
    return eqx.tree_at(part, nothing, replace_fn=lambda _: jax.tree.map(eqx.is_inexact_array, part(problem)))


def _analysis(fn: Callable, varied):
    # Compiled in the dtypes of the data, without touching the data.
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), varied)
    return jax.jit(fn).lower(shapes).compile().memory_analysis()


def _readable(size: int) -> str:
    number, power = float(size), 0
    while number >= 1024 and power < len(_UNITS) - 1:
        number, power = number / 1024, power + 1
    return f"{number:.3g} {_UNITS[power]}"
