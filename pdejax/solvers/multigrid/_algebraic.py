import importlib
import types
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Array

from ..linear._kernel import Projection, kernel_projection
from ..linear._positive import AbstractPositive
from ..linear._sparse import SparseMatrix, check_positive


class _Level(eqx.Module):
    matrix: SparseMatrix
    prolong: SparseMatrix
    restrict: SparseMatrix
    # Inverse of the diagonal, and the largest eigenvalue of its product with the matrix.
    inverse: Array
    largest: Array


class AlgebraicMultigrid(AbstractPositive):
    """One V-cycle of algebraic multigrid as an approximate inverse, for `options["preconditioner"]` of PCG.

    The hierarchy (matrices and prolongations) comes from the host, from pyamg; the cycle runs in JAX. Smoothing is by a
    Chebyshev polynomial in `D^-1 A` (Adams, Brezina, Hu & Tuminaro 2003), the same before and after the coarse
    correction and restriction the adjoint of prolongation, so that the cycle is Hermitian positive.

    **Arguments:** `hierarchy`: what `pyamg.smoothed_aggregation_solver`, `ruge_stuben_solver`, `rootnode_solver`, ...
    return, for a Hermitian positive semidefinite matrix; `degree` of the polynomial; `projection`: see
    `kernel_projection`, for singular matrices; `dtype` of the cycle (default: that of the matrix).

    **Raises** `ValueError` where a coarse matrix is not positive semidefinite: then neither is the matrix.
    """

    projection: Projection | None
    degree: int = eqx.field(static=True)
    _levels: tuple[_Level, ...]
    _coarsest: Array

    def __init__(self, hierarchy: Any, degree: int = 3, projection: Projection | None = None, dtype: Any = None):
        *finer, last = hierarchy.levels
        dtype = jnp.dtype(last.A.dtype if dtype is None else dtype)
        self._levels = tuple(_level(level.A, level.P, dtype) for level in finer)
        self._coarsest = jnp.asarray(_pseudo_inverse(last.A.toarray(), abs(hierarchy.levels[0].A).max()), dtype)
        self.degree, self.projection = degree, projection

    def mv(self, vector: Array) -> Array:
        """One cycle from zero for `A x = r`."""
        if self.projection is None:
            return self._cycle(0, vector)
        return self.projection.mv(self._cycle(0, self.projection.mv(vector)))

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """As for the matrix of the finest level."""
        size = self._levels[0].inverse.shape[0] if self._levels else self._coarsest.shape[0]
        return jax.ShapeDtypeStruct((size,), self._coarsest.dtype)

    def _cycle(self, depth: int, r: Array) -> Array:
        if depth == len(self._levels):
            return self._coarsest @ r
        level = self._levels[depth]
        x = self._smooth(level, r)
        x = x + level.prolong.mv(self._cycle(depth + 1, level.restrict.mv(r - level.matrix.mv(x))))
        return x + self._smooth(level, r - level.matrix.mv(x))

    def _smooth(self, level: _Level, r: Array) -> Array:
        """`p(D^-1 A) D^-1 r`: one damped Jacobi step for each root of the Chebyshev polynomial."""
        steps = (1 / (jnp.asarray(_roots(self.degree), level.largest.dtype) * level.largest)).astype(r.dtype)
        relax = lambda j, x: x + steps[j] * level.inverse * (r - level.matrix.mv(x))
        return jax.lax.fori_loop(1, self.degree, relax, steps[0] * level.inverse * r)


