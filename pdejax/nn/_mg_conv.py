from collections.abc import Callable
from functools import reduce
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._checks import check_channels, check_counts, check_ndim
from ._classical_stencils import check_nested, jacobi_pair, stencil
from ._continued import check_levels, continued, without_ends
from ._convolution import Convolution, convolved


class MgConv(eqx.Module):
    """Multigrid convolution: one V-cycle whose operators, smoothers and transfers are trainable convolutions.

    Down from the finest level, on which `u = S f` starts:
    `u <- u + S (f - A u)` (sweeps), then `u <- Pi u, f <- R f` onto every second node; up again `u_l <- u_l + P
    u_{l+1}`, then the sweeps after the correction. `A` leads from the output channels to the input channels, `S` back;
    `A, S, Pi, R` have size 3 and `P` is a transposed convolution of size 4, in which linear interpolation is contained.
    No part has a bias, so the layer is linear. Fields go on beyond their ends as in `Convolution`; nodes nest on
    periodic grids of `2^k m` and closed grids of `2^k m + 1` nodes, other sizes are admitted.

    `MgConv.classical` has the weights of a multigrid solver, which training starts from.

    **Arguments:** `sweeps` before the correction on each level: one number, or for each level a number or a pair
    (before, after).

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, Chebyshev axes, and grids too small for `levels`.

    Source: He, Liu & Xu 2024, MgNO: efficient parameterization of linear operators via multigrid.
    """

    before: tuple[tuple["_Start | _Sweep", ...], ...]
    after: tuple[tuple["_Sweep", ...], ...]
    down: tuple["_Restriction | _ResidualRestriction", ...]
    up: tuple["_Prolongation", ...]
    in_channels: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, levels: int, ndim: int, *, sweeps=1, key: PRNGKeyArray):
        check_counts("MgConv", in_channels=in_channels, out_channels=out_channels, levels=levels, ndim=ndim)
        pairs = _per_level(sweeps, levels)
        keys = iter(jax.random.split(key, 2 * sum(map(sum, pairs)) + 3 * levels))

        def conv(channels: int, out: int, stride: int = 1) -> Convolution:
            return Convolution(channels, out, 3, ndim, stride=stride, key=next(keys))

        def chain(count: int) -> tuple[_Sweep, ...]:
            return tuple(_Sweep(conv(out_channels, in_channels), conv(in_channels, out_channels)) for _ in range(count))

        start = _Start(conv(in_channels, out_channels))
        self.before = ((start, *chain(pairs[0][0] - 1)), *(chain(before) for before, _ in pairs[1:]))
        self.after = tuple(chain(after) for _, after in pairs)
        self.down = tuple(
            _Restriction(conv(out_channels, out_channels, 2), conv(in_channels, in_channels, 2)) for _ in pairs[1:]
        )
        # Each fine node hears 2^ndim coarse ones.
        bound = 1 / float(np.sqrt(out_channels * 2**ndim))
        shape = (out_channels, out_channels, *(4,) * ndim)
        self.up = tuple(
            _Prolongation(jax.random.uniform(next(keys), shape, minval=-bound, maxval=bound)) for _ in pairs[1:]
        )
        self.in_channels, self.ndim = in_channels, ndim

    @classmethod
    def classical(
        cls, residual: Callable[[GridField], GridField], grid: Grid, levels: int, *, sweeps: tuple[int, int] = (1, 1)
    ) -> Self:
        """The cycle of a solver for `A u = f`, with `A` the linear part of a `residual` with constant coefficients.

        One channel. `A` is the stencil of second-order differences on each level, read off from the residual of a unit
        impulse; `S` is two Jacobi steps in one convolution, damped for the waves that the next level does not see;
        `f - A u` is restricted by full weighting, the next level starts from zero, and `P` is linear interpolation.
        Iterate `u <- u + cycle(f - A u)`: for Poisson's equation the residual falls fivefold or more each time.

        **Arguments:** `residual` such as `Poisson().residual`; `sweeps` before and after the correction.

        **Raises** `ValueError` if the nodes do not nest, or the stencil is wider than three nodes an axis, varies or
        has no diagonal.
        """
        check_nested(grid, levels)
        ndim, dtype, key = len(grid.axes), jnp.result_type(float), jax.random.key(0)
        model = eqx.filter_eval_shape(lambda: cls(1, 1, levels, ndim, sweeps=(sweeps,) * levels, key=key))
        spacings = np.array([axis.points[1] - axis.points[0] for axis in grid.axes])
        operators = [stencil(residual, grid.names, 2**level * spacings) for level in range(levels)]
        average, linear = (
            reduce(np.multiply.outer, [np.array(w)] * ndim) for w in ((0.25, 0.5, 0.25), (0.0, 0.5, 1.0, 0.5))
        )

        def conv(kernel: np.ndarray, stride: int = 1) -> Convolution:
            layer = eqx.filter_eval_shape(lambda: Convolution(1, 1, 3, ndim, stride=stride, key=key))
            return eqx.tree_at(lambda layer: layer.weight, layer, jnp.asarray(kernel, dtype)[None, None])

        def start(level: int) -> _Start:
            return _Start(conv(jacobi_pair(operators[level])))

        def chain(level: int, count: int) -> tuple[_Sweep, ...]:
            return tuple(_Sweep(conv(operators[level]), start(level).smoother) for _ in range(count))

        parts = (
            tuple((start(level), *chain(level, sweeps[0] - 1)) for level in range(levels)),
            tuple(chain(level, sweeps[1]) for level in range(levels)),
            tuple(_ResidualRestriction(conv(operator), conv(average, 2)) for operator in operators[:-1]),
            tuple(_Prolongation(jnp.asarray(linear, dtype)[None, None]) for _ in operators[:-1]),
        )
        return eqx.tree_at(lambda m: (m.before, m.after, m.down, m.up), model, parts)

    def __call__(self, f: GridField) -> GridField:
        check_ndim("MgConv", self.ndim, f.grid)
        check_channels("MgConv", self.in_channels, f)
        return f.with_values(self.on_values(f.values, f.grid))

    def on_values(self, f: Array, grid: Grid) -> Array:
        """The cycle on node values `(in_channels, *n)`; the grid says how its axes end."""
        return jnp.moveaxis(self.on_channels_last(jnp.moveaxis(f, 0, -1), grid), -1, 0)

    def on_channels_last(self, f: Array, grid: Grid) -> Array:
        """The cycle on node values `(*n, in_channels)`."""
        check_levels("MgConv", len(self.before), f.shape[:-1])
        u, states = None, []
        for level, sweeps in enumerate(self.before):
            if level:
                u, f = self.down[level - 1](u, f, grid)
            for sweep in sweeps:
                u = sweep(u, f, grid)
            states.append((u, f))
        for level in reversed(range(len(states))):
            fine, f = states[level]
            u = fine if level == len(self.up) else fine + self.up[level](u, grid, fine.shape[:-1])
            for sweep in self.after[level]:
                u = sweep(u, f, grid)
        return u


