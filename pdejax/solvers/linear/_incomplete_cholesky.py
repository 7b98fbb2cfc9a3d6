import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from equinox.internal import unvmap_any
from jaxtyping import Array

from ._positive import AbstractPositive
from ._sparse import Pattern, SparseMatrix, check_positive
from ._triangular import TriangularInverse, batches, levels, ranges

# More products than this in one factorisation mean rows so long that the factor is no cheap preconditioner.
_MOST_PRODUCTS = 2 * 10**8
# The last shift is 5e5 times the diagonal: what is left of the matrix then is its diagonal.
_TRIALS = 30


class FactorisedInverse(AbstractPositive):
    """`(L L^H)^-1 = L^-H L^-1` for a sparse lower triangular factor: two triangular solves.

    The values of the factor may be traced and differentiated: this is also how a learned factor becomes a
    preconditioner.
    """

    forward: TriangularInverse
    backward: TriangularInverse

    def __init__(self, factor: SparseMatrix):
        self.forward = TriangularInverse(factor)
        self.backward = TriangularInverse(lx.conj(factor).transpose())

    def mv(self, vector: Array) -> Array:
        """`L^-H L^-1 r`."""
        return self.backward.mv(self.forward.mv(vector))

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """As for the factor."""
        return self.forward.in_structure()


class IncompleteCholesky(AbstractPositive):
    """The inverse of an incomplete Cholesky factorisation `L L^H ~ A` without fill-in, as a preconditioner of PCG.

    IC(0), Meijerink & van der Vorst 1977: `L L^H` agrees with `A` at the entries of `A`, and `L` has no others. Where
    a pivot is not positive (never for M-matrices), `A + shift diag(A)` is factorised instead (Manteuffel 1980) with the
    first `shift` of 1e-3, 2e-3, 4e-3, ... that works; the attribute `shift` reports it. The order of the work is found
    on the host from the pattern; the values may be traced, and no gradient flows through them.

    **Arguments:** `matrix`: a `SparseMatrix`, Hermitian with a positive diagonal.

    **Raises** `TypeError` for other operators, `ValueError` for a matrix that is not square, not Hermitian, has a
    diagonal entry that is negative or missing, or rows too long for a factor without fill-in.
    """

    inverse: FactorisedInverse
    shift: Array

    def __init__(self, matrix: SparseMatrix):
        check_positive(matrix, "IncompleteCholesky")
        lower = matrix.where(matrix.pattern.rows >= matrix.pattern.columns, lx.lower_triangular_tag)
        factor, self.shift = _factorise(_Factorisation(lower.pattern), jax.lax.stop_gradient(lower.values))
        self.inverse = FactorisedInverse(lower.with_values(factor))

    def mv(self, vector: Array) -> Array:
        """`L^-H L^-1 r`."""
        return self.inverse.mv(vector)

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """As for the matrix."""
        return self.inverse.in_structure()

    @property
    def factor(self) -> SparseMatrix:
        """`L`."""
        return self.inverse.forward.matrix


