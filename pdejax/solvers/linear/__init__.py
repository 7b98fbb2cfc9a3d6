"""Linear solvers as lineax citizens."""

from ._cg import PCG as PCG
