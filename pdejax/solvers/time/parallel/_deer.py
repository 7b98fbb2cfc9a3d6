import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from ...linear import _vectors as v
from ._affine import diagonal_recurrence, matrix_recurrence, tamed
from ._recurrence import Recurrence
from ._sweeps import AbstractSweeps


class DEER(AbstractSweeps):
    """Newton's method for the whole trajectory: each sweep solves the recurrence linearised around the last one,
    `h_t = f(g_{t-1}, x_t) + J_t (h_{t-1} - g_{t-1})` with `J_t = df/dh (g_{t-1}, x_t)`, by an associative scan (Lim,
    Zhu, Selfridge & Kasim 2024).

    Converges quadratically for the price of `n^3 T` operations and `n^2 T` numbers, `n` real unknowns a state: for
    small states on parallel hardware. Solved for the change `h - g`, whose rounding errors vanish with it. States that
    overflow on the way are cut off. The gradient takes one more associative scan, not a pass through the sweeps.
    Where perturbations grow exponentially it needs up to `T` sweeps.

    **Arguments:** `rtol`: of the residual, 1e-10 in double and 1e-6 in single precision by default.
    """

    rtol: float | None = None

    def sweep(self, recurrence: Recurrence, h: PyTree[Array], images: PyTree[Array]) -> PyTree[Array]:
        flat, back = _real_vectors(recurrence.start)
        defect = jax.vmap(flat)(v.subtract(images, h))
        change = matrix_recurrence(_jacobians(recurrence, h), defect, tamed)
        return _moved(h, jax.vmap(back)(change))

    def propagate(self, recurrence: Recurrence, h: PyTree[Array], b: PyTree[Array]) -> PyTree[Array]:
        flat, back = _real_vectors(recurrence.start)
        return jax.vmap(back)(matrix_recurrence(_jacobians(recurrence, h), jax.vmap(flat)(b)))


class QuasiDEER(AbstractSweeps):
    """Newton-like sweeps with a diagonal in place of the Jacobians: `n T` numbers, linear convergence (Gonzalez,
    Warrington, Smith & Linderman 2024).

    The gradient, which needs the true Jacobians, takes one scan backwards.

    **Arguments:**

    - `diagonal`: what the Jacobians are replaced by, where it is known: an array, or a pytree, shaped like a state,
      real or complex. For an exponential stepper in its modes that is `exp(dt L)`. Without one, the diagonals of the
      Jacobians, for the price of `n` derivatives a step.
    - `rtol`: of the residual, 1e-10 in double and 1e-6 in single precision by default.
    """

    diagonal: PyTree[Array] | None = None
    rtol: float | None = None

    def sweep(self, recurrence: Recurrence, h: PyTree[Array], images: PyTree[Array]) -> PyTree[Array]:
        defect = v.subtract(images, h)
        if self.diagonal is not None:
            like = lambda g, d: jnp.broadcast_to(g.astype(d.dtype), d.shape)
            solved = lambda g, d: diagonal_recurrence(like(g, d), d, tamed)
            return _moved(h, jax.tree.map(solved, self.diagonal, defect))
        flat, back = _real_vectors(recurrence.start)
        change = diagonal_recurrence(_diagonals(recurrence, h), jax.vmap(flat)(defect), tamed)
        return _moved(h, jax.vmap(back)(change))


def _moved(h: PyTree[Array], change: PyTree[Array]) -> PyTree[Array]:
    return jax.tree.map(lambda x, d: tamed(x + d), h, change)


def _jacobians(recurrence: Recurrence, h: PyTree[Array]) -> Array:
    """`df/dh` of every step, `(T, n, n)`."""
    flat, back = _real_vectors(recurrence.start)
    jacobian = jax.jacfwd(lambda w, x: flat(recurrence.step(back(w), x)))
    return jax.vmap(jacobian)(jax.vmap(flat)(recurrence.before(h)), recurrence.inputs)


def _diagonals(recurrence: Recurrence, h: PyTree[Array]) -> Array:
    """The diagonal of `df/dh` of every step, `(T, n)`, one entry after the other: no matrix is kept."""
    flat, back = _real_vectors(recurrence.start)
    states = jax.vmap(flat)(recurrence.before(h))

    def entry(j: Array) -> Array:
        def one(w: Array, x: PyTree[Array]) -> Array:
            along = jax.nn.one_hot(j, w.size, dtype=w.dtype)
            return jax.jvp(lambda w: flat(recurrence.step(back(w), x)), (w,), (along,))[1][j]

        return jax.vmap(one)(states, recurrence.inputs)

    return jax.lax.map(entry, jnp.arange(states.shape[1])).T


def _real_vectors(like: PyTree[Array]):
    """States such as this one as real vectors, and the way back."""

    def real(state: PyTree[Array]) -> PyTree[Array]:
        return jax.tree.map(lambda x: jnp.stack([x.real, x.imag]) if jnp.iscomplexobj(x) else x, state)

    unravel = ravel_pytree(real(like))[1]
    pair = lambda x, old: jax.lax.complex(x[0], x[1]) if jnp.iscomplexobj(old) else x
    return lambda state: ravel_pytree(real(state))[0], lambda w: jax.tree.map(pair, unravel(w), like)
