from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import apply_matrix
from ._boundary import Dirichlet, Neumann, Periodic, Robin
from ._chebyshev import Chebyshev, derivative_matrix
from ._real_transforms import (
    centred_cosine_sums,
    centred_cosine_waves,
    centred_sine_sums,
    centred_sine_waves,
    cosine_order,
    cosine_sums,
    cosine_waves,
    fourier_order,
    fourier_sums,
    fourier_waves,
    quarter_order,
    quarter_sums,
    quarter_waves,
    scaled,
    sine_order,
    sine_sums,
    sine_waves,
    transformed,
)
from ._stencil import finite_difference_weights, take
from ._uniform import Uniform, centred_closure_weights, closure_weights

# From this size on, two products of half the size beat one (1.8x at 421, 0.9x at 85 nodes, measured on one CPU core).
_SPLIT_SIZE = 160

# From this size on FFTs beat two products of half the size: a million numbers on one CPU core take 8.2 against 11.8 ms
# at 385 nodes along the last dimension, 11.6 against 12.7 ms along the first (which has to be transposed).
_WAVE_SIZE = 400


@dataclass(frozen=True, eq=False)
class DenseModes:
    """Eigenmodes of the second derivative on the unknown nodes of a nodal axis, homogeneous conditions.

    `to_modes` `(m, n)` and `from_modes` `(n, m)`, float64, for `m` unknown nodes; known (Dirichlet) nodes get zero.
    Where both ends are alike, the first `even` modes are even about the centre and the others odd, so that both
    products are done on half the nodes. Where the second derivative is symmetric (under half weights at closed ends)
    the modes are `orthonormal`.
    """

    to_modes: np.ndarray
    from_modes: np.ndarray
    eigenvalues: np.ndarray
    even: int | None
    orthonormal: bool

    def forward(self, values: Array, axis: int) -> Array:
        """Node values to modes along one array dimension."""
        if self.even is None:
            return apply_matrix(self.to_modes, values, axis)
        n, half = self.to_modes.shape[1], (self.to_modes.shape[1] + 1) // 2
        front, back = take(values, axis, 0, half), jnp.flip(take(values, axis, n - half, None), axis)
        share = np.where(np.arange(half) < n - half, 1.0, 0.5)  # The middle node is in both halves.
        even, odd = self.to_modes[: self.even, :half] * share, self.to_modes[self.even :, :half] * share
        parts = apply_matrix(even, front + back, axis), apply_matrix(odd, front - back, axis)
        return jnp.concatenate(parts, axis=axis)

    def backward(self, modes: Array, axis: int) -> Array:
        """Modes to node values along one array dimension."""
        if self.even is None:
            return apply_matrix(self.from_modes, modes, axis)
        n, half = self.from_modes.shape[0], (self.from_modes.shape[0] + 1) // 2
        even = apply_matrix(self.from_modes[:half, : self.even], take(modes, axis, 0, self.even), axis)
        odd = apply_matrix(self.from_modes[:half, self.even :], take(modes, axis, self.even, None), axis)
        back = jnp.flip(take(even - odd, axis, 0, n - half), axis)
        return jnp.concatenate([even + odd, back], axis=axis)


@dataclass(frozen=True, eq=False)
class WaveModes:
    """Eigenmodes of the second difference of order 2 in closed form: sines and cosines, applied by FFTs.

    `sums` and `waves` are transforms along the last dimension, `factor` makes the modes orthonormal (under half weights
    at closed ends); the eigenvalues are `-4 sin(angle / 2)^2 / step^2`.
    """

    sums: Callable[[Array], Array]
    waves: Callable[[Array], Array]
    factor: np.ndarray
    eigenvalues: np.ndarray
    orthonormal: bool = True

    def forward(self, values: Array, axis: int) -> Array:
        """Node values to modes along one array dimension."""
        return transformed(lambda v: scaled(self.sums(v), self.factor), values, axis)

    def backward(self, modes: Array, axis: int) -> Array:
        """Modes to node values along one array dimension."""
        return transformed(lambda c: self.waves(scaled(c, self.factor)), modes, axis)


def second_derivative_modes(axis: Uniform | Chebyshev) -> DenseModes | WaveModes:
    """The modes in which the second derivative of a nodal axis is diagonal; a Robin end counts as a Neumann end.

    Then they are no modes of the operator, whose `alpha` may vary along the end, but of one that is close to it.

    **Raises** `ValueError` for ends without a condition on values or slopes, or if the eigenvalues are not real.
    """
    for end, side in (("lower", axis.lower), ("upper", axis.upper)):
        if not isinstance(side, Dirichlet | Neumann | Periodic | Robin):
            raise ValueError(
                f"the second derivative on {type(axis).__name__}({axis.n}) has no inverse without a condition at its "
                f"{end} end; write {type(axis).__name__}({axis.n}, lower=Dirichlet(0.0), upper=Dirichlet(0.0))."
            )
    ends = tuple(Neumann if isinstance(side, Robin) else type(side) for side in (axis.lower, axis.upper))
    if isinstance(axis, Chebyshev):
        return _modes(axis.n, 0, False, *ends, axis.length / 2)
    step = float(axis.spacing)
    found = None
    if axis.order == 2 and axis.n >= _WAVE_SIZE:
        found = _wave_modes(axis.n, axis.centred and not axis.is_periodic, *ends, step)
    return found or _modes(axis.n, axis.order, axis.centred, *ends, step)


