from functools import lru_cache

import numpy as np

from ._axis import AbstractAxis
from ._boundary import AbstractBoundary, Dirichlet, Free, Neumann
from ._chebyshev import Chebyshev, derivative_matrix
from ._stencil import finite_difference_weights
from ._uniform import Uniform, closure_weights


def second_derivative_modes(axis: Uniform | Chebyshev) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenmodes of the second derivative on the unknown nodes of a nodal axis, homogeneous conditions.

    **Returns** `(to_modes, from_modes, eigenvalues)`, float64, of shapes `(m, n)`, `(n, m)`, `(m,)`, with `m` unknown
    nodes; known (Dirichlet) nodes get zero.

    **Raises** `ValueError` for `Free` ends, or if the eigenvalues are not real.
    """
    for end, side in (("lower", axis.lower), ("upper", axis.upper)):
        if isinstance(side, Free):
            raise ValueError(
                f"the second derivative on {type(axis).__name__}({axis.n}) has no inverse without a condition at its {end} end; "
                f"write {type(axis).__name__}({axis.n}, lower=Dirichlet(0.0), upper=Dirichlet(0.0))."
            )
    order = axis.order if isinstance(axis, Uniform) else 0
    periodic = isinstance(axis, Uniform) and axis.is_periodic
    step = axis.spacing if isinstance(axis, Uniform) else axis.length / 2
    to_modes, from_modes, eigenvalues = _modes(axis.n, order, periodic, type(axis.lower), type(axis.upper))
    return to_modes, from_modes, eigenvalues / step**2


@lru_cache(maxsize=64)
def _modes(n: int, order: int, periodic: bool, lower: type, upper: type):
    matrix = _chebyshev_matrix(n) if order == 0 else _uniform_matrix(n, order, periodic, lower, upper)
    unknown = np.arange(int(lower is Dirichlet), n - int(upper is Dirichlet))
    inner = matrix[np.ix_(unknown, unknown)]
    # Half-cells at Neumann ends: the matrix is symmetric in the inner product of the trapezoid rule.
    root = np.ones(n)
    if not periodic and order:
        root[[0, -1]] = np.sqrt(0.5)
    root = root[unknown]
    similar = inner * root[:, None] / root[None, :]
    if np.allclose(similar, similar.T, atol=1e-12 * np.abs(similar).max()):
        eigenvalues, q = np.linalg.eigh((similar + similar.T) / 2)
        right, left = q / root[:, None], q.T * root[None, :]
    else:
        eigenvalues, right = np.linalg.eig(inner)
        if np.abs(np.imag(eigenvalues)).max() > 1e-9 * np.abs(eigenvalues).max():
            raise ValueError(f"the second derivative of order {order} on this axis has no real modes; write order=2.")
        eigenvalues, right = np.real(eigenvalues), np.real(right)
        left = np.linalg.inv(right)
    to_modes, from_modes = np.zeros((len(unknown), n)), np.zeros((n, len(unknown)))
    to_modes[:, unknown], from_modes[unknown] = left, right
    return to_modes, from_modes, eigenvalues


def _uniform_matrix(n: int, order: int, periodic: bool, lower: type, upper: type) -> np.ndarray:
    reach = (1 + order) // 2
    centre = finite_difference_weights(range(-reach, reach + 1), 0.0, 2)
    matrix = np.zeros((n, n))
    for i in range(n):
        for j, w in zip(range(i - reach, i + reach + 1), centre, strict=True):
            if periodic or 0 <= j < n:
                matrix[i, j % n] += w
    if not periodic:
        for side, flip in ((lower, False), (upper, True)):
            rows = closure_weights(2, order, reach, side is Neumann)
            rows = rows[:, : rows.shape[1] - int(side is Neumann)]
            block = np.zeros((reach, n))
            block[:, : rows.shape[1]] = rows
            if flip:
                matrix[n - reach :] = block[::-1, ::-1]
            else:
                matrix[:reach] = block
    return matrix


def _chebyshev_matrix(n: int) -> np.ndarray:
    j = np.arange(n)
    back = np.cos(np.pi * np.outer(j[::-1], j) / (n - 1))
    return back @ derivative_matrix(n, 2) @ np.linalg.inv(back)


