from itertools import product as tuples

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._stencil import Offset, Stencil, box, probe, shifted

Corner = tuple[int, ...]


class BlackBoxInterpolation(eqx.Module):
    """Interpolation from every second node along each axis that follows the coefficients of an operator.

    Dendy 1982 (black-box multigrid), stated for any dimension. A fine node that lies between coarse ones along the axes
    of a set E takes the value for which the operator, summed over the other axes, vanishes: fluxes are continuous where
    coefficients jump. `weights[E][c]` of shape `(channels, *nodes of that kind)` multiplies the corner c of the coarse
    cell around the node; the restriction is the transpose.
    """

    weights: dict[str, dict[Corner, Array]]
    shape: tuple[int, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        """Nodes of the coarse grid: those with even indices."""
        return tuple((n + 1) // 2 for n in self.shape)

    def prolong(self, coarse: Array) -> Array:
        """Values `(channels, *coarse_shape)` to values `(channels, *shape)`."""
        parts = {}
        for between in _kinds(len(self.shape)):
            terms = [w * self._corner(coarse, between, c) for c, w in self.weights[_name(between)].items()]
            parts[between] = sum(terms[1:], terms[0])
        for axis in reversed(range(len(self.shape))):
            heads = {between[:axis] for between in parts}
            parts = {h: _interleaved(parts[(*h, False)], parts[(*h, True)], axis + 1) for h in heads}
        return parts[()]

    def restrict(self, fine: Array) -> Array:
        """The transpose: residuals `(channels, *shape)` to `(channels, *coarse_shape)`."""
        out = jnp.zeros((fine.shape[0], *self.coarse_shape), fine.dtype)
        for between in _kinds(len(self.shape)):
            values = fine[_nodes(between)]
            for c, w in self.weights[_name(between)].items():
                out = out + self._spread(w * values, c)
        return out

    def _corner(self, coarse: Array, between: tuple[bool, ...], corner: Corner) -> Array:
        """The coarse value at a corner of the cell around each node of one kind."""
        moved = shifted(coarse, corner, self._wraps)
        cut = (slice(0, n // 2 if b else None) for n, b in zip(self.shape, between, strict=True))
        return moved[(slice(None), *cut)]

    def _spread(self, values: Array, corner: Corner) -> Array:
        widths = [(0, 0), *((0, c - n) for n, c in zip(values.shape[1:], self.coarse_shape, strict=True))]
        return shifted(jnp.pad(values, widths), tuple(-c for c in corner), self._wraps)

    @property
    def _wraps(self) -> tuple[bool, ...]:
        # With an odd number of nodes around a ring, the first and the last are both coarse and nothing lies between.
        return tuple(wraps and n % 2 == 0 for n, wraps in zip(self.shape, self.periodic, strict=True))


def black_box(stencil: Stencil) -> BlackBoxInterpolation:
    """The interpolation for an operator, from its diagonal blocks channel by channel."""
    ndim, shape = len(stencil.shape), stencil.shape
    diagonal = {o: jnp.stack([stencil.at(o)[a, a] for a in range(stencil.channels)]) for o in stencil.offsets}
    one = jnp.ones((stencil.channels, *((n + 1) // 2 for n in shape)), stencil.coefficients.dtype)
    out = BlackBoxInterpolation({_name((False,) * ndim): {(0,) * ndim: one}}, shape, stencil.periodic)
    for between in _kinds(ndim)[1:]:
        out = BlackBoxInterpolation(
            {**out.weights, _name(between): _weights(diagonal, between, out)}, shape, stencil.periodic
        )
    return out


def _weights(diagonal: dict[Offset, Array], between: tuple[bool, ...], known: BlackBoxInterpolation) -> dict:
    # Summed over the axes along which the node is a coarse one.
    collapsed: dict[Offset, Array] = {}
    for o, s in diagonal.items():
        key = tuple(x if b else 0 for x, b in zip(o, between, strict=True))
        part = s[_nodes(between)]
        collapsed[key] = collapsed[key] + part if key in collapsed else part
    centre = collapsed.pop((0,) * len(between))
    centre = jnp.where(centre == 0, jnp.ones((), centre.dtype), centre)
    out: dict[Corner, Array] = {}
    for o, s in collapsed.items():
        # The neighbour lies between coarse nodes along fewer axes, so its weights are known.
        left = tuple(b and x == 0 for x, b in zip(o, between, strict=True))
        step = tuple(int(x > 0) for x in o)
        for c, w in known.weights[_name(left)].items():
            corner = tuple(a + b for a, b in zip(step, c, strict=True))
            term = -s / centre * _at_neighbour(w, step, centre.shape, known)
            out[corner] = out[corner] + term if corner in out else term
    return out


def _at_neighbour(w: Array, step: Corner, shape: tuple[int, ...], known: BlackBoxInterpolation) -> Array:
    return shifted(w, step, known._wraps)[tuple(slice(0, n) for n in shape)]


def _kinds(ndim: int) -> list[tuple[bool, ...]]:
    """Along which axes a fine node lies between coarse ones, those along fewest first."""
    return sorted(tuples((False, True), repeat=ndim), key=sum)


def _nodes(between: tuple[bool, ...]) -> tuple[slice, ...]:
    return (slice(None), *(slice(int(b), None, 2) for b in between))


def _interleaved(even: Array, odd: Array, axis: int) -> Array:
    """`even_0, odd_0, even_1, ...` along one array dimension; there is at most one odd entry less."""
    n, shape = even.shape[axis] + odd.shape[axis], list(even.shape)
    widths = [(0, 0)] * even.ndim
    widths[axis] = (0, even.shape[axis] - odd.shape[axis])
    shape[axis] *= 2
    # Stacked and reshaped: three times faster than writing every second entry.
    both = jnp.stack([even, jnp.pad(odd, widths)], axis=axis + 1).reshape(shape)
    return jax.lax.slice_in_dim(both, 0, n, axis=axis)


def _name(between: tuple[bool, ...]) -> str:
    # Text, because pytrees sort the keys of dictionaries and tuples of corners are nested below.
    return "".join("x" if b else "." for b in between)


def galerkin(stencil: Stencil, transfer: BlackBoxInterpolation) -> Stencil:
    """The coarse operator `P^T A P`, which couples next neighbours again."""

    return probe(
        lambda v: stencil.mv(transfer.prolong(v)),
        stencil.channels,
        transfer.coarse_shape,
        stencil.periodic,
        box(len(stencil.shape)),
        np.dtype(stencil.coefficients.dtype),
        then=transfer.restrict,
    )