class _Factorisation(eqx.Module):
    """The order of the work: entries in batches, and the products `L_ik conj(L_jk)` that each entry `ij` subtracts.

    `entry`, `pivot (batches, width)`; `left`, `right`, `target (batches, products)`, `target` within the batch.
    """

    entry: Array
    pivot: Array
    left: Array
    right: Array
    target: Array
    diagonal: Array

    def __init__(self, pattern: Pattern):
        nnz, size = pattern.nnz, pattern.shape[0]
        diagonal = pattern.find(np.arange(size), np.arange(size))
        target, left, right = _products(pattern)
        pivot = diagonal[pattern.columns]
        off = np.flatnonzero(pattern.rows != pattern.columns)
        first, then = np.concatenate([left, right, pivot[off]]), np.concatenate([target, target, off])
        cost = 1 + np.bincount(target, minlength=nnz)
        batch = batches(levels(first, then, nnz), cost)
        entry, slot = _pad(batch, np.arange(nnz), nnz)
        pivot = np.append(pivot, nnz + 1).astype(np.int32)[entry]
        order = np.argsort(target, kind="stable")
        target, left, right = target[order], left[order], right[order]
        left, right = _pad(batch[target], left, nnz)[0], _pad(batch[target], right, nnz)[0]
        target = _pad(batch[target], slot[target], entry.shape[1])[0]
        arrays = entry, pivot, left, right, target, diagonal
        self.entry, self.pivot, self.left, self.right, self.target, self.diagonal = map(jnp.asarray, arrays)

    def __call__(self, values: Array, shift: Array) -> tuple[Array, Array]:
        """The factor of the values with a shifted diagonal, and its smallest pivot."""
        nnz, dtype = len(values), values.dtype
        values = values.at[self.diagonal].multiply((1 + shift).astype(dtype))
        width = self.entry.shape[1]

        def batch(carry, work):
            # Behind the entries: a zero that stands for padding, and a one to divide it by.
            factor, smallest = carry
            entry, pivot, left, right, target = work
            product = factor[left] * jnp.conj(factor[right])
            rest = factor[entry] - jax.ops.segment_sum(product, target, num_segments=width + 1)[:width]
            on_diagonal = entry == pivot
            squares = jnp.where(on_diagonal, jnp.real(rest), jnp.ones((), smallest.dtype))
            smallest = jnp.minimum(smallest, jnp.min(jnp.where(jnp.isnan(squares), -1, squares)))
            roots = jnp.sqrt(jnp.where(squares > 0, squares, 1)).astype(dtype)
            return (factor.at[entry].set(jnp.where(on_diagonal, roots, rest / factor[pivot])), smallest), None

        start = jnp.concatenate([values, jnp.asarray([0, 1], dtype)]), jnp.asarray(jnp.inf, shift.dtype)
        (factor, smallest), _ = jax.lax.scan(batch, start, (self.entry, self.pivot, self.left, self.right, self.target))
        return factor[:nnz], smallest


# A function of arrays only, so that the next matrix of the pattern does not compile it again.
@eqx.filter_jit
def _factorise(factorisation: _Factorisation, values: Array) -> tuple[Array, Array]:
    """The factor with the first shift that keeps the pivots positive, and that shift."""
    real = jnp.finfo(values.dtype).dtype

    def shift(trial):
        return jnp.where(trial > 0, 1e-3 * 2.0 ** (trial.astype(real) - 1), jnp.zeros((), real)).astype(real)

    def attempt(carry):
        trial, factor, smallest = carry
        failed = ~(smallest > 0)
        new = factorisation(values, shift(trial))
        factor, smallest = jax.tree.map(lambda a, b: jnp.where(failed, a, b), new, (factor, smallest))
        return trial + failed.astype(trial.dtype), factor, smallest

    unfinished = lambda carry: unvmap_any(~(carry[2] > 0) & (carry[0] < _TRIALS))
    start = jnp.zeros((), int), jnp.zeros_like(values), jnp.asarray(-1, real)
    trial, factor, _ = jax.lax.while_loop(unfinished, attempt, start)
    return factor, shift(trial - 1)


def _products(pattern: Pattern) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All `(ij, ik, jk)` with `k < j <= i` for which the three entries exist."""
    inner = np.flatnonzero(pattern.rows > pattern.columns)
    by_column = inner[np.lexsort((pattern.rows[inner], pattern.columns[inner]))]
    count = np.bincount(pattern.columns[by_column], minlength=pattern.shape[1])
    stop = np.cumsum(count)[pattern.columns[by_column]]
    place = np.arange(len(by_column))
    if (stop - place).sum() > _MOST_PRODUCTS:
        raise ValueError(
            f"a factor without fill-in takes {(stop - place).sum():.1e} products here (rows of up to {count.max()} "
            "entries); put the long rows last, or use smoothed_aggregation."
        )
    right = np.repeat(by_column, stop - place)
    left = by_column[ranges(place, stop)]
    target = pattern.find(pattern.rows[left], pattern.rows[right])
    kept = target < pattern.nnz
    return target[kept], left[kept], right[kept]


def _pad(batch: np.ndarray, items: np.ndarray, filler: int) -> tuple[np.ndarray, np.ndarray]:
    """Items by batch in rows of equal length, and the place of each item in its row."""
    count = np.bincount(batch, minlength=batch.max(initial=-1) + 1)
    order = np.argsort(batch, kind="stable")
    place = np.empty(len(batch), np.int32)
    place[order] = ranges(np.zeros_like(count), count)
    table = np.full((len(count), count.max(initial=0)), filler, np.int32)
    table[batch, place] = items
    return table, place
