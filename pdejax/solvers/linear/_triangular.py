import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ._sparse import Pattern, SparseMatrix, check_square, row_sums


def levels(first: np.ndarray, then: np.ndarray, size: int) -> np.ndarray:
    """The earliest round in which each of `size` tasks can be done, for tasks `first[i]` needed by tasks `then[i]`.

    Kahn's topological sort (1962), all tasks that are ready at once.
    """
    then = then[np.argsort(first, kind="stable")]
    start = np.append(0, np.cumsum(np.bincount(first, minlength=size)))
    waiting = np.bincount(then, minlength=size)
    level, round_, ready = np.zeros(size, int), 0, np.flatnonzero(waiting == 0)
    while len(ready):
        level[ready] = round_
        freed = then[ranges(start[ready], start[ready + 1])]
        done, times = np.unique(freed, return_counts=True)
        waiting[done] -= times
        ready, round_ = done[waiting[done] == 0], round_ + 1
    return level


def ranges(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """`arange(start[0], stop[0]), arange(start[1], stop[1]), ...` in one array."""
    length = stop - start
    return np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length)


def batches(level: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The batch of each task, in the order of the levels: levels are cut so that batches are of similar cost.

    There are at most twice as many batches as levels, each of at most twice the mean cost of a level (or of one task).
    """
    order = np.lexsort((np.arange(len(level)), level))
    budget = max(int(np.ceil(cost.sum() / max(level.max(initial=0) + 1, 1))), int(cost.max(initial=1)))
    before = np.cumsum(cost[order]) - cost[order]
    opens = np.append(True, np.diff(level[order]) > 0)[: len(order)]
    before = before - np.maximum.accumulate(np.where(opens, before, 0))
    keys = np.stack([level[order], before // budget])
    batch = np.empty(len(level), int)
    batch[order] = np.cumsum(np.append(0, np.any(np.diff(keys, axis=1) != 0, axis=0)))[: len(order)]
    return batch


class _Sweep(eqx.Module):
    """A triangular solve as a sequence of batches of rows that do not meet; unknowns are numbered by batch.

    `row (batches * width)`, `pivot (batches, width)`, `entry` and `column (batches, longest row, width)`, `place (n)`.
    """

    row: Array
    pivot: Array
    entry: Array
    column: Array
    place: Array

    def __init__(self, pattern: Pattern):
        size, nnz = pattern.shape[0], pattern.nnz
        inner = np.flatnonzero(pattern.rows != pattern.columns)
        rows, columns, entry = pattern.rows[inner].astype(int), pattern.columns[inner].astype(int), inner
        pivot = pattern.find(np.arange(size), np.arange(size))
        if (pivot == nnz).any():
            raise ValueError(
                f"a triangular solve needs all diagonal entries; row {int(np.argmax(pivot == nnz))} has none."
            )
        longest = max(8, 2 * -(-len(inner) // max(size, 1)))
        rows, columns, entry, total = _cut(rows, columns, entry, size, longest, nnz)
        # Behind the values of the matrix stand the constants 0, 1 and -1.
        pivot = np.append(pivot, np.full(total - size, nnz + 1))
        length = np.bincount(rows, minlength=total)
        batch = batches(levels(columns, rows, total), np.ones(total, int))
        count, order = batch.max(initial=-1) + 1, np.argsort(batch, kind="stable")
        members = np.bincount(batch, minlength=count)
        width, depth = members.max(initial=0), length.max(initial=0)
        slot = np.empty(total, int)
        slot[order] = ranges(np.arange(count) * width, np.arange(count) * width + members)
        self.place = jnp.asarray(slot[:size].astype(np.int32))
        row = np.full(count * width, size, np.int32)
        row[slot[:size]] = np.arange(size)
        self.row = jnp.asarray(row)
        pivots = np.full((count, width), nnz + 1, np.int32)
        pivots.ravel()[slot] = pivot
        self.pivot = jnp.asarray(pivots)
        by_row = np.argsort(rows, kind="stable")
        rows, columns, entry = rows[by_row], columns[by_row], entry[by_row]
        at = slot[rows] // max(width, 1), np.arange(len(rows)) - (np.cumsum(length) - length)[rows], slot[rows] % width
        entries = np.full((count, depth, width), nnz, np.int32)
        places = np.zeros((count, depth, width), np.int32)
        entries[at], places[at] = entry, slot[columns]
        self.entry, self.column = jnp.asarray(entries), jnp.asarray(places)

    def solve(self, values: Array, vector: Array) -> Array:
        """`x` with `L x = b`."""
        dtype = values.dtype
        values = jnp.concatenate([values, jnp.asarray([0, 1, -1], dtype)])
        right = jnp.append(vector, jnp.zeros((), dtype))[self.row].reshape(self.pivot.shape)
        pivot = values[self.pivot]
        count, width = self.pivot.shape

        def batch(k, x):
            done = (right[k] - row_sums(values, self.entry[k], self.column[k], x)) / pivot[k]
            return jax.lax.dynamic_update_slice(x, done, (k * width,))

        return jax.lax.fori_loop(0, count, batch, jnp.zeros(count * width, dtype))[self.place]


def _cut(rows, columns, entry, size: int, longest: int, nnz: int):
    """Rows of more than `longest` entries cut into parts, `x_part = -(L x)_part`, that the row takes with factor -1."""
    while (np.bincount(rows, minlength=size) > longest).any():
        order = np.argsort(rows, kind="stable")
        rows, columns, entry = rows[order], columns[order], entry[order]
        length = np.bincount(rows, minlength=size)
        place = np.arange(len(rows)) - (np.cumsum(length) - length)[rows]
        long = length[rows] > longest
        opens = long & (place % longest == 0)
        part = size - 1 + np.cumsum(opens)
        owner = rows[opens]
        rows = np.concatenate([np.where(long, part, rows), owner])
        columns = np.concatenate([columns, part[opens]])
        entry = np.concatenate([entry, np.full(len(owner), nnz + 2)])
        size += len(owner)
    return rows, columns, entry, size


class TriangularInverse(lx.AbstractLinearOperator):
    """The inverse of a triangular `SparseMatrix`, by substitution in batches of rows that do not meet.

    Level scheduling (Anderson & Saad 1989): the batches are found on the host from the pattern; as many steps as the
    longest chain of dependent rows (`2 n - 1` on an `n x n` grid of five-point equations numbered row by row, two if
    numbered by colour), up to twice that to balance them. Values may be traced and differentiated.

    **Raises** `ValueError` for entries on both sides of the diagonal, or a row without diagonal entry.
    """

    matrix: SparseMatrix
    _sweep: _Sweep

    def __init__(self, matrix: SparseMatrix):
        check_square(matrix, "a triangular solve")
        pattern = matrix.pattern
        if (pattern.rows < pattern.columns).any() and (pattern.rows > pattern.columns).any():
            raise ValueError(
                "a triangular solve takes a lower or upper triangular matrix; this one has entries on both sides of "
                "the diagonal: take a triangle with matrix.where(pattern.rows >= pattern.columns)."
            )
        self.matrix = matrix
        self._sweep = _Sweep(pattern)

    def with_values(self, values: Array) -> "TriangularInverse":
        """The inverse of the matrix with other values at the same places, without the work on the host."""
        return eqx.tree_at(lambda inverse: inverse.matrix, self, self.matrix.with_values(values))

    def mv(self, vector: Array) -> Array:
        """`x` with `L x = b`."""

        def back(_, b):
            other = self.transpose()
            return other._sweep.solve(other.matrix.values, b)

        # A linear solve in the eyes of JAX: its derivatives are solves too, and no loop has to be stored.
        return jax.lax.custom_linear_solve(
            self.matrix.mv, vector, solve=lambda _, b: self._sweep.solve(self.matrix.values, b), transpose_solve=back
        )

    def as_matrix(self) -> Array:
        """The dense inverse."""
        return jax.vmap(self.mv, in_axes=1, out_axes=1)(jnp.eye(self.in_size(), dtype=self.matrix.values.dtype))

    def transpose(self) -> "TriangularInverse":
        """The inverse of the transpose."""
        return TriangularInverse(self.matrix.transpose())

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """As for the matrix."""
        return self.matrix.in_structure()

    def out_structure(self) -> jax.ShapeDtypeStruct:
        """As for the matrix."""
        return self.matrix.out_structure()


@lx.linearise.register(TriangularInverse)
def _(operator):
    return operator


@lx.materialise.register(TriangularInverse)
def _(operator):
    return lx.MatrixLinearOperator(operator.as_matrix())


@lx.diagonal.register(TriangularInverse)
def _(operator):
    return 1 / lx.diagonal(operator.matrix)


@lx.conj.register(TriangularInverse)
def _(operator):
    return operator.with_values(jnp.conj(operator.matrix.values))


for _check in (
    lx.is_symmetric,
    lx.is_diagonal,
    lx.is_tridiagonal,
    lx.has_unit_diagonal,
    lx.is_positive_semidefinite,
    lx.is_negative_semidefinite,
):
    _check.register(TriangularInverse, lambda operator: False)


@lx.is_lower_triangular.register(TriangularInverse)
def _(operator):
    return not bool((operator.matrix.pattern.rows < operator.matrix.pattern.columns).any())


@lx.is_upper_triangular.register(TriangularInverse)
def _(operator):
    return not bool((operator.matrix.pattern.rows > operator.matrix.pattern.columns).any())
