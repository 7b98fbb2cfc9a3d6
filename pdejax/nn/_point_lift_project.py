import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..grids import Grid
from ._checks import check_counts, check_ndim
from ._embeddings import BasisFeatures
from ._feed_forward import FeedForward
from ._lift_project import PROJECTION
from ._pointwise import Pointwise


class PointLiftProject(eqx.Module):
    """The pointwise maps around hidden values at points that need not be a grid, as `LiftProject` is around fields.

    `lift` is `P(a, x)` with `nn.BasisFeatures` of the points, `project` is `width -> 128`, gelu, `128 -> out`.

    **Shapes:** values `(in_channels, n)` at points `(n, ndim)` to `(width, n)`; `(width, n)` to `(out_channels, n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Li et al. 2021, Fourier neural operator.
    """

    outer: Pointwise
    inner: FeedForward
    in_channels: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, width: int, ndim: int, *, key: PRNGKeyArray):
        check_counts("the operator", in_channels=in_channels, out_channels=out_channels, width=width, ndim=ndim)
        a, b = jax.random.split(key)
        self.in_channels, self.ndim = in_channels, ndim
        self.outer = Pointwise(in_channels + BasisFeatures().size(ndim), width, key=a)
        self.inner = FeedForward(width, out_channels, PROJECTION, key=b)

    def lift(self, a: Float[Array, "in n"], points: Array | np.ndarray, domain: Grid) -> Float[Array, "width n"]:
        """The input as hidden values; `domain` is a grid whose axes contain the points."""
        check_ndim("the operator", self.ndim, domain)
        if a.shape != (self.in_channels, len(points)):
            raise ValueError(
                f"the operator was built with in_channels={self.in_channels} and got values of shape {a.shape} at "
                f"{len(points)} points; give values (channels, points), or write in_channels={a.shape[0]}."
            )
        return self.outer.on_values(jnp.concatenate([a, BasisFeatures()(points, domain).astype(a.dtype).T]))

    def project(self, v: Float[Array, "width n"]) -> Float[Array, "out n"]:
        """The hidden values as an output."""
        return self.inner.on_values(v)
