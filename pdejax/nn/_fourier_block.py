import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import coordinates, envelope, hidden_grid
from ._feed_forward import FeedForward
from ._gelu import gelu
from ._pointwise import Pointwise
from ._spectral import SpectralConv

PROJECTION = 128


class FourierBlock(eqx.Module):
    """Fourier layer that can be applied again and again: `B(v, w) = gelu(K v + W v + V w + b)`, `w` injected each time.

    `K` is a `SpectralConv`, `W` and `V` are `Pointwise`. Fields with pointwise functions belong on `nn.hidden_grid`.

    **Shapes:** fields `v`, `w` `(width, *n)` to a field `(width, *n)`.

    **Raises** what `SpectralConv` and `Pointwise` raise.

    Source: the layer of Li et al. 2021, eq. (2), with the input injection of Bai, Kolter & Koltun 2019.
    """

    spectral: SpectralConv
    local: Pointwise
    inject: Pointwise

    def __init__(self, width: int, modes, ndim: int, *, padding: float = 0.0, key: PRNGKeyArray):
        a, b, c = jax.random.split(key, 3)
        self.spectral = SpectralConv(width, width, modes, ndim, padding=padding, key=a)
        self.local = Pointwise(width, width, key=b)
        self.inject = Pointwise(width, width, key=c)

    def __call__(self, v: GridField, w: GridField) -> GridField:
        return v.with_values(gelu((self.spectral(v) + self.local(v) + self.inject(w)).values))


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
