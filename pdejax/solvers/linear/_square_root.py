import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from equinox.internal import unvmap_any
from jaxtyping import Array

# Quadratic convergence makes about as many steps as binary digits of the condition number, then five.
_MAX_STEPS = 100


def lyapunov(s: Array, g: Array) -> Array:
    """`X` with `S X + X S = G` for Hermitian positive definite `S`, by the matrix sign iteration.

    Roberts 1980; Song, Sebe & Wang 2022 ("Fast differentiable matrix square root"). With `b = S / ||S||`,
    `c = G / ||S||`: `c <- (c (3 - b^2) - b^2 c + b c b) / 2`, `b <- b (3 - b^2) / 2` until `b` is the identity to
    rounding; then `X = c / 2`. The number of steps follows the condition number (12 at 1e2, 18 at 1e4) and is not fixed
    as in the paper. NaN where it does not come to an end within 100 steps (`S` singular or indefinite).

    Shapes `(n, n)`. Differentiable in both arguments, in forward and in reverse mode: derivatives solve Lyapunov
    equations with the same `S`.
    """
    matvec = lambda x: s @ x + x @ s
    return jax.lax.custom_linear_solve(
        matvec, g, solve=lambda _, g: _by_sign(s, g), transpose_solve=lambda _, g: _by_sign(s.T, g)
    )


def _by_sign(s: Array, g: Array) -> Array:
    real = jnp.finfo(s.dtype).dtype
    identity = jnp.eye(s.shape[0], dtype=s.dtype)
    size = jnp.linalg.norm(s).astype(s.dtype)
    # The error is squared in each step: after one of the root of the rounding unit, one step more is exact.
    tolerance = jnp.sqrt(jnp.finfo(real).eps)

    def going(distance, step):
        return ~(distance <= tolerance) & (step < _MAX_STEPS)

    def advance(b, c):
        square = b @ b
        c = (c @ (3 * identity - square) - square @ c + b @ c @ b) / 2
        return b @ (3 * identity - square) / 2, c

    def body(carry):
        b, c, distance, step = carry
        live = going(distance, step)
        b, c = jax.tree.map(lambda new, old: jnp.where(live, new, old), advance(b, c), (b, c))
        return b, c, jnp.linalg.norm(b - identity), step + live.astype(step.dtype)

    b = s / size
    start = b, g / size, jnp.linalg.norm(b - identity), jnp.zeros((), int)
    b, c, distance, _ = jax.lax.while_loop(lambda carry: unvmap_any(going(*carry[2:])), body, start)
    _, c = advance(b, c)
    return jnp.where(distance <= tolerance, c / 2, jnp.nan)


def eigen_root(a: Array) -> Array:
    """The square root of a Hermitian positive semidefinite matrix from its eigenvalues; exact to rounding."""
    values, vectors = jnp.linalg.eigh(a)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0)).astype(a.dtype)[None]) @ jnp.conj(vectors).T


def pade_root(a: Array, order: int = 5) -> Array:
    """The square root from the diagonal Pade approximant of `sqrt(1 - z)` at `Z = I - A / ||A||`.

    Partial fractions (Lu 1998; Higham 2008, section 6.7): `1 - sum_j alpha_j z / (1 - beta_j z)` with
    `alpha_j = 2 sin(t_j)^2 / (2 m + 1)`, `beta_j = cos(t_j)^2`, `t_j = j pi / (2 m + 1)`; `order` m = 5 is the paper's
    choice. Linear solves only, but rough: the error grows with the condition number (a few per cent at 1e2).
    """
    size = jnp.linalg.norm(a).astype(a.dtype)
    identity = jnp.eye(a.shape[0], dtype=a.dtype)
    z = identity - a / size
    angles = np.pi * np.arange(1, order + 1) / (2 * order + 1)
    alpha, beta = 2 * np.sin(angles) ** 2 / (2 * order + 1), np.cos(angles) ** 2
    terms = (float(w) * jnp.linalg.solve(identity - float(c) * z, z) for w, c in zip(alpha, beta, strict=True))
    return jnp.sqrt(size) * (identity - sum(terms))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def sqrtm_psd(a: Array, root: Callable[[Array], Array] = eigen_root) -> Array:
    """`A^(1/2)` of a Hermitian positive semidefinite matrix `(n, n)`, differentiable also at repeated eigenvalues.

    From `S^2 = A`: `S dS + dS S = dA`, which `lyapunov` solves; derivatives through the eigenvectors themselves would
    divide by differences of eigenvalues. Needs a definite `A` for its derivatives (NaN otherwise). `root`: `eigen_root`
    or `pade_root`.
    """
    return root(a)


@sqrtm_psd.defjvp
def _(root, primals, tangents):
    s = sqrtm_psd(primals[0], root)
    return s, lyapunov(s, tangents[0])
