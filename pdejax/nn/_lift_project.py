import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import coordinates, envelope, hidden_grid
from ._feed_forward import FeedForward
from ._pointwise import Pointwise

PROJECTION = 128


class LiftProject(eqx.Module):
    """The pointwise maps around the hidden fields of a Fourier neural operator: `lift` into them, `project` out again.

    `lift(a) = P(s a, x)` on `nn.hidden_grid`, with the coordinates `x` and the envelope `s` of `nn.envelope`;
    `project(v, a) = s Q(v)` on the grid of `a`, `Q` being `width -> 128`, gelu, `128 -> out`. Results therefore vanish
    on the ends of `Sine` axes, whatever happens in between.

    **Shapes:** field `(in_channels, *n)` to `(width, *n)`; `(width, *n)` to `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Li et al. 2021, Fourier neural operator.
    """

    outer: Pointwise
    inner: FeedForward
    in_channels: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)
    padding: float = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        ndim: int,
        *,
        padding: float = 0.0,
        key: PRNGKeyArray,
    ):
        check_counts("the operator", in_channels=in_channels, out_channels=out_channels, width=width)
        a, b = jax.random.split(key)
        self.in_channels, self.ndim, self.padding = in_channels, ndim, float(padding)
        self.outer = Pointwise(in_channels + ndim, width, key=a)
        self.inner = FeedForward(width, out_channels, PROJECTION, key=b)

    def lift(self, a: GridField) -> GridField:
        """The input as a hidden field."""
        check_ndim("the operator", self.ndim, a.grid)
        check_channels("the operator", self.in_channels, a)
        grid, s = hidden_grid(a.grid, self.padding), jnp.asarray(envelope(a.grid), a.dtype)
        x = coordinates(grid, self.padding)
        x = jnp.asarray(np.concatenate([x, np.ones((1, *grid.shape))]), a.dtype)
        return GridField(self.outer.on_homogeneous(jnp.concatenate([s * a.values, x])), grid)

    def project(self, v: GridField, a: GridField) -> GridField:
        """The hidden field as an output on the grid of `a`."""
        s = jnp.asarray(envelope(a.grid), a.dtype)
        return a.with_values(s * self.inner.on_values(v.values))
