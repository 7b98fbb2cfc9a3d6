from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._checks import check_channels, check_modes, check_ndim, modes_per_axis
from ._mode_weights import dense_modes, full_matrices
from ._truncated_transform import Modes, analysis, half_axis, synthesis


class SpectralConv(eqx.Module):
    """Linear layer that multiplies the low modes of a field by trainable `out x in` matrices: `(K v)^_k = R_k v^_k`.

    The bases are those of the grid the field comes with, so the layer has no grid of its own. On Fourier axes it is the
    convolution of the FNO (half axis `k = 0 .. m-1`, other axes `-m .. m-1`); on `Sine`, `Cosine` and `Chebyshev` axes
    it multiplies the coefficients `0 .. 2m-1`, and its output keeps the boundary conditions of the basis. Both keep
    `2m` real numbers and the wave lengths down to `length / m` per axis, so one array of `out in (2m)^d` reals serves
    every mix of axes and none is left over. A grid needs `n >= 2m` on Fourier axes, `n >= 2m + 1` on others.

    The real part is taken at the end, so entries of the plane `k = 0` that are not Hermitian cannot make the output
    depend on the backend. Coefficients are forward-normalised: the layer is the same on every grid that resolves `v`.
    Half precision is transformed and multiplied in float32.

    **Arguments:** `modes` one number or one per axis, None for an axis along which the layer acts point by point
    (`modes=(None, None, 5)`: in time only); `weights` what draws the matrices and what they are made of:
    `nn.dense_modes`, `nn.depthwise_modes`, `partial(nn.TuckerModes, rank=0.1)`, `partial(nn.CPModes, rank=32)`;
    `padding` continues a field that is not periodic by zero along Fourier axes, over `padding * length` (no nodes are
    added: the waves get the longer period, the same on every grid).

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`, or on the nodes of another grid of the same
    domain: `layer(v, grid)`. `weight` is an array `(2, out, in, 2 m_1, .., 2 m_{d-1}, m_d)`, or the object that makes
    it.

    **Raises** `ValueError` for a wrong channel count or dimension, axes without a basis, or too few nodes.

    Source: Li et al. 2021, Fourier neural operator, eqs. (4)-(5). Deviations: weights are centred normal with deviation
    `1 / (3 in)` (the original draws them from `[0, 1) / (in out)`; `1 / in` learns Darcy flow slightly worse) and
    stored as real pairs, so that norms and decay of every optimiser mean the same for them as for other weights.
    """

    weight: Array | Callable[[], Array]
    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    modes: tuple[int | None, ...] = eqx.field(static=True)
    padding: float = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes,
        ndim: int,
        *,
        weights: Callable = dense_modes,
        padding: float = 0.0,
        key: PRNGKeyArray,
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.modes, self.padding = modes_per_axis(modes, ndim), float(padding)
        if not self.padding >= 0:
            raise ValueError(
                f"padding is a fraction of the domain and not negative, got {padding!r}; write padding=0.25."
            )
        *others, last = (m for m in self.modes if m is not None)
        self.weight = weights(in_channels, out_channels, (*(2 * m for m in others), last), key=key)

    def __call__(self, v: GridField, grid: Grid | None = None) -> GridField:
        check_ndim("SpectralConv", len(self.modes), v.grid)
        check_channels("SpectralConv", self.in_channels, v)
        if grid is None:
            return v.with_values(self.on_values(v.values, v.grid))
        return GridField(self.on_values(v.values, v.grid, grid), grid)

    def matrices(self, grid: Grid) -> Array:
        """`R_k` of each mode on this grid, `(*modes, out, in)`: complex (half of the modes) with a Fourier axis."""
        half = self._half(grid)
        parts = arranged(full_matrices(self.weight), half)
        return jnp.moveaxis(parts if half is None else jax.lax.complex(*parts), (0, 1), (-2, -1))

    def with_matrices(self, matrices: Array, grid: Grid) -> "SpectralConv":
        """The layer that has these `R_k` on this grid."""
        parts, half = jnp.moveaxis(matrices, (-2, -1), (0, 1)), self._half(grid)
        parts = parts if half is None else jnp.stack([jnp.real(parts), jnp.imag(parts)])
        return eqx.tree_at(lambda layer: layer.weight, self, stored(parts, half))

    def with_modes(self, modes: int | tuple[int, ...]) -> "SpectralConv":
        """The layer with more modes, whose matrices begin as zero: the same map of fields on `Fourier` axes.

        **Raises** `ValueError` for fewer modes, and for weights that are not one matrix per mode.
        """
        if not eqx.is_array(self.weight) or None in self.modes:
            raise ValueError("with_modes needs a matrix for every mode of every axis; leave weights=dense_modes.")
        modes = modes_per_axis(modes, len(self.modes))
        weight = more_modes(self.weight, self.modes, modes)
        sizes = (self.in_channels, self.out_channels, modes, len(modes))
        return SpectralConv(*sizes, weights=lambda *_, key: weight, padding=self.padding, key=None)

    def on_values(self, v: Array, grid: Grid, onto: Grid | None = None) -> Array:
        """The layer on node values `(in_channels, *n)`, for models that keep values between their layers; the output
        is taken at the nodes of `onto`.
        """
        onto = grid if onto is None else onto
        for nodes in (grid, onto):
            check_modes("SpectralConv", nodes, self.modes, self.padding)
        wide = v.astype(jnp.float32) if v.dtype.itemsize < 4 else v
        c = analysis(wide, grid, self.modes, self.padding)
        weight = arranged(full_matrices(self.weight).astype(c.dtype), self._half(grid))
        c = _mixed(weight, c, self.modes, pair=self._half(grid) is not None)
        return synthesis(c, onto, self.modes, self.padding).astype(v.dtype)

    def _half(self, grid: Grid) -> int | None:
        """Which axis of the weights keeps half of its waves on this grid."""
        half = half_axis(grid, self.modes)
        return None if half is None else sum(m is not None for m in self.modes[:half])


