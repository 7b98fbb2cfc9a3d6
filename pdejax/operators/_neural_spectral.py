import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import (
    Pointwise,
    SpectralConv,
    check_channels,
    check_counts,
    check_ndim,
    coordinates,
    envelope,
    hidden_grid,
    per_axis,
    resampled,
)


class NeuralSpectralOperator(eqx.Module):
    """Operator of Neural Spectral Methods: from coefficients to coefficients, whatever grid they were taken from.

    The input is brought to `nodes` collocation points per axis by its own basis, and the output is read off the
    coefficients there, so grids that resolve the input give the same function. In between, at the collocation points,
    `v_{l+1} = relu(K_l v_l + W_l v_l + b_l)`, `K_l` a full matrix for every mode they carry, with pointwise networks
    before (`-> 4 width -> width`) and behind (`-> width -> 4 width -> out`). The result is scaled by 1e-3: residuals of
    a fresh operator are then those of zero, with derivatives of any order. Made for training without data, on
    `objectives.SpectralResidual`.

    Conditions hold exactly: zero at the ends of `Sine` axes by the envelope of `FNO`; elsewhere by the basis.

    **Arguments:** `nodes` collocation points, one number or one per axis.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Du, Chalapathi & Krishnapriyan 2024, Neural spectral methods: self-supervised learning in the spectral
    domain, section 3. Deviation: the pointwise maps act on values, where the paper has them on coefficients (equal, but
    for their biases).
    """

    before: tuple[Pointwise, ...]
    spectral: tuple[SpectralConv, ...]
    local: tuple[Pointwise, ...]
    behind: tuple[Pointwise, ...]
    in_channels: int = eqx.field(static=True)
    nodes: tuple[int, ...] = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        nodes: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        scale: float = 1e-3,
        key: PRNGKeyArray,
    ):
        counts = {"in_channels": in_channels, "out_channels": out_channels, "width": width, "depth": depth}
        check_counts("NeuralSpectralOperator", **counts)
        a, b, c, d = jax.random.split(key, 4)
        self.in_channels, self.nodes, self.scale = in_channels, per_axis("nodes", nodes, ndim), float(scale)
        # As many as every basis has on so many nodes.
        modes = tuple(max(1, (n - 1) // 2) for n in self.nodes)
        self.before = _chain((in_channels + ndim, 4 * width, width), a)
        self.spectral = tuple(SpectralConv(width, width, modes, ndim, key=k) for k in jax.random.split(b, depth))
        self.local = tuple(Pointwise(width, width, key=k) for k in jax.random.split(c, depth))
        self.behind = _chain((width, width, 4 * width, out_channels), d)

    def __call__(self, a: GridField) -> GridField:
        check_ndim("NeuralSpectralOperator", len(self.nodes), a.grid)
        check_channels("NeuralSpectralOperator", self.in_channels, a)
        inside = a.grid.with_shape(self.nodes)
        grid, s = hidden_grid(inside), jnp.asarray(envelope(inside), a.dtype)
        x = jnp.asarray(coordinates(grid, 0.0), a.dtype)
        v = jnp.concatenate([s * resampled(a, inside), x])
        for layer in self.before:
            v = jax.nn.relu(layer.on_values(v))
        for spectral, local in zip(self.spectral, self.local, strict=True):
            v = jax.nn.relu(spectral.on_values(v, grid) + local.on_values(v))
        for layer in self.behind[:-1]:
            v = jax.nn.relu(layer.on_values(v))
        u = self.scale * s * self.behind[-1].on_values(v)
        return a.with_values(resampled(GridField(u, inside), a.grid))


def _chain(sizes: tuple[int, ...], key: PRNGKeyArray) -> tuple[Pointwise, ...]:
    pairs = zip(sizes[:-1], sizes[1:], jax.random.split(key, len(sizes) - 1), strict=True)
    return tuple(Pointwise(i, o, key=k) for i, o, k in pairs)
