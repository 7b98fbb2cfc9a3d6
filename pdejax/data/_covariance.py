import itertools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._warps import Warp, is_periodic

_CUBIC = 4


class EllipticCovariance(eqx.Module):
    """Random changes of coordinates of `-div(A grad u) = f`: another triple (A, f, u) of the same family.

    `u~ = u`, `A~ = |J| J^-1 A J^-T`, `f~ = |J| f` at `x(xi)`, with `J = dx / dxi`; in one dimension `a~ = a / x'`,
    `f~ = f x'`. For `fit(..., augment=EllipticCovariance(TensorWarps()))`.

    **Arguments:** `warps` a `TensorWarps` or `TransfiniteWarps`; `nodes` per axis in the interpolation of the
    coefficients, 2 (linear) where they jump, 4 (cubic) where they are smooth. Sources and solutions are read by cubics.

    **Shapes:** input channels: those of A, then f; target: u (any number of channels). A has one channel in one
    dimension, else one for each entry of its diagonal with `TensorWarps`, one for each entry of the matrix, row by row,
    with `TransfiniteWarps`: a scalar a becomes a tensor, so write it as one.

    **Raises** `ValueError` for another number of channels and for a grid with time.

    Source: Fanaskov, Yu, Rudikov & Oseledets 2023, General covariance data augmentation for neural PDE solvers.
    """

    warps: Callable[[PRNGKeyArray, Grid], Warp]
    nodes: int = eqx.field(static=True, default=2)

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        at = _Pullback(self.warps(key, a.grid), a)
        count = at.entries
        _check("EllipticCovariance", a, count + 1, f"{count} of A and the source f")
        tensor, f = at.tensor(a, self.nodes), at.read(a, slice(count, None), _CUBIC)
        channels = [at.flat(at.det[:, None, None] * at.moved(tensor)), at.det[:, None] * f]
        return at.field(*channels), _scalar(at.warp, u)


class ConvectionDiffusionCovariance(eqx.Module):
    """Random changes of coordinates of `u_t = div(A grad u - v u)`, the law of a density.

    `u~ = |J| u`, `A~ = J^-1 A J^-T`, `v~ = J^-1 v + A~ grad |J| / |J|`; in one dimension `a~ = a / x'^2`,
    `v~ = (v + a~ x'') / x'`, `u~ = u x'`. Mass is kept.

    Arguments as for `EllipticCovariance`. **Shapes:** input channels: A, v (one per axis), the density at the start;
    target: the density later (any number of times). **Raises** what `EllipticCovariance` raises.

    Source: Fanaskov, Yu, Rudikov & Oseledets 2023.
    """

    warps: Callable[[PRNGKeyArray, Grid], Warp]
    nodes: int = eqx.field(static=True, default=2)

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        at, ndim = _Pullback(self.warps(key, a.grid), a), len(a.grid.axes)
        count = at.entries
        _check("ConvectionDiffusionCovariance", a, count + ndim + 1, f"{count} of A, {ndim} of v and the density")
        tensor = at.moved(at.tensor(a, self.nodes))
        v = at.read(a, slice(count, count + ndim), self.nodes)
        slope = jax.vmap(jax.grad(lambda p: jnp.linalg.det(jax.jacfwd(at.warp)(p))))(at.xi)
        v = _times(at.inverse, v) + _times(tensor, slope / at.det[:, None])
        start = at.read(a, slice(count + ndim, None), _CUBIC)
        to = _Pullback(at.warp, u)
        later = to.det[:, None] * to.read(u, slice(None), _CUBIC)
        return at.field(at.flat(tensor), v, at.det[:, None] * start), to.field(later)


class WaveCovariance(eqx.Module):
    """Random changes of coordinates of `u_tt = C : grad grad u + d . grad u`, for displacements (no density).

    `u~ = u`, `C~ = J^-1 C J^-T`, `d~_i = (J^-1 d)_i + C : grad_x grad_x xi_i`; in one dimension `c~ = c / x'^2`,
    `d~ = (d - c~ x'') / x'`.

    Arguments as for `EllipticCovariance`. **Shapes:** input channels: C, d (one per axis), the states at the start (one
    or more scalars); target: scalars. **Raises** what `EllipticCovariance` raises.

    Source: Fanaskov, Yu, Rudikov & Oseledets 2023.
    """

    warps: Callable[[PRNGKeyArray, Grid], Warp]
    nodes: int = eqx.field(static=True, default=2)

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        at, ndim = _Pullback(self.warps(key, a.grid), a), len(a.grid.axes)
        first = at.entries + ndim
        states = max(a.channels - first, 1)
        _check("WaveCovariance", a, first + states, f"{at.entries} of C, {ndim} of d and the states")
        tensor = at.tensor(a, self.nodes)
        d = _times(at.inverse, at.read(a, slice(at.entries, first), self.nodes))
        # The slopes of J^-1 are taken along xi; one more J^-1 turns them along x.
        slopes = jax.vmap(jax.jacfwd(lambda p: jnp.linalg.inv(jax.jacfwd(at.warp)(p))))(at.xi)
        d = d + jnp.einsum("pjk,plj,pikl->pi", tensor, at.inverse, slopes)
        start = at.read(a, slice(first, None), _CUBIC)
        return at.field(at.flat(at.moved(tensor)), d, start), _scalar(at.warp, u)


