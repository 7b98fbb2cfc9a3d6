from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Linearizer(eqx.Module):
    """`f(x) = g_y^-1(A g_x(x))`: linear for the operations `x + x' = g^-1(g(x) + g(x'))`, `c x = g^-1(c g(x))`.

    With the same `g` on both sides, `f^k = g^-1 A^k g` takes `k` steps for the price of one (a propagator in the sense
    of Koopman), and a diagonal `A` of zeros and ones makes `f` a projection, `f(f(x)) = f(x)`, whatever `g` has learnt.

    **Arguments:**

    - `inner`: `g_x`, an invertible map with a method `inverse`, such as `nn.CouplingNetwork`.
    - `matrix`: `A` `(n, n)`, or its diagonal `(n,)`. A diagonal of booleans is a projection; it is not trained.
    - `outer`: `g_y`; the same as `inner` without one.

    **Shapes:** `(n,)` to `(n,)`. **Raises** `ValueError` for a matrix that is neither square nor a diagonal.

    Source: Berman, Hallak & Shocher 2025, Who said neural networks aren't linear? (from a summary).
    """

    inner: Callable
    matrix: Array | np.ndarray
    outer: Callable | None = None

    def __check_init__(self):
        shape = np.shape(self.matrix)
        if not (len(shape) == 1 or (len(shape) == 2 and shape[0] == shape[1])):
            raise ValueError(f"the matrix is (n, n) or a diagonal (n,), got shape {shape}; write matrix=jnp.ones(n).")

    def __call__(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        return self._through(self.matrix, x)

    def power(self, x: Float[Array, " n"], k: int) -> Float[Array, " n"]:
        """`f^k(x)`, `k >= 0`, in one application.

        **Raises** `ValueError` if there is an outer map, for then `f^k` does not simplify.
        """
        if self.outer is not None:
            raise ValueError("only f with one g on both sides has powers in one application; write outer=None.")
        a = jnp.asarray(self.matrix, x.dtype)
        return self._through(a**k if a.ndim == 1 else jnp.linalg.matrix_power(a, k), x)

    def _through(self, matrix: Array | np.ndarray, x: Array) -> Array:
        a, z = jnp.asarray(matrix, x.dtype), self.inner(x)
        outer = self.inner if self.outer is None else self.outer
        return outer.inverse(a * z if a.ndim == 1 else a @ z)
