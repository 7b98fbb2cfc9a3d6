import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Fourier, Grid
from ..nn import (
    FeedForward,
    Pointwise,
    SpectralConv,
    SpectralSource,
    check_channels,
    check_counts,
    check_ndim,
    coordinates,
    envelope,
    gelu,
    hidden_grid,
)

_HIDDEN, _GROWTH = 128, 0.1


class SpatiotemporalFNO(eqx.Module):
    """Spatiotemporal Fourier neural operator: frames in, later frames out, by convolutions in space and time at once.

    The frames `a_1 .. a_T` are one function of space and time. It is lifted point by point and an encoding of space and
    time added (the coordinates, and `exp(t / 10)` times sines of `t`); the first of `depth` spectral convolutions in
    space-time takes it to `latent` steps. Layers are `v <- gelu(F(K v) + W v)` with a `FeedForward` F. At the end the
    channels are reduced to one, the last frame is put in front, and a spectral convolution with a source of its own
    (`nn.SpectralSource`) takes the series, continued by zeros, to the wanted number of frames, which are added to the
    last one. No array depends on the numbers of frames: `model.on_frames(frames, grid, steps)`.

    **Arguments:** `in_channels`, `out_channels`: numbers of frames of one quantity; `modes`: per space axis, then in
    time; `latent` steps, at least twice the modes in time.

    **Shapes:** field `(in_channels, *n)`, oldest frame first, to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid or series with too few nodes: frames, too,
    need to be twice the modes in time.

    Source: Cao, Brarda, Li & Xi 2025, Spectral-refiner: accurate fine-tuning of spatiotemporal Fourier neural operator;
    9,250,333 parameters with modes (12, 12, 5), width 20, depth 4 as printed in the authors' notebooks. Deviations:
    smooth coordinates and the sine envelope of `FNO`.
    """

    lift: Pointwise
    layers: tuple["_Layer", ...]
    reduce: Pointwise
    last: SpectralConv
    source: SpectralSource
    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    latent: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        latent: int = 10,
        key: PRNGKeyArray,
    ):
        counts = {"in_channels": in_channels, "out_channels": out_channels, "width": width, "latent": latent}
        check_counts("SpatiotemporalFNO", **counts, depth=depth)
        a, b, c, d = jax.random.split(key, 4)
        self.in_channels, self.out_channels, self.latent = in_channels, out_channels, latent
        self.lift = Pointwise(1, width, key=a)
        self.layers = tuple(_Layer(width, modes, ndim + 1, key=k) for k in jax.random.split(b, depth))
        self.reduce = Pointwise(width, 1, key=c)
        self.last = SpectralConv(1, 1, modes, ndim + 1, key=d)
        self.source = SpectralSource(1, modes, ndim + 1)

    def __call__(self, a: GridField) -> GridField:
        check_ndim("SpatiotemporalFNO", len(self.last.modes) - 1, a.grid)
        check_channels("SpatiotemporalFNO", self.in_channels, a)
        return a.with_values(self.on_frames(a.values, a.grid, self.out_channels))

    def on_frames(self, frames: Array, grid: Grid, steps: int) -> Array:
        """The `steps` frames after those given, `(frames, *n)` to `(steps, *n)`, on a grid of space axes."""
        return self.output(self.series(frames, grid), frames, grid, steps)

    def series(self, frames: Array, grid: Grid) -> Array:
        """What the output layer is given, `(1, *n, times)`: all that fine-tuning of that layer needs to know."""
        s = jnp.asarray(envelope(grid), frames.dtype)
        inside = jnp.moveaxis(s * frames, 0, -1)[None]
        before, latent = _with_time(grid, frames.shape[0]), _with_time(grid, self.latent)
        v = self.lift.on_values(inside) + jnp.asarray(_encoding(before, self.lift.bias.shape[0]), frames.dtype)
        for layer in self.layers:
            v, before = layer(v, before, latent), latent
        series = jnp.concatenate([inside[..., -1:], self.reduce.on_values(v)], axis=-1)
        # Continued by as many zeros, so that the last step does not wrap around to the first one.
        return jnp.pad(series, [(0, 0)] * (series.ndim - 1) + [(0, series.shape[-1])])

    def output(self, series: Array, frames: Array, grid: Grid, steps: int) -> Array:
        """The frames `(steps, *n)` that the output layer makes of its series."""
        s, twice = jnp.asarray(envelope(grid), frames.dtype), _with_time(grid, 2 * steps)
        out = self.last.on_values(series, _with_time(grid, series.shape[-1]), twice)
        out = out + self.source.on_grid(twice, frames.dtype)
        # Zero at the ends of sine axes to the last bit, as the change is.
        last = jnp.where(s == 0, 0, frames[-1:])
        return last + s * jnp.moveaxis(out[0, ..., :steps], -1, 0)

    def with_output_modes(self, modes: tuple[int, ...]) -> "SpatiotemporalFNO":
        """The same operator on `Fourier` axes with more modes in its output layer, to be fine-tuned.

        **Raises** `ValueError` for fewer modes.
        """
        more = (self.last.with_modes(modes), self.source.with_modes(modes))
        return eqx.tree_at(lambda model: (model.last, model.source), self, more)


class _Layer(eqx.Module):
    spectral: SpectralConv
    feed: FeedForward
    local: Pointwise

    def __init__(self, width: int, modes, ndim: int, *, key: PRNGKeyArray):
        a, b, c = jax.random.split(key, 3)
        self.spectral = SpectralConv(width, width, modes, ndim, key=a)
        self.feed = FeedForward(width, width, _HIDDEN, key=b)
        self.local = Pointwise(width, width, key=c)

    def __call__(self, v: Array, grid: Grid, onto: Grid) -> Array:
        change = self.feed.on_values(self.spectral.on_values(v, grid, onto))
        # Where the steps change, what goes past the convolution is the newest one.
        near = v if onto.shape == grid.shape else jnp.broadcast_to(v[..., -1:], (*v.shape[:-1], onto.shape[-1]))
        return gelu(change + self.local.on_values(near))


def _with_time(grid: Grid, steps: int) -> Grid:
    """Space and time, on which hidden fields live; a series is one period of its time axis."""
    axes = dict(zip(grid.names, hidden_grid(grid).axes, strict=True))
    return Grid(**axes, t=Fourier(steps, length=1.0))


def _encoding(grid: Grid, width: int) -> np.ndarray:
    """`width` channels: one per axis, then `exp(t / 10) sin(pi k t)`, float64 `(width, *n)`."""
    t = grid.axes[-1].points
    waves = [np.exp(_GROWTH * t) * np.sin(np.pi * k * t) for k in range(1, width + 1)]
    rows = [*coordinates(grid, 0.0), *(np.broadcast_to(wave, grid.shape) for wave in waves)]
    return np.stack(rows[:width])