class _Start(eqx.Module):
    smoother: Convolution

    def __call__(self, u: Array | None, f: Array, grid: Grid) -> Array:
        return self.smoother.on_channels_last(f, grid)


class _Sweep(eqx.Module):
    operator: Convolution
    smoother: Convolution

    def __call__(self, u: Array, f: Array, grid: Grid) -> Array:
        return u + self.smoother.on_channels_last(f - self.operator.on_channels_last(u, grid), grid)


class _Restriction(eqx.Module):
    """`u <- Pi u, f <- R f`."""

    state: Convolution
    source: Convolution

    def __call__(self, u: Array, f: Array, grid: Grid) -> tuple[Array, Array]:
        return self.state.on_channels_last(u, grid), self.source.on_channels_last(f, grid)


class _ResidualRestriction(eqx.Module):
    """`f <- R (f - A u)`; the next level starts anew."""

    operator: Convolution
    source: Convolution

    def __call__(self, u: Array, f: Array, grid: Grid) -> tuple[None, Array]:
        return None, self.source.on_channels_last(f - self.operator.on_channels_last(u, grid), grid)


class _Prolongation(eqx.Module):
    """Transposed convolution: node `j` adds to nodes `2j + 2 .. 2j - 1` of the fine grid, weights in this order."""

    weight: Array

    def __call__(self, u: Array, grid: Grid, shape: tuple[int, ...]) -> Array:
        """`u` on the nodes 0, 2, .. of an array of this shape to all its nodes."""
        n, channels, ndim = u.shape[:-1], u.shape[-1], u.ndim - 1
        # Even nodes hear j - 1 and j, odd ones j and j + 1: one convolution of size 2 with channels for each parity
        # does a quarter of the work of a transposed one, which meets the zeros between the nodes.
        weight = self.weight.reshape(channels, channels, *(2, 2) * ndim)
        windows, parities = range(2, 2 + 2 * ndim, 2), range(3, 3 + 2 * ndim, 2)
        weight = weight.transpose(*parities, 0, 1, *windows).reshape(-1, channels, *(2,) * ndim)
        out = convolved(weight, continued(u, grid, (1,) * ndim, (1,) * ndim))
        out = out.reshape(*(m + 1 for m in n), *(2,) * ndim, channels)
        for i, m in reversed(list(enumerate(n))):
            # The last parity is that of axis i, along which its nodes interleave.
            even, odd = (jax.lax.slice_in_dim(out[..., p, :], p, p + m, axis=i) for p in (0, 1))
            out = jnp.stack([even, odd], axis=i + 1).reshape(*even.shape[:i], 2 * m, *even.shape[i + 1 :])
        return without_ends(out[tuple(map(slice, shape))], grid)


def _per_level(sweeps, levels: int) -> tuple[tuple[int, int], ...]:
    entries = (sweeps,) * levels if isinstance(sweeps, int) else tuple(sweeps)
    pairs = tuple((entry, 0) if isinstance(entry, int) else tuple(entry) for entry in entries)
    if len(pairs) != levels or not all(len(p) == 2 and min(p) >= 0 for p in pairs) or pairs[0][0] < 1:
        raise ValueError(
            f"MgConv needs sweeps for each of its {levels} levels, a number or a pair (before, after), with at least "
            f"one before the correction on the first level, got {sweeps!r}; write sweeps=((1, 1),) * {levels}."
        )
    return pairs
