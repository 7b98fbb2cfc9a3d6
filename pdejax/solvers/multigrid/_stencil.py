from collections.abc import Callable
from itertools import product as tuples

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

Offset = tuple[int, ...]


class Stencil(eqx.Module):
    """A linear operator on node values of a tensor grid that couples each node with its next neighbours.

    `(A u)_a(i) = sum_o sum_b coefficients[o, a, b](i) u_b(i + offsets[o])` for channels a, b: `coefficients` has shape
    `(len(offsets), channels, channels, *shape)`. Values outside of the grid are zero, or wrap along `periodic` axes.
    """

    coefficients: Array
    offsets: tuple[Offset, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each axis."""
        return self.coefficients.shape[3:]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.coefficients.shape[1]

    def mv(self, u: Array) -> Array:
        """`A u` for node values `(channels, *shape)`."""
        channels = range(self.channels)
        moved = {o: shifted(u, o, self.periodic) for o in self.offsets}
        rows = [
            sum(self.coefficients[k, a, b] * moved[o][b] for k, o in enumerate(self.offsets) for b in channels)
            for a in channels
        ]
        return jnp.stack(rows)

    def at(self, offset: Offset) -> Array:
        """Coefficients `(channels, channels, *shape)` of one neighbour, zero if there is none."""
        if offset not in self.offsets:
            return jnp.zeros(self.coefficients.shape[1:], self.coefficients.dtype)
        return self.coefficients[self.offsets.index(offset)]

    def astype(self, dtype) -> "Stencil":
        """The stencil in another precision."""
        return Stencil(self.coefficients.astype(dtype), self.offsets, self.periodic)


def box(ndim: int) -> tuple[Offset, ...]:
    """All `3^ndim` offsets of a node and its next neighbours."""
    return tuple(tuples((-1, 0, 1), repeat=ndim))


def shifted(u: Array, offset: Offset, periodic: tuple[bool, ...]) -> Array:
    """The array `u(i + offset)` over the last axes; zero, or wrapped, beyond the ends."""
    first = u.ndim - len(offset)
    cut, widths = [slice(None)] * u.ndim, [(0, 0)] * u.ndim
    for i, (o, wraps) in enumerate(zip(offset, periodic, strict=True)):
        if o and wraps:
            u = jnp.roll(u, -o, axis=first + i)
        elif o:
            # Cut, then padded: fuses into the sum of all neighbours, twice as fast as slices of a padded array.
            n = u.shape[first + i]
            cut[first + i] = slice(max(0, o), n + min(0, o))
            widths[first + i] = (max(0, -o), max(0, o))
    return jnp.pad(u[tuple(cut)], widths)


def probe(
    product: Callable[[Array], Array],
    channels: int,
    shape: tuple[int, ...],
    periodic: tuple[bool, ...],
    offsets: tuple[Offset, ...],
    dtype,
    then: Callable[[Array], Array] = lambda image: image,
) -> Stencil:
    """The stencil of a linear map of arrays `(channels, *shape)`, known to couple `offsets` only.

    The map is `product`, followed by `then`: in two parts, the compiler does not merge one into the other. It is
    applied to sums of unit vectors that are far enough apart not to meet (Curtis, Powell & Reid 1974).
    """
    colours, count = _colouring(shape, periodic, offsets)

    def image(before, index):
        chosen = (colours == index // channels)[None] & _unit(channels, index % channels, len(shape))
        # The loop carries the image, and finishes the one before: what is carried is computed once.
        return product(chosen.astype(dtype)), then(before)

    # One after the other: the code is compiled once, and few arrays of the whole grid are alive.
    nothing = jax.eval_shape(product, jax.ShapeDtypeStruct((channels, *shape), dtype))
    start, indices = jnp.zeros(nothing.shape, nothing.dtype), jnp.arange(count * channels + 1, dtype=jnp.int32)
    images = jax.lax.scan(image, start, indices)[1][1:]
    images = images.reshape(count, channels, channels, *shape)

    def column(step):
        neighbour = _moved(colours, step, periodic)
        entry = jnp.take_along_axis(images, jnp.maximum(neighbour, 0)[None, None, None], axis=0)[0]
        return jnp.where(neighbour < 0, 0, jnp.swapaxes(entry, 0, 1))  # from (column's, row's) channel

    return Stencil(jax.lax.map(column, jnp.asarray(offsets, jnp.int32)), offsets, periodic)


def _unit(channels: int, which: Array, ndim: int) -> Array:
    return (jnp.arange(channels, dtype=jnp.int32) == which).reshape(-1, *(1,) * ndim)


def _moved(colours: Array, step: Array, periodic: tuple[bool, ...]) -> Array:
    """Colour of the neighbour `step` away, -1 if there is none."""
    out = colours
    for i, wraps in enumerate(periodic):
        index = jax.lax.broadcasted_iota(jnp.int32, out.shape, i) + step[i]
        out = jnp.roll(out, -step[i], axis=i)
        out = out if wraps else jnp.where((index >= 0) & (index < out.shape[i]), out, -1)
    return out


def _colouring(shape, periodic, offsets) -> tuple[Array, int]:
    """Colours of the nodes such that the neighbours of each node all differ, and how many there are."""
    index = [jax.lax.broadcasted_iota(jnp.int32, shape, i) for i in range(len(shape))]
    if all(sum(map(abs, o)) <= 1 for o in offsets) and not any(periodic):
        # Neighbours along the axes only: fewer colours do.
        return sum((i + 1) * x for i, x in enumerate(index)) % (2 * len(shape) + 1), 2 * len(shape) + 1
    colours, count = jnp.zeros(shape, jnp.int32), 1
    for x, n, wraps in zip(index, shape, periodic, strict=True):
        # Around a ring the last nodes need colours of their own unless three divides the number of nodes.
        rest = n % 3 if wraps else 0
        along = jnp.where(x < n - rest, x % 3, 3 + x - (n - rest))
        colours, count = colours + count * along, count * (3 + rest)
    return colours, count
