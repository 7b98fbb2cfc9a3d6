import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import AbstractAxis, Cosine, Fourier, Grid, Sine, Uniform
from ._attention import precise
from ._checks import check_channels, check_counts, check_ndim, per_axis
from ._frozen import Frozen
from ._perceptron import Perceptron


class BasisFeatures(eqx.Module):
    """Smooth coordinates of points: along each axis of a domain the first waves of its basis but the constant.

    With `s = (x - start) / length`: `cos 2 pi k s`, `sin 2 pi k s`, `k = 1 .. harmonics`, on periodic axes;
    `cos pi k s`, `k = 1 .. 2 harmonics`, on `Sine` and `Cosine` axes; Chebyshev polynomials `T_k(2 s - 1)` of the same
    `k` on others. They tell all points of an axis apart, and smooth functions of them lie in the space of the hidden
    fields (`nn.hidden_grid`). Only the axes of the grid count, not its nodes.

    **Shapes:** points `(n, d)` to `(n, 2 harmonics d)`, as many for every kind of axis.

    Source: with two harmonics the periodic trunk features of Lu, Meng et al. 2022, A comprehensive and fair comparison
    of two neural operators; the other axes are ours.
    """

    harmonics: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_counts("BasisFeatures", harmonics=self.harmonics)

    def size(self, ndim: int) -> int:
        """Number of features of a point in `ndim` dimensions."""
        return 2 * self.harmonics * ndim

    def __call__(self, points: Array | np.ndarray, grid: Grid) -> Array:
        points = jnp.asarray(points)
        return jnp.concatenate([self.along(axis, points[:, i]) for i, axis in enumerate(grid.axes)], axis=-1)

    def along(self, axis: AbstractAxis, x: Array | np.ndarray) -> Array:
        """The features of points `(n,)` along one axis, `(n, 2 harmonics)`."""
        s, k = (jnp.asarray(x) - axis.start) / axis.length, np.pi * np.arange(1, 2 * self.harmonics + 1)
        phase = lambda k: s[:, None] * jnp.asarray(k, s.dtype)[None]
        if wraps(axis):
            waves = phase(2 * k[: self.harmonics])
            return jnp.concatenate([jnp.cos(waves), jnp.sin(waves)], axis=-1)
        if isinstance(axis, Sine | Cosine):
            return jnp.cos(phase(k))
        # By recurrence: the arc cosine has no derivative at the ends.
        z = 2 * s - 1
        polynomials = [jnp.ones_like(z), z]
        for _ in k[1:]:
            polynomials.append(2 * z * polynomials[-1] - polynomials[-2])
        return jnp.stack(polynomials[1:], axis=-1)


def wraps(axis: AbstractAxis) -> bool:
    """Whether the ends of an axis are one point."""
    return isinstance(axis, Fourier) or (isinstance(axis, Uniform) and axis.is_periodic)


def nodes(grid: Grid) -> np.ndarray:
    """The nodes of a grid as a list of points, float64 `(n, number of axes)`."""
    return grid.mesh().reshape(len(grid.axes), -1).T


def envelope_at(points: Array | np.ndarray, grid: Grid) -> Array:
    """`nn.envelope` at arbitrary points `(n, number of axes)`: `(n,)`, exactly zero at both ends of `Sine` axes."""
    points = jnp.asarray(points)
    out = jnp.ones_like(points[:, 0])
    for i, axis in enumerate(grid.axes):
        if isinstance(axis, Sine):
            s = (points[:, i] - axis.start) / axis.length
            gap = jnp.minimum(s, 1 - s)
            out = out * jnp.where(gap > 4 * jnp.finfo(s.dtype).eps, jnp.sin(np.pi * gap), 0)
    return out


