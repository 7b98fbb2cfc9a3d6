"""Floor 4: layers with two users or more."""

import importlib
import typing

from ._at_resolution import AtResolution as AtResolution
from ._attention import AbstractAttention as AbstractAttention
from ._attention import FourierAttention as FourierAttention
from ._attention import GalerkinAttention as GalerkinAttention
from ._attention import LinearAttention as LinearAttention
from ._attention import SoftmaxAttention as SoftmaxAttention
from ._axial_attention import AbstractContraction as AbstractContraction
from ._axial_attention import AxialAttention as AxialAttention
from ._axial_attention import Chained as Chained
from ._axial_attention import Parallel as Parallel
from ._checks import check_channels as check_channels
from ._checks import check_counts as check_counts
from ._checks import check_ndim as check_ndim
from ._checks import per_axis as per_axis
from ._continued import check_levels as check_levels
from ._continued import halved as halved
from ._contracting_modes import ContractingModes as ContractingModes
from ._contraction import Contraction as Contraction
from ._contraction import contraction as contraction
from ._contractive_block import ContractiveBlock as ContractiveBlock
from ._convolution import Convolution as Convolution
from ._coordinates import coordinates as coordinates
from ._coordinates import envelope as envelope
from ._coordinates import hidden_grid as hidden_grid
from ._coupling import AffineCoupling as AffineCoupling
from ._coupling import CouplingNetwork as CouplingNetwork
from ._diagnose import Diagnosis as Diagnosis
from ._diagnose import diagnose as diagnose
from ._dynamic_filter import DynamicFilter as DynamicFilter
from ._embeddings import BasisFeatures as BasisFeatures
from ._embeddings import FourierFeatures as FourierFeatures
from ._embeddings import Sensors as Sensors
from ._embeddings import Siren as Siren
from ._embeddings import envelope_at as envelope_at
from ._embeddings import nodes as nodes
from ._feed_forward import FeedForward as FeedForward
from ._fixed_point import FixedPoint as FixedPoint
from ._fourier_block import FourierBlock as FourierBlock
from ._fourier_layer import FourierLayer as FourierLayer
from ._frozen import Frozen as Frozen
from ._gelu import gelu as gelu
from ._graph import Graph as Graph
from ._graph import GraphNetwork as GraphNetwork
from ._idempotent import IdempotentLosses as IdempotentLosses
from ._idempotent import Projection as Projection
from ._in_space_time import InSpaceTime as InSpaceTime
from ._interpolated import interpolated as interpolated
from ._jacobian_penalty import jacobian_penalty as jacobian_penalty
from ._kernel_integral import KernelIntegral as KernelIntegral
from ._latent_spectral import LatentSpectral as LatentSpectral
from ._lengthened import lengthened as lengthened
from ._lift_project import LiftProject as LiftProject
from ._linearizer import Linearizer as Linearizer
from ._lipschitz import SpectralNorm as SpectralNorm
from ._lipschitz import lipschitz_bound as lipschitz_bound
from ._low_rank_integral import LowRankIntegral as LowRankIntegral
from ._mg_conv import MgConv as MgConv
from ._mode_weights import CPModes as CPModes
from ._mode_weights import TuckerModes as TuckerModes
from ._mode_weights import dense_modes as dense_modes
from ._mode_weights import depthwise_modes as depthwise_modes
from ._modified_perceptron import ModifiedPerceptron as ModifiedPerceptron
from ._monotone import Monotone as Monotone
from ._multi_head import MultiHead as MultiHead
from ._multi_head import Tokens as Tokens
from ._normaliser import Normalised as Normalised
from ._normaliser import Normaliser as Normaliser
from ._normaliser import trainable as trainable
from ._norms import InstanceNorm as InstanceNorm
from ._norms import LayerNorm as LayerNorm
from ._perceptron import Perceptron as Perceptron
from ._pinned import Pinned as Pinned
from ._point_lift_project import PointLiftProject as PointLiftProject
from ._pointwise import Pointwise as Pointwise
from ._positions import PositionCode as PositionCode
from ._positions import positions as positions
from ._precision import InPrecision as InPrecision
from ._radius_graph import RadiusGraph as RadiusGraph
from ._radius_graph import radius_graph as radius_graph
from ._resampled import resampled as resampled
from ._residual import Residual as Residual
from ._rotary import rotated as rotated
from ._scaled_convolution import ScaledConvolution as ScaledConvolution
from ._series_in_time import SeriesInTime as SeriesInTime
from ._spectral import SpectralConv as SpectralConv
from ._spectral_source import SpectralSource as SpectralSource
from ._subhomogeneous import Subhomogeneous as Subhomogeneous
from ._subhomogeneous import subhomogeneity as subhomogeneity
from ._symmetrised import BoxImage as BoxImage
from ._symmetrised import FarEnds as FarEnds
from ._symmetrised import Symmetrised as Symmetrised
from ._symmetrised import box_images as box_images
from ._symmetrised import exchanges as exchanges
from ._voronoi_weights import voronoi_weights as voronoi_weights

if typing.TYPE_CHECKING:
    from ._flax import FromLinen as FromLinen
    from ._flax import FromNNX as FromNNX


def __getattr__(name: str) -> typing.Any:
    # Loaded on first use: who has no flax module need not wait for flax.
    if name in ("FromLinen", "FromNNX"):
        return getattr(importlib.import_module("._flax", __name__), name)
    raise AttributeError(f"pdejax.nn has no attribute {name!r}.")
