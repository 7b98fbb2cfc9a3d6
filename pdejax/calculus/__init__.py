"""Floor 1: what can be done to fields. The same functions act on grid fields and on function fields."""

from ..grids import arithmetic_mean as arithmetic_mean
from ..grids import harmonic_mean as harmonic_mean
from ._differential import advect as advect
from ._differential import cross_derivative as cross_derivative
from ._differential import curl as curl
from ._differential import d as d
from ._differential import diffuse as diffuse
from ._differential import div as div
from ._differential import grad as grad
from ._differential import laplacian as laplacian
from ._differential import upwind as upwind
from ._fractional import fractional_laplacian as fractional_laplacian
from ._hilbert import hilbert as hilbert
from ._integral import Functional as Functional
from ._integral import functional_derivative as functional_derivative
from ._integral import inner as inner
from ._integral import integrate as integrate
from ._integral import norm as norm
from ._inverse import inverse_laplacian as inverse_laplacian
from ._projection import project as project
from ._shift import shift as shift
from ._staggered import StaggeredFlow as StaggeredFlow
from ._variation import discrete_energy as discrete_energy
from ._variation import first_variation as first_variation
from ._variation import second_variation as second_variation
