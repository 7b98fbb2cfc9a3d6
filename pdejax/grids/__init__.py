"""Floor 0: named axes, their bases and transforms, and the tensor grids made of them."""

from ._axis import AbstractAxis as AbstractAxis
from ._axis import along as along
from ._axis import apply_matrix as apply_matrix
from ._axis import scale as scale
from ._boundary import AbstractBoundary as AbstractBoundary
from ._boundary import Dirichlet as Dirichlet
from ._boundary import Free as Free
from ._boundary import Held as Held
from ._boundary import Neumann as Neumann
from ._boundary import Outflow as Outflow
from ._boundary import Periodic as Periodic
from ._boundary import Reflecting as Reflecting
from ._boundary import Robin as Robin
from ._chebyshev import Chebyshev as Chebyshev
from ._fourier import Fourier as Fourier
from ._grid import Grid as Grid
from ._second_derivative import DenseModes as DenseModes
from ._second_derivative import second_derivative_modes as second_derivative_modes
from ._stencil import finite_difference_weights as finite_difference_weights
from ._trigonometric import Cosine as Cosine
from ._trigonometric import Sine as Sine
from ._uniform import Uniform as Uniform
from ._uniform import arithmetic_mean as arithmetic_mean
from ._uniform import harmonic_mean as harmonic_mean
