import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array


def derivatives(
    fn: Callable[[Array], Array], point: Array, wanted: set[tuple[int, ...]]
) -> dict[tuple[int, ...], Array]:
    """Several partial derivatives of one function at one point, computed together.

    `wanted` holds multi-indices such as `(0, 2)` for the second derivative along the second coordinate. The function is
    pushed forward along the coordinate with the highest order by nested forward mode and linearised there once; first
    derivatives along the other coordinates are pushed through the same linearisation, so the function itself is
    evaluated once. What remains (second derivatives along further coordinates, mixed ones) recurses along the next
    coordinate.

    **Returns** a dict from multi-index to `(channels,)`.
    """
    d = point.shape[0]
    zero = (0,) * d
    remaining = set(wanted)
    if remaining <= {zero}:
        return {zero: fn(point)}
    unit = jnp.eye(d, dtype=point.dtype)
    main = max(range(d), key=lambda i: (max((w[i] for w in remaining if _pure(w, i)), default=0), -i))
    top = max((w[main] for w in remaining if _pure(w, main)), default=0)
    out: dict[tuple[int, ...], Array] = {}
    if top:
        out.update(_along(fn, point, main, top, remaining, unit))
        remaining -= set(out)
    elif zero in remaining:
        out[zero] = fn(point)
        remaining.discard(zero)
    # Group the rest by its leading coordinate and differentiate the lower-order derivative function along it.
    rest = sorted(remaining)
    for axis, group in itertools.groupby(rest, key=_leading):
        lowered = {tuple(o - (i == axis) for i, o in enumerate(w)) for w in group}
        tangent = jax.jvp(lambda x, low=lowered: derivatives(fn, x, low), (point,), (unit[axis],))[1]
        out.update({tuple(o + (i == axis) for i, o in enumerate(w)): tangent[w] for w in lowered})
    return out


def _along(fn, point, axis, top, wanted, unit):
    d = point.shape[0]

    def tower(x):
        # fn and its pure derivatives up to top - 1, each level one forward pass over the one below.
        levels = lambda y: [fn(y)]
        for _ in range(top - 1):
            levels = _raise(levels, unit[axis])
        return levels(x)

    values, push = jax.linearize(tower, point)
    out = {tuple(k * (i == axis) for i in range(d)): v for k, v in enumerate(values)}
    out[tuple(top * (i == axis) for i in range(d))] = push(unit[axis])[-1]
    for other in range(d):
        if other != axis:
            # (axis)^k (other)^1 for every k wanted; what is not used is never computed under jit.
            needed = [k for k in range(top) if tuple(k * (i == axis) + (i == other) for i in range(d)) in wanted]
            if needed:
                tangents = push(unit[other])
                out.update({tuple(k * (i == axis) + (i == other) for i in range(d)): tangents[k] for k in needed})
    return out


def _raise(levels, direction):
    def higher(y):
        below, tangents = jax.jvp(levels, (y,), (direction,))
        return [*below, tangents[-1]]

    return higher


def _pure(index: tuple[int, ...], axis: int) -> bool:
    return all(o == 0 or i == axis for i, o in enumerate(index))


def _leading(index: tuple[int, ...]) -> int:
    return max(range(len(index)), key=lambda i: (index[i], -i))
