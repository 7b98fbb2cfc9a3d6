import functools
from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray, PyTree

from ..fields import GridField
from ..nn import ContractingModes, FeedForward, LiftProject, Pointwise, SpectralConv, SpectralNorm, check_counts


class StabilisedFNO(eqx.Module):
    """Fourier neural operator for longer rollouts: no linear map in it enlarges anything, and high modes stay empty.

    Each layer adds to what it is given, so the whole may still grow in a rollout (`experiments/stability`).

    `v_{l+1} = v_l + W_l C_l(M_l v_l)` with a `FeedForward` `M_l` of four times the width, the filter
    `C_l v = sum_k sigmoid(m_k) exp(i phi_k) v_k` (`nn.ContractingModes`) on an ellipsoid of modes, and pointwise `W_l`.
    Every pointwise matrix is kept at norm one (`nn.SpectralNorm`); the lifted field is scaled by `sqrt(width / in)` and
    the result scaled back. Bases, boundaries and grids as for `FNO`.

    **Arguments:** `modes` one number or one per axis; `filter` makes each `C_l`, as `filter(width, width, modes, ndim,
    key=key)`: with `nn.DynamicFilter` its gains depend on the field, which has to be periodic.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: McCabe, Harrington, Subramanian & Brown 2023, Towards stability of autoregressive neural operators, section
    4. Deviations: coordinates of `FNO` in place of a trained field of positions, which belongs to one grid; weights
    below norm one are not enlarged.
    """

    around: LiftProject
    layers: tuple["_Layer", ...]
    scale: float = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        filter: Callable = functools.partial(SpectralConv, weights=ContractingModes),
        key: PRNGKeyArray,
    ):
        check_counts("StabilisedFNO", depth=depth)
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        self.layers = tuple(_Layer(width, modes, ndim, filter, key=k) for k in jax.random.split(b, depth))
        self.scale = (width / in_channels) ** 0.5

    def __call__(self, a: GridField) -> GridField:
        around, layers = _bounded((self.around, self.layers))
        v = around.lift(a)
        v = v.with_values(self.scale * v.values)
        for layer in layers:
            v = v.with_values(v.values + layer(v).values)
        return around.project(v.with_values(v.values / self.scale), a)


class _Layer(eqx.Module):
    feed: FeedForward
    spectral: eqx.Module
    mix: Pointwise

    def __init__(self, width: int, modes, ndim: int, filter: Callable, *, key: PRNGKeyArray):
        a, b, c = jax.random.split(key, 3)
        self.feed = FeedForward(width, width, 4 * width, activation=jax.nn.silu, key=a)
        self.spectral = filter(width, width, modes, ndim, key=b)
        self.mix = Pointwise(width, width, key=c)

    def __call__(self, v: GridField) -> GridField:
        return self.mix(self.spectral(self.feed(v)))


def _bounded(model: PyTree) -> PyTree:
    """The model with every pointwise matrix at norm one or below."""
    is_matrix = lambda part: isinstance(part, Pointwise)
    bounded = lambda part: SpectralNorm(part, bound=1.0).normalised if is_matrix(part) else part
    return jax.tree.map(bounded, model, is_leaf=is_matrix)