def smoothed_aggregation(
    matrix: SparseMatrix, near_null_space: np.ndarray | None = None, degree: int = 3, **settings: Any
) -> AlgebraicMultigrid:
    """Smoothed-aggregation multigrid for a Hermitian positive semidefinite `SparseMatrix`.

    Vanek, Mandel & Brezina 1996. pyamg builds the hierarchy, on the host. A singular matrix is met by projection: where
    the matrix annihilates combinations of the near null space (`projection` of the result), it acts on their
    complement; solve for `projection.mv(b)`. Empty rows are left alone.

    **Arguments:** `near_null_space (n, vectors)`: what the matrix hardly sees on the scale of its entries (default:
    constants; for elasticity the rigid modes); `degree` of the smoother; `settings`: further arguments of
    `pyamg.smoothed_aggregation_solver`.

    **Raises** `ImportError` without pyamg; `TypeError` for other operators; `ValueError` for a matrix that is not
    square, not Hermitian or not positive semidefinite (as far as diagonals and the coarsest matrix show), or whose
    values are traced.
    """
    check_positive(matrix, "smoothed_aggregation", definite=False)
    if isinstance(matrix.values, jax.core.Tracer):
        raise ValueError(
            "smoothed_aggregation builds its hierarchy on the host and needs concrete values; build it outside jax.jit "
            "and jax.grad, from values near those of the solve."
        )
    host = matrix.to_scipy()
    # Aggregation works in double precision, whatever the cycle is going to use.
    host = host.astype(np.promote_types(host.dtype, np.float64))
    candidates = np.ones((host.shape[0], 1)) if near_null_space is None else np.asarray(near_null_space)
    candidates = candidates.reshape(host.shape[0], -1).astype(np.promote_types(host.dtype, candidates.dtype))
    projection = kernel_projection(matrix, candidates)
    empty = host.diagonal() == 0
    host = scipy.sparse.csr_matrix(host + scipy.sparse.diags_array(empty.astype(host.dtype)))
    hierarchy = _pyamg().smoothed_aggregation_solver(host, B=candidates, **settings)
    return AlgebraicMultigrid(hierarchy, degree, projection, matrix.values.dtype)


def _pyamg() -> types.ModuleType:
    try:
        return importlib.import_module("pyamg")
    except ImportError as error:
        raise ImportError("smoothed_aggregation builds its hierarchy with pyamg: pip install pyamg") from error


def _level(matrix, prolong, dtype) -> _Level:
    matrix, prolong = scipy.sparse.csr_array(matrix), scipy.sparse.csr_array(prolong)
    diagonal = np.real(matrix.diagonal())
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1))
    scaled = scipy.sparse.diags_array(scale) @ matrix @ scipy.sparse.diags_array(scale)
    cast = lambda m, tags=(): SparseMatrix.from_scipy(m.astype(dtype), tags)
    return _Level(
        SparseMatrix.from_scipy(matrix.astype(dtype)),
        cast(prolong),
        cast(prolong.conj().T),
        jnp.asarray(scale**2, dtype),
        jnp.asarray(_largest_eigenvalue(scaled), jnp.finfo(dtype).dtype),
    )


def _largest_eigenvalue(matrix) -> float:
    """Of a Hermitian matrix, from above by a few per cent: Lanczos' estimate, which is from below, and a margin."""
    size = matrix.shape[0]
    if size < 4:
        return float(np.linalg.eigvalsh(matrix.toarray())[-1])
    start = np.random.default_rng(0).normal(size=size).astype(matrix.dtype)
    return 1.05 * float(scipy.sparse.linalg.eigsh(matrix, 1, v0=start, tol=0.02, return_eigenvectors=False)[0])


def _pseudo_inverse(matrix: np.ndarray, scale: float) -> np.ndarray:
    """Of the coarsest matrix, whose rounding errors are relative to the entries of the finest."""
    values, vectors = np.linalg.eigh(matrix)
    rounding = 1e3 * np.finfo(values.dtype).eps * max(np.abs(values).max(initial=0.0), scale)
    if values.min(initial=0.0) < -rounding:
        raise ValueError(
            f"the coarsest matrix has the eigenvalue {values.min():.3g}: the matrix is indefinite. Use MINRES, or "
            "FGMRES with a preconditioner for a definite part of it."
        )
    inverse = np.where(values > rounding, 1 / np.where(values > rounding, values, 1), 0)
    return (vectors * inverse) @ vectors.conj().T


def _roots(degree: int) -> np.ndarray:
    """Roots of the Chebyshev polynomial on the upper part of [0, 1]: what a coarser level cannot see."""
    low = 1 / 8
    return (1 + low) / 2 + (1 - low) / 2 * np.cos(np.pi * (np.arange(degree) + 0.5) / degree)
