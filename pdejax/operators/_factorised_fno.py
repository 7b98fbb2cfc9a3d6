from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import FeedForward, LiftProject, SpectralConv, check_counts, dense_modes, per_axis


class FactorisedFNO(eqx.Module):
    """Factorised Fourier neural operator: each layer convolves along one axis at a time and adds the results up.

    `v_{l+1} = v_l + F_l(sum_i K_{l,i} v_l)`, where `K_{l,i}` is a `SpectralConv` along axis `i` alone and `F_l` a
    `FeedForward` of twice the width. The weights grow with the number of axes and not with a product over them, so
    many modes and layers are cheap. Bases, boundaries and grids as for `FNO`.

    **Arguments:** `modes` one number or one per axis; `depth` layers; `weights` and `padding` as for `SpectralConv`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: Tran, Mathews, Xie & Ong 2023, Factorized Fourier neural operators, eqs. (4)-(6). Deviations: gelu in place
    of relu; no weights shared between layers.
    """

    around: LiftProject
    layers: tuple["_Layer", ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        weights: Callable = dense_modes,
        padding: float = 0.0,
        key: PRNGKeyArray,
    ):
        check_counts("FactorisedFNO", depth=depth)
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, padding=padding, key=a)
        self.layers = tuple(_Layer(width, modes, ndim, weights, padding, key=k) for k in jax.random.split(b, depth))

    def __call__(self, a: GridField) -> GridField:
        v = self.around.lift(a)
        for layer in self.layers:
            v = v.with_values(layer(v.values, v.grid))
        return self.around.project(v, a)


class _Layer(eqx.Module):
    spectral: tuple[SpectralConv, ...]
    feed: FeedForward

    def __init__(self, width: int, modes, ndim: int, weights: Callable, padding: float, *, key: PRNGKeyArray):
        last, *keys = jax.random.split(key, 1 + ndim)
        given = per_axis("modes", modes, ndim)
        along = [tuple(m if i == j else None for j in range(ndim)) for i, m in enumerate(given)]
        options = {"weights": weights, "padding": padding}
        self.spectral = tuple(
            SpectralConv(width, width, m, ndim, **options, key=k) for m, k in zip(along, keys, strict=True)
        )
        self.feed = FeedForward(width, width, 2 * width, key=last)

    def __call__(self, v: Array, grid: Grid) -> Array:
        return v + self.feed.on_values(sum(layer.on_values(v, grid) for layer in self.spectral))
