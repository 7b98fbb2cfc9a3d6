import functools
import hashlib
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import scipy.sparse
from jaxtyping import Array

from ._check import is_hermitian

# Up to this many entries a row, a product is one fused pass; beyond, a loop over the entries that compiles faster.
_UNROLLED = 16


class Pattern:
    """Where a sparse matrix has entries: `rows` and `columns` (row by row, columns rising), on the host and immutable.

    Compares and hashes by content, so that it can be a static field: a function jitted for one matrix serves all
    matrices of the pattern.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]):
        self.rows, self.columns = np.asarray(rows, np.int32), np.asarray(columns, np.int32)
        self.shape = (int(shape[0]), int(shape[1]))

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return len(self.rows)

    @functools.cached_property
    def keys(self) -> np.ndarray:
        """`row * number of columns + column` of each entry: rising."""
        return self.rows.astype(np.int64) * self.shape[1] + self.columns

    def find(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Index of the entries at these places; `nnz` where there is none."""
        keys = np.asarray(rows, np.int64) * self.shape[1] + columns
        index = np.searchsorted(self.keys, keys)
        found = np.append(self.keys, -1)[index] == keys
        return np.where(found, index, self.nnz).astype(np.int32)

    @functools.cached_property
    def transposed(self) -> tuple["Pattern", np.ndarray]:
        """The pattern of the transpose, and which entry of this one each of its entries is."""
        order = np.lexsort((self.rows, self.columns))
        return Pattern(self.columns[order], self.rows[order], self.shape[::-1]), order

    @functools.cached_property
    def slots(self) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], np.ndarray | None]:
        """Rows of similar length side by side: blocks (entry, column), each `(longest row, rows)`, and the way back.

        Within a block lengths differ by less than a factor of two, which bounds the padding (with entry `nnz`).
        """
        length = np.bincount(self.rows, minlength=self.shape[0])
        place = np.arange(self.nnz) - np.repeat(np.cumsum(length) - length, length)
        level = np.floor(np.log2(max(length.max(initial=1), 1) / np.maximum(length, 0.5))).astype(int)
        blocks, order = [], []
        for bucket in np.unique(level):
            members = np.flatnonzero(level == bucket)
            position = np.full(self.shape[0], -1)
            position[members] = np.arange(len(members))
            entry = np.full((length[members].max(initial=0), len(members)), self.nnz, np.int32)
            column = np.zeros_like(entry)
            chosen = np.flatnonzero(position[self.rows] >= 0)
            at = place[chosen], position[self.rows[chosen]]
            entry[at], column[at] = chosen, self.columns[chosen]
            blocks.append((entry, column))
            order.append(members)
        return tuple(blocks), None if len(blocks) == 1 else np.argsort(np.concatenate(order)).astype(np.int32)

    @functools.cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.rows.tobytes() + self.columns.tobytes()).digest()

    def __hash__(self) -> int:
        return hash((self.shape, self._digest))

    def __eq__(self, other: Any) -> bool:
        if self is other:
            return True
        return isinstance(other, Pattern) and self.shape == other.shape and self._digest == other._digest

    def __repr__(self) -> str:
        return f"Pattern(shape={self.shape}, nnz={self.nnz})"


