from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._cg import check_definite, conjugate_gradients
from ._check import check_preconditioner
from ._krylov import AbstractKrylov, start
from ._preconditioned import constant


class DeflatedCG(AbstractKrylov):
    """Conjugate gradients with given vectors deflated, so that their small eigenvalues no longer slow it down.

    Saad, Yeung, Erhel & Guyomarc'h 2000, algorithm 3.6: for a basis `W` (near null space, low modes, harmonic Ritz
    vectors of an earlier system) the first residual is made orthogonal to `W` and every direction `A`-orthogonal to it:
    `p <- z + beta p - W (W^H A W)^-1 (A W)^H z`. Everything else, the stop included, is as in `PCG`, which it is for an
    empty basis. Dependent or null vectors in `W` do no harm.

    **Arguments:** `basis`: the vectors, stacked along a leading axis of each leaf; gradients do not flow through it;
    the others as for `PCG`. `stats["num_matvecs"]` counts the one application to each vector of the basis.

    **Raises** as `PCG`.
    """

    basis: PyTree[Array] = eqx.field(converter=constant)
    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_definite(operator, "DeflatedCG")
        check_preconditioner(options, "DeflatedCG")
        operator = lx.linearise(operator)
        return operator, self.basis, jax.vmap(operator.mv)(self.basis)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator, basis, images = state
        small = jax.vmap(lambda w: v.project(images, w), out_axes=1)(basis)
        lengths = jax.vmap(v.norm)(basis)
        scale = v.ratio(jnp.ones_like(lengths), lengths, lengths > 0).astype(small.dtype)
        # The pseudo-inverse of the matrix of unit vectors: its cut-off must not depend on how the basis is scaled.
        inverse = jnp.linalg.pinv(scale[:, None] * small * scale[None, :], hermitian=True)
        inverse = scale[:, None] * inverse * scale[None, :]
        x, r, applied = start(operator, vector, options)
        weights = inverse @ v.project(basis, r)
        first = v.combine(weights, basis, x), v.combine(-weights, images, r), applied + lengths.size

        def direct(z):
            return v.combine(-(inverse @ v.project(images, z)), basis, z)

        return conjugate_gradients(self, operator, vector, first, options, direct)