class _Pullback(eqx.Module):
    """A warp at the nodes of a field's grid: images, Jacobian matrices, and how fields are read at the images."""

    warp: Warp
    grid: Grid
    xi: Array
    x: Array
    inverse: Array
    det: Array

    def __init__(self, warp: Warp, u: GridField):
        if "t" in u.names:
            raise ValueError(f"coordinates of space change, not of time, and this field lives on {u.grid}.")
        self.warp, self.grid = warp, u.grid
        self.xi = jnp.asarray(u.grid.mesh().reshape(len(u.names), -1).T, u.dtype)
        self.x = jax.vmap(warp)(self.xi)
        jacobian = jax.vmap(jax.jacfwd(warp))(self.xi)
        self.inverse, self.det = jnp.linalg.inv(jacobian), jnp.linalg.det(jacobian)

    @property
    def entries(self) -> int:
        """Channels of a coefficient tensor."""
        return len(self.grid.axes) ** (1 if self.warp.is_tensor else 2)

    def read(self, u: GridField, channels: slice, nodes: int) -> Array:
        """Values `(nodes, channels)` at the images."""
        return interpolate(u.values[channels], u.grid, self.x, nodes).T

    def tensor(self, a: GridField, nodes: int) -> Array:
        """The first channels as matrices `(nodes, ndim, ndim)` at the images."""
        values, ndim = self.read(a, slice(0, self.entries), nodes), len(self.grid.axes)
        return jax.vmap(jnp.diag)(values) if self.warp.is_tensor else values.reshape(-1, ndim, ndim)

    def moved(self, tensor: Array) -> Array:
        """`J^-1 A J^-T`."""
        return jnp.einsum("pij,pjk,plk->pil", self.inverse, tensor, self.inverse)

    def flat(self, tensor: Array) -> Array:
        """Matrices as channels `(nodes, entries)`."""
        diagonal = self.warp.is_tensor
        return jax.vmap(jnp.diag)(tensor) if diagonal else tensor.reshape(tensor.shape[0], -1)

    def field(self, *channels: Array) -> GridField:
        """The field with these channels `(nodes, count)`."""
        return GridField(jnp.concatenate(channels, axis=1).T.reshape(-1, *self.grid.shape), self.grid)


def interpolate(values: Array, grid: Grid, points: Array, nodes: int) -> Array:
    """Values `(channels, m)` at points `(m, ndim)` by the polynomial through the `nodes` nearest nodes of each axis."""
    places, weights = zip(
        *(_stencil(axis, points[:, i], min(nodes, axis.n)) for i, axis in enumerate(grid.axes)), strict=True
    )
    out = jnp.zeros((values.shape[0], points.shape[0]), values.dtype)
    for choice in itertools.product(*(range(place.shape[1]) for place in places)):
        weight = jnp.ones(points.shape[0], values.dtype)
        for w, j in zip(weights, choice, strict=True):
            weight = weight * w[:, j]
        at = tuple(place[:, j] for place, j in zip(places, choice, strict=True))
        out = out + weight[None] * values[(slice(None), *at)]
    return out


def _stencil(axis, x: Array, count: int) -> tuple[Array, Array]:
    """Indices and Lagrange weights `(m, count)` of the nodes around points of an axis."""
    nodes, n = axis.points, axis.n
    if is_periodic(axis):
        nodes = np.concatenate([nodes - axis.length, nodes, nodes + axis.length])
    known = jnp.asarray(nodes, x.dtype)
    cell = jnp.searchsorted(known, x, side="right") - 1
    first = jnp.clip(cell - (count // 2 - 1), 0, len(nodes) - count)
    place = first[:, None] + np.arange(count, dtype=first.dtype)[None]
    at, weights = known[place], jnp.ones((x.shape[0], count), x.dtype)
    for j in range(count):
        others = [i for i in range(count) if i != j]
        ratio = [(x - at[:, i]) / (at[:, j] - at[:, i]) for i in others]
        weights = weights.at[:, j].set(jnp.prod(jnp.stack(ratio), axis=0))
    return place % n, weights


def _scalar(warp: Warp, u: GridField) -> GridField:
    at = _Pullback(warp, u)
    return at.field(at.read(u, slice(None), _CUBIC))


def _times(matrices: Array, vectors: Array) -> Array:
    return jnp.einsum("pij,pj->pi", matrices, vectors)


def _check(name: str, a: GridField, wanted: int, words: str) -> None:
    if a.channels != wanted:
        raise ValueError(
            f"{name} reads the input channels as {words}, {wanted} in all, and got {a.channels}; a scalar coefficient "
            "is written as a diagonal tensor for TensorWarps, [a, a, f], as a full one for TransfiniteWarps."
        )
