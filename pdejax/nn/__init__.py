"""Floor 4: layers with two users or more."""

from ._checks import check_channels as check_channels
from ._checks import check_ndim as check_ndim
from ._coordinates import coordinates as coordinates
from ._coordinates import envelope as envelope
from ._coordinates import hidden_grid as hidden_grid
from ._fixed_point import FixedPoint as FixedPoint
from ._normaliser import Normalised as Normalised
from ._normaliser import Normaliser as Normaliser
from ._normaliser import trainable as trainable
from ._pointwise import Pointwise as Pointwise
from ._spectral import SpectralConv as SpectralConv
from ._symmetrised import Symmetrised as Symmetrised