class Sensors(eqx.Module):
    """What a branch network reads of a field: its values on a fixed number of nodes per axis.

    Resampled by the field's own basis, so the grid on which a resolved field comes does not matter.

    **Arguments:** `count` of nodes, one number or one per axis.

    **Shapes:** field `(in_channels, *n)` to `(size,)`, `size = in_channels * prod(count)`.

    **Raises** `ValueError` for a wrong channel count or dimension.
    """

    in_channels: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, in_channels: int, count: int | tuple[int, ...], ndim: int):
        check_counts("the operator", in_channels=in_channels)
        self.in_channels, self.shape = in_channels, per_axis("sensors", count, ndim)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.in_channels * int(np.prod(self.shape))

    def __call__(self, field: GridField) -> Array:
        check_ndim("the operator", len(self.shape), field.grid)
        check_channels("the operator", self.in_channels, field)
        # There are no transforms in half precision.
        sampled = field.with_values(field.values.astype(precise(field.values))).resample(self.shape)
        return sampled.values.astype(field.dtype).reshape(-1)


class FourierFeatures(eqx.Module):
    """Random waves of a point, which let a network learn high frequencies: `(cos 2 pi B x, sin 2 pi B x)`.

    The rows of `B` are drawn once from a normal distribution with deviation `scale` and stay (`nn.Frozen`).

    **Shapes:** `(n, in_channels)` to `(n, 2 features)`.

    Source: Tancik et al. 2020, Fourier features let networks learn high frequency functions.
    """

    directions: Frozen

    def __init__(self, in_channels: int, features: int, scale: float, *, key: PRNGKeyArray):
        check_counts("FourierFeatures", in_channels=in_channels, features=features)
        self.directions = Frozen(scale * jax.random.normal(key, (in_channels, features)))

    def __call__(self, x: Array) -> Array:
        phase = 2 * np.pi * (x @ self.directions.read().astype(x.dtype))
        return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)], axis=-1)


class Siren(eqx.Module):
    """Network with sine activations: `h_0 = x`, `h_{k+1} = sin(omega (W_k h_k + b_k))`, then an affine map.

    Initial weights are uniform within `1 / in` in the first layer and within `sqrt(6 / in) / omega` in the others:
    `omega W h` then has variance one at any depth, for coordinates in [-1, 1].

    **Arguments:** `depth` sine layers of `width`; `omega`, the frequency.

    **Shapes:** `(n, in_channels)` to `(n, out_channels)`.

    Source: Sitzmann et al. 2020, Implicit neural representations with periodic activation functions, section 3.2.
    Deviation: biases are drawn like the weights; larger ones make the sines of deep layers constant, step by step.
    """

    layers: tuple[Perceptron, ...]
    omega: float = eqx.field(static=True)

    def __init__(
        self, in_channels: int, out_channels: int, width: int, depth: int, *, omega: float = 30.0, key: PRNGKeyArray
    ):
        check_counts("Siren", in_channels=in_channels, out_channels=out_channels, width=width, depth=depth)
        sizes, self.omega = [in_channels, *[width] * depth, out_channels], float(omega)
        bounds = [1 / in_channels, *[float(np.sqrt(6 / width)) / self.omega] * depth]
        keys = jax.random.split(key, depth + 1)
        self.layers = tuple(map(_uniform, sizes[:-1], sizes[1:], bounds, keys))

    def __call__(self, x: Array) -> Array:
        # A frequency of 30 leaves nothing of a phase in half precision.
        h = x.astype(precise(x))
        for layer in self.layers[:-1]:
            h = jnp.sin(self.omega * layer(h))
        return self.layers[-1](h).astype(x.dtype)


def _uniform(in_channels: int, out_channels: int, bound: float, key: PRNGKeyArray) -> Perceptron:
    """An affine map whose numbers are uniform within a bound."""
    affine, ratio = Perceptron(in_channels, out_channels, 1, 0, key=key), bound * float(np.sqrt(in_channels))
    return jax.tree.map(lambda leaf: ratio * leaf if eqx.is_inexact_array(leaf) else leaf, affine)
