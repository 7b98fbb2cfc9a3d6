"""Multigrid on tensor grids, in any dimension: operators as stencils, black-box interpolation, Galerkin products."""

from ._algebraic import AlgebraicMultigrid as AlgebraicMultigrid
from ._algebraic import smoothed_aggregation as smoothed_aggregation
from ._hierarchy import Hierarchy as Hierarchy
from ._hierarchy import hierarchy as hierarchy
from ._semicoarsening import restrict as restrict
from ._semicoarsening import semicoarsen_merge as semicoarsen_merge
from ._semicoarsening import semicoarsened as semicoarsened
from ._smoothers import AbstractSmoother as AbstractSmoother
from ._smoothers import Chebyshev as Chebyshev
from ._smoothers import GaussSeidel as GaussSeidel
from ._smoothers import Jacobi as Jacobi
from ._smoothers import Line as Line
from ._stencil import Stencil as Stencil
from ._stencil import box as box
from ._stencil import probe as probe