def _mixed(weight: Array, c: Array, modes: Modes, pair: bool) -> Array:
    """`R_k c_k`, where the weights `([2,] out, in / groups, *kept)` have no axis for what was not transformed."""
    lead = 1 + int(pair)
    shape = iter(weight.shape[lead + 1 :])
    weight = weight.reshape(*weight.shape[: lead + 1], *(1 if m is None else next(shape) for m in modes))
    if c.shape[lead - 1] != weight.shape[lead]:
        return _grouped(weight, c) if pair else _by_group(weight, c)
    if not pair:
        return jnp.einsum("oi...,i...->o...", weight, c)
    # Products of all parts: the weights are rearranged once, where a block matrix would hold each of them twice.
    parts = jnp.einsum("roi...,si...->rso...", weight, c)
    return jnp.stack([parts[0, 0] - parts[1, 1], parts[0, 1] + parts[1, 0]])


def _grouped(weight: Array, c: Array) -> Array:
    (re, im), (x, y) = weight, c
    return jnp.stack([_by_group(re, x) - _by_group(im, y), _by_group(re, y) + _by_group(im, x)])


def _by_group(weight: Array, c: Array) -> Array:
    groups = c.shape[0] // weight.shape[1]
    split = lambda v: v.reshape(groups, -1, *v.shape[1:])
    out = jnp.einsum("goi...,gi...->go...", split(weight), split(c))
    return out.reshape(-1, *out.shape[2:])


def more_modes(weight: Array, modes: tuple[int, ...], wanted: tuple[int, ...]) -> Array:
    """Weights `(2, out, in, 2 m_1, .., m_d)` among those of more modes, the others zero, for `Fourier` axes.

    **Raises** `ValueError` for fewer modes.
    """
    for i, (m, more) in enumerate(zip(modes, wanted, strict=True)):
        if more < m:
            raise ValueError(f"with_modes adds modes and got {wanted} for {modes}; write {m} or more for axis {i}.")
        shape, last = list(weight.shape), i == len(modes) - 1
        shape[3 + i] = (1 if last else 2) * (more - m)
        zeros = jnp.zeros(shape, weight.dtype)
        # Waves of an axis are kept as 0 .. m-1, -m .. -1, those of the last one as 0 .. m-1.
        halves = [weight] if last else jnp.split(weight, 2, axis=3 + i)
        weight = jnp.concatenate([halves[0], zeros, *halves[1:]], axis=3 + i)
    return weight


def arranged(weight: Array, half: int | None) -> Array:
    """The weights as a grid needs them: real `(out, in, 2m, ..)`, or a pair with `m` entries along the half axis."""
    last = weight.ndim - 4
    if half == last:
        return weight
    weight = jnp.moveaxis(weight, 0, -1)
    weight = weight.reshape(*weight.shape[:-2], -1)
    if half is None:
        return weight
    at = 2 + half
    weight = weight.reshape(*weight.shape[:at], -1, 2, *weight.shape[at + 1 :])
    return jnp.moveaxis(weight, at + 1, 0)


def stored(parts: Array, half: int | None) -> Array:
    """The weights as the layer keeps them: the inverse of `arranged`."""
    if half is not None:
        if half == parts.ndim - 4:
            return parts
        parts = jnp.moveaxis(parts, 0, 3 + half)
        parts = parts.reshape(*parts.shape[: 2 + half], -1, *parts.shape[4 + half :])
    return jnp.moveaxis(parts.reshape(*parts.shape[:-1], -1, 2), -1, 0)
