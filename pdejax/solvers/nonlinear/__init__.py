"""Newton-Krylov methods, what makes them converge from afar."""

from ._damped import Damped as Damped
from ._forcing import AbstractForcing as AbstractForcing
from ._forcing import ConstantForcing as ConstantForcing
from ._forcing import ModelForcing as ModelForcing
from ._forcing import RatioForcing as RatioForcing
from ._full_approximation import FullApproximation as FullApproximation
from ._globalisation import AbstractGlobalisation as AbstractGlobalisation
from ._globalisation import EnergySearch as EnergySearch
from ._globalisation import FullStep as FullStep
from ._globalisation import LineSearch as LineSearch
from ._inexact_newton import InexactNewton as InexactNewton
from ._modal_average import ModalAverage as ModalAverage
from ._newton_krylov import Newton as Newton
from ._newton_krylov import NewtonKrylov as NewtonKrylov
from ._pseudo_transient import PseudoTransient as PseudoTransient
from ._sobolev import SobolevDescent as SobolevDescent
from ._trust_region import Dogleg as Dogleg
from ._trust_region import TrustRegion as TrustRegion