class SparseMatrix(lx.AbstractLinearOperator):
    """A sparse matrix as a linear operator: a `Pattern` known on the host, and `values` that may be traced.

    Products go through rows of similar length side by side, one gather for each entry of the rows: on CPU as fast as
    SciPy's compressed rows on one core. `transpose` works on the host too, once for each pattern.

    **Arguments:** `pattern`; `values`, one for each entry in the order of the pattern; `tags`: lineax' tags (unchecked
    here; `from_scipy` checks them). Usually made by `from_scipy` or `from_entries`.
    """

    pattern: Pattern = eqx.field(static=True)
    values: Array
    tags: frozenset = eqx.field(static=True)
    _blocks: tuple[tuple[Array, Array], ...]
    _return: Array | None

    def __init__(self, pattern: Pattern, values: Array, tags: Any = ()):
        if jnp.shape(values) != (pattern.nnz,):
            raise ValueError(
                f"a sparse matrix with {pattern.nnz} entries needs values of shape ({pattern.nnz},), got "
                f"{jnp.shape(values)}; to give rows and columns as well use SparseMatrix.from_entries."
            )
        values = jnp.asarray(values)
        self.pattern = pattern
        self.values = values if jnp.issubdtype(values.dtype, jnp.inexact) else values.astype(float)
        self.tags = frozenset(tags if isinstance(tags, Iterable) else (tags,))
        self._blocks, self._return = jax.tree.map(jnp.asarray, pattern.slots)

    @classmethod
    def from_entries(cls, rows, columns, values: Array, shape: tuple[int, int], tags: Any = ()) -> "SparseMatrix":
        """From entries in any order, those at one place added up; rows and columns are known on the host.

        **Raises** `TypeError` where rows or columns are traced, `ValueError` where they leave the shape.
        """
        if isinstance(rows, jax.core.Tracer) or isinstance(columns, jax.core.Tracer):
            raise TypeError("the places of the entries must be known outside jax.jit; only values may be traced.")
        rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[1])
        if rows.shape != columns.shape or rows.shape != jnp.shape(values) or outside.any():
            raise ValueError(
                f"rows, columns and values must have one length and places within the shape {shape}; got shapes "
                f"{rows.shape}, {columns.shape}, {jnp.shape(values)} and {int(outside.sum())} places outside."
            )
        keys, entry = np.unique(rows * shape[1] + columns, return_inverse=True)
        values = jax.ops.segment_sum(jnp.asarray(values), entry, num_segments=len(keys))
        return cls(Pattern(*np.divmod(keys, shape[1]), shape), values, tags)

    @classmethod
    def from_scipy(cls, matrix, tags: Any = ()) -> "SparseMatrix":
        """From any SciPy sparse matrix or array.

        **Raises** `ValueError` where values are not finite, and where the tags promise a symmetric or semidefinite
        matrix that the values (asymmetry above rounding; a diagonal entry of the wrong sign) refute.
        """
        host = scipy.sparse.csr_array(matrix, copy=True)
        if not np.all(np.isfinite(host.data)):
            raise ValueError("the sparse matrix has values that are not finite.")
        host.sum_duplicates()
        rows = np.repeat(np.arange(host.shape[0]), np.diff(host.indptr))
        result = cls(Pattern(rows, host.indices, host.shape), host.data, tags)
        check_tags(result)
        return result

    def to_scipy(self) -> scipy.sparse.csr_array:
        """As SciPy's compressed rows."""
        pattern = self.pattern
        return scipy.sparse.csr_array((np.asarray(self.values), (pattern.rows, pattern.columns)), shape=pattern.shape)

    def with_values(self, values: Array, tags: Any = None) -> "SparseMatrix":
        """Other values at the same places; the same tags unless others are given."""
        return SparseMatrix(self.pattern, values, self.tags if tags is None else tags)

    def where(self, keep: np.ndarray, tags: Any = ()) -> "SparseMatrix":
        """The matrix of the entries for which the mask (one flag for each entry) is true."""
        p, kept = self.pattern, np.flatnonzero(keep)
        return SparseMatrix(Pattern(p.rows[kept], p.columns[kept], p.shape), self.values[kept], tags)

    def mv(self, vector: Array) -> Array:
        """`A x`."""
        padded = jnp.append(self.values, jnp.zeros((), self.values.dtype))
        out = jnp.concatenate([row_sums(padded, entry, column, vector) for entry, column in self._blocks])
        return out if self._return is None else out[self._return]

    def as_matrix(self) -> Array:
        """All values, zeros included."""
        p = self.pattern
        return jnp.zeros(p.shape, self.values.dtype).at[p.rows, p.columns].set(self.values)

    def transpose(self) -> "SparseMatrix":
        """`A^T`; itself where tagged symmetric."""
        if lx.is_symmetric(self):
            return self
        if is_hermitian(self):
            return lx.conj(self)
        pattern, order = self.pattern.transposed
        return SparseMatrix(pattern, self.values[order], lx.transpose_tags(self.tags))

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """Vectors of `shape[1]` entries in the dtype of the values."""
        return jax.ShapeDtypeStruct((self.pattern.shape[1],), self.values.dtype)

    def out_structure(self) -> jax.ShapeDtypeStruct:
        """Vectors of `shape[0]` entries in the dtype of the values."""
        return jax.ShapeDtypeStruct((self.pattern.shape[0],), self.values.dtype)


def row_sums(values: Array, entry: Array, column: Array, vector: Array) -> Array:
    """`sum_j values[entry[j, i]] vector[column[j, i]]`, for arrays `(longest row, rows)`."""
    pick = lambda array, index: array.at[index].get(mode="promise_in_bounds")
    width, rows = entry.shape
    if width == 0:
        return jnp.zeros(rows, values.dtype)
    if width > rows:
        return jnp.sum(pick(values, entry.T) * pick(vector, column.T), axis=1)
    # A gather of a table and its sum over an axis are not fused, separate gathers are: several times faster.
    table = pick(values, entry)
    add = lambda j, total: total + table[j] * pick(vector, column[j])
    return jax.lax.fori_loop(0, width, add, jnp.zeros(rows, values.dtype), unroll=width <= _UNROLLED)


