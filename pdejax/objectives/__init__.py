"""Floor 5: losses. They take fields, equations and models as callables; none imports a model."""

from ._combined import FrameMean as FrameMean
from ._combined import WeightedSum as WeightedSum
from ._errors import RelativeSobolev as RelativeSobolev
from ._errors import RelativeWaveH1 as RelativeWaveH1
from ._errors import mean_square as mean_square
from ._errors import mean_squared_error as mean_squared_error
from ._errors import relative_h1 as relative_h1
from ._errors import relative_l2 as relative_l2
from ._errors import spectrum_error as spectrum_error
from ._frame_residual import FrameResidual as FrameResidual
from ._marched_residual import MarchedResidual as MarchedResidual
from ._mild_residual import MildResidual as MildResidual
from ._on_grid import OnGrid as OnGrid
from ._residual import mean_squared_residual as mean_squared_residual
from ._residual import residual_loss as residual_loss
from ._spectral_residual import SobolevSquare as SobolevSquare
from ._spectral_residual import SpectralResidual as SpectralResidual
from ._spectral_residual import coefficient_squares as coefficient_squares
from ._time_mean import TimeMean as TimeMean