@lru_cache(maxsize=64)
def _wave_modes(n: int, centred: bool, lower: type, upper: type, step: float) -> WaveModes | None:
    """The modes in closed form, `None` where they are of type IV (cells, a value at one end and a slope at the other).

    Table of transforms: Strang 1999.
    """
    cells = n if centred or lower is Periodic else n - 1
    match centred, lower is Periodic or lower is Neumann, upper is Periodic or upper is Neumann:
        case _, _, _ if lower is Periodic:
            sums, waves, angle = fourier_sums, fourier_waves, 2 * fourier_order(n)
        case False, False, False:
            sums, waves, angle = sine_sums, sine_waves, sine_order(n)
        case False, True, True:
            sums, waves, angle = cosine_sums, cosine_waves, cosine_order(n)
        case False, True, False:
            sums, waves, angle = quarter_sums, quarter_waves, quarter_order(n) / 2
        case False, False, True:
            sums, waves, angle = _mirrored_quarter_sums, _mirrored_quarter_waves, quarter_order(n) / 2
        case True, False, False:
            sums, waves, angle = centred_sine_sums, centred_sine_waves, np.arange(1, n + 1)
        case True, True, True:
            sums, waves, angle = centred_cosine_sums, centred_cosine_waves, np.arange(n)
        case _:
            return None
    # A constant and the wave that changes sign from node to node are twice as large in the mean square as the others.
    whole = (angle == 0) | (angle == cells)
    return WaveModes(
        sums,
        waves,
        np.sqrt(np.where(whole, 1.0, 2.0) / cells),
        -((2 / step * np.sin(np.pi * angle / (2 * cells))) ** 2),
    )


@lru_cache(maxsize=64)
def _modes(n: int, order: int, centred: bool, lower: type, upper: type, step: float) -> DenseModes:
    matrix = _chebyshev_matrix(n) if order == 0 else _uniform_matrix(n, order, centred, lower, upper)
    closed = not (centred or lower is Periodic)
    unknown = np.arange(int(closed and lower is Dirichlet), n - int(closed and upper is Dirichlet))
    inner = matrix[np.ix_(unknown, unknown)] / step**2
    # Half-cells at Neumann ends: the matrix is symmetric in the inner product of the trapezoid rule.
    root = np.ones(n)
    if closed and order:
        root[[0, -1]] = np.sqrt(0.5)
    root = root[unknown]
    m, even = len(unknown), None
    basis = np.eye(m)
    if m >= _SPLIT_SIZE and np.allclose(inner, inner[::-1, ::-1], rtol=0, atol=1e-12 * np.abs(inner).max()):
        # Alike at both ends: even and odd vectors are invariant subspaces, diagonalised one after the other.
        even = (m + 1) // 2
        basis = np.concatenate([(basis + basis[::-1])[:even], (basis - basis[::-1])[: m - even]])
        basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    blocks = [basis] if even is None else [basis[:even], basis[even:]]
    found = [_diagonalised(block @ (inner * root[:, None] / root[None, :]) @ block.T, order) for block in blocks]
    left = np.concatenate([l @ block for (_, l, _), block in zip(found, blocks, strict=True)]) * root[None, :]
    right = (
        np.concatenate([block.T @ r for (_, _, r), block in zip(found, blocks, strict=True)], axis=1) / root[:, None]
    )
    to_modes, from_modes = np.zeros((m, n)), np.zeros((n, m))
    to_modes[:, unknown], from_modes[unknown] = left, right
    orthonormal = all(np.array_equal(l, r.T) for _, l, r in found)
    return DenseModes(to_modes, from_modes, np.concatenate([values for values, _, _ in found]), even, orthonormal)


def _mirrored_quarter_sums(values: Array) -> Array:
    return quarter_sums(jnp.flip(values, -1))


def _mirrored_quarter_waves(sums: Array) -> Array:
    return jnp.flip(quarter_waves(sums), -1)


def _diagonalised(matrix: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if np.allclose(matrix, matrix.T, rtol=0, atol=1e-12 * np.abs(matrix).max()):
        values, q = np.linalg.eigh((matrix + matrix.T) / 2)
        return values, q.T, q
    values, right = np.linalg.eig(matrix)
    if np.abs(np.imag(values)).max() > 1e-9 * np.abs(values).max():
        raise ValueError(
            f"the second derivative of order {order} on this axis has no real modes; write order=2 or 4, or take an "
            "explicit stepper such as RK4(dt)."
        )
    return np.real(values), np.linalg.inv(np.real(right)), np.real(right)


def _uniform_matrix(n: int, order: int, centred: bool, lower: type, upper: type) -> np.ndarray:
    reach, periodic = (1 + order) // 2, lower is Periodic
    centre = finite_difference_weights(range(-reach, reach + 1), 0.0, 2)
    matrix = np.zeros((n, n))
    for i in range(n):
        for j, w in zip(range(i - reach, i + reach + 1), centre, strict=True):
            if periodic or 0 <= j < n:
                matrix[i, j % n] += w
    if not periodic:
        for side, flip in ((lower, False), (upper, True)):
            if centred:
                rows, data = centred_closure_weights(2, order, reach, side), 1
            else:
                rows, data = closure_weights(2, order, reach, side is Neumann), int(side is Neumann)
            rows = rows[:, : rows.shape[1] - data]
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