def check_square(operator: lx.AbstractLinearOperator, name: str) -> None:
    """**Raises** `TypeError` unless the operator is a `SparseMatrix`, `ValueError` unless it is square."""
    if not isinstance(operator, SparseMatrix):
        raise TypeError(
            f"{name} works on the entries of a matrix and takes a SparseMatrix, got {type(operator).__name__}; "
            "make one with SparseMatrix.from_scipy(matrix)."
        )
    if operator.pattern.shape[0] != operator.pattern.shape[1]:
        raise ValueError(f"{name} takes a square matrix, got shape {operator.pattern.shape}.")


def check_positive(matrix: SparseMatrix, name: str, definite: bool = True) -> None:
    """As `check_square`, and **raises** `ValueError` unless the matrix is Hermitian (up to rounding) with a positive
    diagonal (one that is not negative, if only semidefinite); values that are traced are believed.
    """
    check_square(matrix, name)
    kind = "definite" if definite else "semidefinite"
    _check_values(matrix, f"{name} takes a symmetric (Hermitian) positive {kind} matrix", 1, definite)


def check_tags(matrix: SparseMatrix) -> None:
    """**Raises** `ValueError` where the values refute the tags; values that are traced are believed."""
    if is_hermitian(matrix):
        sign = int(lx.is_positive_semidefinite(matrix)) - int(lx.is_negative_semidefinite(matrix))
        _check_values(matrix, "the tags promise a symmetric (Hermitian) or semidefinite matrix", sign)


def _check_values(matrix: SparseMatrix, wanted: str, sign: int, strict: bool = False) -> None:
    if isinstance(matrix.values, jax.core.Tracer):
        return
    host = matrix.to_scipy()
    difference = abs((host - host.conj().T).data).max(initial=0)
    if difference > 1e3 * np.finfo(host.dtype).eps * abs(host.data).max(initial=0):
        raise ValueError(
            f"{wanted}, but A and its (conjugate) transpose differ by up to {difference:.3g}; for a nonsymmetric "
            "matrix use GMRES or FGMRES."
        )
    diagonal = sign * np.real(host.diagonal())
    wrong = diagonal <= 0 if strict else diagonal < 0
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"{wanted}, but diagonal entry {i} is {host.diagonal()[i]:.3g} (one of {int(wrong.sum())}). For an "
            "indefinite matrix use MINRES; for one of the other sign, negate the system; leave out empty rows, or "
            "leave them to smoothed_aggregation."
        )


def _offset_diagonal(operator: SparseMatrix, offset: int) -> Array:
    rows = np.arange(max(-offset, 0), min(operator.pattern.shape[0], operator.pattern.shape[1] - offset))
    padded = jnp.append(operator.values, jnp.zeros((), operator.values.dtype))
    return padded[operator.pattern.find(rows, rows + offset)]


@lx.linearise.register(SparseMatrix)
@lx.materialise.register(SparseMatrix)
def _(operator):
    return operator


@lx.conj.register(SparseMatrix)
def _(operator):
    real = not jnp.iscomplexobj(operator.values)
    return operator if real else operator.with_values(jnp.conj(operator.values))


@lx.diagonal.register(SparseMatrix)
def _(operator):
    return _offset_diagonal(operator, 0)


@lx.tridiagonal.register(SparseMatrix)
def _(operator):
    return tuple(_offset_diagonal(operator, offset) for offset in (0, -1, 1))


@lx.is_symmetric.register(SparseMatrix)
def _(operator):
    tags = operator.tags
    definite = lx.positive_semidefinite_tag in tags or lx.negative_semidefinite_tag in tags
    return lx.symmetric_tag in tags or (definite and not jnp.iscomplexobj(operator.values))


def _register(check, tag) -> None:
    check.register(SparseMatrix, lambda operator: tag in operator.tags)


_register(lx.is_diagonal, lx.diagonal_tag)
_register(lx.is_tridiagonal, lx.tridiagonal_tag)
_register(lx.has_unit_diagonal, lx.unit_diagonal_tag)
_register(lx.is_lower_triangular, lx.lower_triangular_tag)
_register(lx.is_upper_triangular, lx.upper_triangular_tag)
_register(lx.is_positive_semidefinite, lx.positive_semidefinite_tag)
_register(lx.is_negative_semidefinite, lx.negative_semidefinite_tag)
