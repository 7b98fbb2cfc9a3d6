"""Floor 3: solvers, as citizens of the JAX ecosystem."""

import importlib
import typing

from ._adjoint import AbstractAdjoint as AbstractAdjoint
from ._adjoint import CheckpointedAdjoint as CheckpointedAdjoint
from ._adjoint import ImplicitAdjoint as ImplicitAdjoint
from ._adjoint import RecursiveAdjoint as RecursiveAdjoint
from ._adjoint import UnrolledAdjoint as UnrolledAdjoint
from ._bilevel import Hypergradient as Hypergradient
from ._bilevel import hypergradient as hypergradient
from ._bilevel import largest_curvature as largest_curvature
from ._bilevel import minimiser as minimiser
from ._continuation import Branch as Branch
from ._continuation import continuation as continuation
from ._continuation import latest as latest
from ._continuation import secant as secant
from ._eigen import Modes as Modes
from ._eigen import modes as modes
from ._fast_transform import FastTransform as FastTransform
from ._fixed_point import fixed_point as fixed_point
from ._fixed_point_adjoint import NeumannAdjoint as NeumannAdjoint
from ._fixed_point_adjoint import PhantomAdjoint as PhantomAdjoint
from ._fixed_point_adjoint import ReversibleAdjoint as ReversibleAdjoint
from ._fixed_point_adjoint import SharedAdjoint as SharedAdjoint
from ._flow_preconditioner import LineElimination as LineElimination
from ._flow_preconditioner import StokesBlocks as StokesBlocks
from ._krylov import GMRES as GMRES
from ._krylov import ConjugateGradient as ConjugateGradient
from ._krylov import Krylov as Krylov
from ._krylov import MinimalResidual as MinimalResidual
from ._krylov import MultigridCG as MultigridCG
from ._memory import MemoryEstimate as MemoryEstimate
from ._memory import memory_estimate as memory_estimate
from ._method import AbstractMethod as AbstractMethod
from ._multigrid import Multigrid as Multigrid
from ._preconditioner import AbstractPreconditioner as AbstractPreconditioner
from ._preconditioner import InverseLaplacian as InverseLaplacian
from ._preconditioner import Unpreconditioned as Unpreconditioned
from ._problem import EvolutionProblem as EvolutionProblem
from ._problem import SteadyProblem as SteadyProblem
from ._resolution import sufficient_grid as sufficient_grid
from ._sequence import solve_sequence as solve_sequence
from ._sequence import sort_by_parameters as sort_by_parameters
from ._solution import RESULTS as RESULTS
from ._solution import Solution as Solution
from ._solution import SolveError as SolveError
from ._solution import Stats as Stats
from ._solve import solve as solve
from .linear import FGMRES as FGMRES
from .linear import MINRES as MINRES
from .linear import PCG as PCG
from .linear import SOR as SOR
from .linear import SSOR as SSOR
from .linear import BlockCG as BlockCG
from .linear import DeflatedCG as DeflatedCG
from .linear import FlexibleCG as FlexibleCG
from .linear import IncompleteCholesky as IncompleteCholesky
from .linear import Preconditioned as Preconditioned
from .linear import SparseMatrix as SparseMatrix
from .nonlinear import AbstractFixedPoint as AbstractFixedPoint
from .nonlinear import AbstractForcing as AbstractForcing
from .nonlinear import AbstractGlobalisation as AbstractGlobalisation
from .nonlinear import AbstractMirror as AbstractMirror
from .nonlinear import Anderson as Anderson
from .nonlinear import Broyden as Broyden
from .nonlinear import ConstantForcing as ConstantForcing
from .nonlinear import Damped as Damped
from .nonlinear import Dogleg as Dogleg
from .nonlinear import EnergySearch as EnergySearch
from .nonlinear import Entropic as Entropic
from .nonlinear import Euclidean as Euclidean
from .nonlinear import FullApproximation as FullApproximation
from .nonlinear import FullStep as FullStep
from .nonlinear import Halpern as Halpern
from .nonlinear import InexactNewton as InexactNewton
from .nonlinear import LineSearch as LineSearch
from .nonlinear import ModalAverage as ModalAverage
from .nonlinear import ModelForcing as ModelForcing
from .nonlinear import Neumann as Neumann
from .nonlinear import Newton as Newton
from .nonlinear import NewtonKrylov as NewtonKrylov
from .nonlinear import Picard as Picard
from .nonlinear import PseudoTransient as PseudoTransient
from .nonlinear import RatioForcing as RatioForcing
from .nonlinear import Reversible as Reversible
from .nonlinear import SobolevDescent as SobolevDescent
from .nonlinear import Stationary as Stationary
from .nonlinear import TrustRegion as TrustRegion
from .nonlinear import variance_reduced_halpern as variance_reduced_halpern
from .oscillatory import WKBResults as WKBResults
from .oscillatory import WKBSolution as WKBSolution
from .oscillatory import wkb as wkb
from .time import ARS222 as ARS222
from .time import ARS443 as ARS443
from .time import CNAB2 as CNAB2
from .time import ESDIRK4 as ESDIRK4
from .time import ETDRK1 as ETDRK1
from .time import ETDRK2 as ETDRK2
from .time import ETDRK3 as ETDRK3
from .time import ETDRK4 as ETDRK4
from .time import IFRK4 as IFRK4
from .time import RK4 as RK4
from .time import SBDF1 as SBDF1
from .time import SBDF2 as SBDF2
from .time import SBDF3 as SBDF3
from .time import SBDF4 as SBDF4
from .time import SDIRK2 as SDIRK2
from .time import SDIRK3 as SDIRK3
from .time import SSPRK2 as SSPRK2
from .time import SSPRK3 as SSPRK3
from .time import SSPRK4 as SSPRK4
from .time import TASE as TASE
from .time import ExponentialAdamsBashforth as ExponentialAdamsBashforth
from .time import Krogstad4 as Krogstad4
from .time import SinglyTASE as SinglyTASE
from .time import Strang as Strang
from .time import Symplectic as Symplectic
from .time import Theta as Theta
from .time import mild_image as mild_image
from .time import stable_dt as stable_dt
from .time.parallel import ParallelInTime as ParallelInTime
from .volume import HLL as HLL
from .volume import HLLC as HLLC
from .volume import MUSCL as MUSCL
from .volume import WENO5 as WENO5
from .volume import AbstractFlux as AbstractFlux
from .volume import AbstractIntegrator as AbstractIntegrator
from .volume import AbstractLimiter as AbstractLimiter
from .volume import AbstractReconstruction as AbstractReconstruction
from .volume import FiniteVolume as FiniteVolume
from .volume import FirstOrder as FirstOrder
from .volume import Hancock as Hancock
from .volume import Minmod as Minmod
from .volume import MonotonisedCentral as MonotonisedCentral
from .volume import Roe as Roe
from .volume import Rusanov as Rusanov
from .volume import ShuOsher as ShuOsher
from .volume import States as States
from .volume import Superbee as Superbee
from .volume import VanLeer as VanLeer
from .volume import cfl_dt as cfl_dt
from .volume import cfl_number as cfl_number

if typing.TYPE_CHECKING:
    from .time._adaptive import Adaptive as Adaptive


def __getattr__(name: str) -> typing.Any:
    # diffrax takes as long to import as everything else here, and only this stepper needs it.
    if name == "Adaptive":
        return importlib.import_module(".time._adaptive", __name__).Adaptive
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), "Adaptive"))
