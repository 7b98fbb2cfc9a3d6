"""Finite difference weights on equispaced nodes, derived rather than tabulated."""

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import apply_matrix


@cache
def _weights(offsets: tuple[float, ...], at: float, derivative: int, slopes: tuple[float, ...]) -> np.ndarray:
    # Solve for the combination of values u(offsets) and slopes u'(slopes) that is exact on polynomials.
    # Positions are scaled to [-1, 1] so that the Vandermonde system stays well conditioned.
    scale = max([abs(o - at) for o in (*offsets, *slopes)] + [1.0])
    x = (np.array(offsets) - at) / scale
    s = (np.array(slopes) - at) / scale
    m = len(x) + len(s)
    powers = np.arange(m)[:, None]
    rows = [x[None, :] ** powers]
    if len(s):
        rows.append(np.where(powers > 0, powers * s[None, :] ** np.maximum(powers - 1, 0), 0.0) / scale)
    rhs = np.zeros(m)
    rhs[derivative] = float(np.prod(np.arange(1, derivative + 1)))
    return np.linalg.solve(np.concatenate(rows, axis=1), rhs) / scale**derivative


def finite_difference_weights(offsets, at: float = 0.0, derivative: int = 1, slopes=()) -> np.ndarray:
    """Weights `w` with `u^(derivative)(at) = sum_j w_j u(offsets_j) + sum_l w_l u'(slopes_l)`, unit spacing.

    Exact for polynomials of degree below the number of data (method of undetermined coefficients; Fornberg 1988
    treats the case without slopes). **Returns** float64 `(len(offsets) + len(slopes),)`.
    """
    return _weights(tuple(map(float, offsets)), float(at), int(derivative), tuple(map(float, slopes)))


def take(array: Array, axis: int, begin: int | None, end: int | None) -> Array:
    """Slice `begin:end` along one array dimension."""
    return array[(slice(None),) * axis + (slice(begin, end),)]


def convolve(weights: np.ndarray, values: Array, axis: int) -> Array:
    """`out_i = sum_j weights_j values_{i + j}` wherever the stencil fits."""
    n = values.shape[axis] - len(weights) + 1
    terms = [take(values, axis, j, j + n) * jnp.asarray(w, values.dtype) for j, w in enumerate(weights) if w != 0]
    return sum(terms[1:], terms[0])


def near_end(rows: np.ndarray, values: Array, axis: int, upper: bool) -> Array:
    """Apply dense rows to the nodes nearest to one end; at the upper end nodes and results are counted from there."""
    width = rows.shape[1]
    near = (
        jnp.flip(take(values, axis, values.shape[axis] - width, None), axis) if upper else take(values, axis, 0, width)
    )
    out = apply_matrix(rows, near, axis)
    return jnp.flip(out, axis) if upper else out
