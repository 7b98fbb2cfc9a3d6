import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.csgraph
from jaxtyping import Array

from ._positive import AbstractPositive
from ._sparse import SparseMatrix


class Projection(AbstractPositive):
    """The orthogonal projection onto the range of a singular Hermitian matrix: `I - Q Q^H`, `Q` a basis of its kernel.

    `A x = b` has a solution where `b` is in the range: solve for `projection.mv(b)`, with a preconditioner that is
    projected on both sides; `projection.mv(x)` is the solution of least norm.

    **Arguments:** `basis (n, vectors)`: orthonormal on each part of the unknowns; `part (n,)`: which part an unknown
    belongs to, where the kernel has its own vectors on each part (the components of a graph). `kernel_projection` finds
    both.
    """

    basis: Array
    part: Array

    def mv(self, vector: Array) -> Array:
        """`x - Q Q^H x`."""
        basis, parts = self.basis, self.part.shape[0]
        weights = jax.ops.segment_sum(jnp.conj(basis) * vector[:, None], self.part, num_segments=parts)
        return vector - jnp.sum(basis * weights[self.part], axis=1)

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """Vectors of all unknowns."""
        return jax.ShapeDtypeStruct(self.part.shape, self.basis.dtype)


def kernel_projection(matrix: SparseMatrix, candidates: np.ndarray | None = None) -> Projection | None:
    """The projection along the kernel that a Hermitian matrix has within the span of some candidates, on the host.

    Candidates `(n, vectors)` are cut to the connected components of the matrix and combined: constants (the default)
    find the kernel of a pure Neumann problem or of a graph Laplacian in any number of pieces, rigid modes that of an
    elastic body, also one held in a point. `None` where the matrix annihilates nothing in the span (to rounding).
    """
    host = matrix.to_scipy()
    size = host.shape[0]
    candidates = np.ones((size, 1)) if candidates is None else np.asarray(candidates)
    candidates = candidates.reshape(size, -1).astype(host.dtype)
    _, part = scipy.sparse.csgraph.connected_components(abs(host), directed=False)
    rounding = 1e4 * np.finfo(host.dtype).eps
    scale = np.abs(host).sum(axis=1).max(initial=0.0)
    basis = np.zeros_like(candidates)
    for members in np.split(np.argsort(part, kind="stable"), np.cumsum(np.bincount(part))[:-1]):
        inside, sizes, _ = np.linalg.svd(candidates[members], full_matrices=False)
        inside = inside[:, sizes > rounding * sizes.max(initial=0.0)]
        image = host[members][:, members] @ inside
        _, gain, combine = np.linalg.svd(image)
        gain = np.append(gain, np.zeros(len(combine) - len(gain)))
        null = inside @ combine.conj().T[:, gain <= rounding * scale]
        basis[members, : null.shape[1]] = null
    if not basis.any():
        return None
    return Projection(jnp.asarray(basis, matrix.values.dtype), jnp.asarray(part, jnp.int32))
