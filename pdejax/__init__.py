"""pdejax: differentiable PDE solving in JAX.

Write an equation once, as in a textbook; solve it by a classical method, by a learned one, or by both together; always
get back a solution with its measured error and an exact gradient.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import calculus as calculus
    from . import data as data
    from . import equations as equations
    from . import fields as fields
    from . import grids as grids
    from . import nn as nn
    from . import objectives as objectives
    from . import operators as operators
    from . import solvers as solvers
    from . import training as training
    from . import verify as verify
    from .fields import FunctionField as FunctionField
    from .fields import GridField as GridField
    from .fields import stack as stack
    from .grids import Chebyshev as Chebyshev
    from .grids import Cosine as Cosine
    from .grids import Dirichlet as Dirichlet
    from .grids import Fourier as Fourier
    from .grids import Free as Free
    from .grids import Grid as Grid
    from .grids import Neumann as Neumann
    from .grids import Outflow as Outflow
    from .grids import Periodic as Periodic
    from .grids import Reflecting as Reflecting
    from .grids import Robin as Robin
    from .grids import Sine as Sine
    from .grids import Uniform as Uniform
    from .solvers import EvolutionProblem as EvolutionProblem
    from .solvers import Solution as Solution
    from .solvers import SteadyProblem as SteadyProblem
    from .solvers import solve as solve

# Loaded on first use, so that importing pdejax costs little more than importing jax and equinox.
_PACKAGES = (
    "calculus",
    "data",
    "equations",
    "fields",
    "grids",
    "nn",
    "objectives",
    "operators",
    "solvers",
    "training",
    "verify",
)
_HOME = {
    **dict.fromkeys(("Grid", "Fourier", "Sine", "Cosine", "Chebyshev", "Uniform"), "grids"),
    **dict.fromkeys(("Dirichlet", "Neumann", "Periodic", "Robin", "Free", "Outflow", "Reflecting"), "grids"),
    **dict.fromkeys(("GridField", "FunctionField", "stack"), "fields"),
    **dict.fromkeys(("EvolutionProblem", "SteadyProblem", "Solution", "solve"), "solvers"),
}


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"pdejax has no attribute {name!r}; it has {', '.join(sorted((*_PACKAGES, *_HOME)))}.")


def __dir__() -> list[str]:
    return sorted((*globals(), *_PACKAGES, *_HOME))
