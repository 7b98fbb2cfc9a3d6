"""Floor 3: solvers, as citizens of the JAX ecosystem."""

from ._adjoint import AbstractAdjoint as AbstractAdjoint
from ._adjoint import CheckpointedAdjoint as CheckpointedAdjoint
from ._adjoint import UnrolledAdjoint as UnrolledAdjoint
from ._fast_transform import FastTransform as FastTransform
from ._krylov import GMRES as GMRES
from ._krylov import ConjugateGradient as ConjugateGradient
from ._method import AbstractMethod as AbstractMethod
from ._newton import Newton as Newton
from ._problem import EvolutionProblem as EvolutionProblem
from ._problem import SteadyProblem as SteadyProblem
from ._solution import RESULTS as RESULTS
from ._solution import Solution as Solution
from ._solution import SolveError as SolveError
from ._solution import Stats as Stats
from ._solve import solve as solve
from .linear import PCG as PCG
from .time import ETDRK4 as ETDRK4
from .time import RK4 as RK4
