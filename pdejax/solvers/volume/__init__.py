"""Finite volumes for conservation laws."""

from ._cfl import cfl_dt as cfl_dt
from ._cfl import cfl_number as cfl_number
from ._finite_volume import FiniteVolume as FiniteVolume
from ._fluxes import HLL as HLL
from ._fluxes import HLLC as HLLC
from ._fluxes import AbstractFlux as AbstractFlux
from ._fluxes import Roe as Roe
from ._fluxes import Rusanov as Rusanov
from ._integrators import AbstractIntegrator as AbstractIntegrator
from ._integrators import Hancock as Hancock
from ._integrators import ShuOsher as ShuOsher
from ._limiters import AbstractLimiter as AbstractLimiter
from ._limiters import Minmod as Minmod
from ._limiters import MonotonisedCentral as MonotonisedCentral
from ._limiters import Superbee as Superbee
from ._limiters import VanLeer as VanLeer
from ._reconstruction import MUSCL as MUSCL
from ._reconstruction import WENO5 as WENO5
from ._reconstruction import AbstractReconstruction as AbstractReconstruction
from ._reconstruction import FirstOrder as FirstOrder
from ._states import States as States
