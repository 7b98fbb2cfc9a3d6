"""Floor 4: layers with two users or more."""

from ._checks import check_channels as check_channels
from ._checks import check_ndim as check_ndim
from ._contraction import Contraction as Contraction
from ._contraction import contraction as contraction
from ._coordinates import coordinates as coordinates
from ._coordinates import envelope as envelope
from ._coordinates import hidden_grid as hidden_grid
from ._diagnose import Diagnosis as Diagnosis
from ._diagnose import diagnose as diagnose
from ._fixed_point import FixedPoint as FixedPoint
from ._jacobian_penalty import jacobian_penalty as jacobian_penalty
from ._lipschitz import SpectralNorm as SpectralNorm
from ._lipschitz import lipschitz_bound as lipschitz_bound
from ._monotone import Monotone as Monotone
from ._normaliser import Normalised as Normalised
from ._normaliser import Normaliser as Normaliser
from ._normaliser import trainable as trainable
from ._pointwise import Pointwise as Pointwise
from ._spectral import SpectralConv as SpectralConv
from ._subhomogeneous import Subhomogeneous as Subhomogeneous
from ._subhomogeneous import subhomogeneity as subhomogeneity
from ._symmetrised import Symmetrised as Symmetrised
