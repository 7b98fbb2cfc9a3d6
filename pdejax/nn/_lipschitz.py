"""Lipschitz constants of linear layers: bounds, and layers that keep one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._mode_weights import full_matrices
from ._spectral import SpectralConv, arranged


def lipschitz_bound(layer: Any, iterations: int = 8) -> Array:
    """An upper bound of the Lipschitz constant of a linear layer in the 2-norm, for any number of iterations.

    For a matrix, Gram iteration `W_{t+1} = W_t^H W_t`: `||W||_2 <= ||W_t||_F^(2^-t)`, too large by a factor of at most
    `rank^(2^-(t+1))` (1.011 for rank 256 and 8 iterations). Every `W_t` is scaled to norm one and its logarithm kept,
    so that nothing overflows; the rounding of the products is added. It is differentiable.

    For `SpectralConv`, the largest bound among its modes: on `Fourier`, `Sine` and `Cosine` axes in the L2 norm, on
    `Chebyshev` axes in the norm in which their basis is orthogonal; with padding, where it makes the number of nodes
    `n (1 + padding)` whole.

    **Arguments:** `layer`: a matrix, a layer with a matrix `weight` such as `Pointwise`, `SpectralNorm` of it or
    `eqx.nn.Linear`, or a `SpectralConv`.

    **Raises** `TypeError` for anything else, `ValueError` for less than one iteration.

    Source: Delattre, Barthelemy, Araujo & Allauzen 2023, algorithm 1.
    """
    if iterations < 1:
        raise ValueError(f"Gram iteration takes at least one step, got iterations={iterations}; write iterations=8.")
    if isinstance(layer, SpectralConv):
        # Which real numbers make a complex one depends on which axis of a grid is its last Fourier axis.
        axes = range(sum(m is not None for m in layer.modes))
        parts = [arranged(full_matrices(layer.weight), half) for half in axes]
        matrices = [jnp.moveaxis(jax.lax.complex(p[0], p[1]), (0, 1), (-2, -1)) for p in parts]
        return jnp.max(jnp.stack([jnp.max(gram_bound(m, iterations)) for m in matrices]))
    matrix = layer if eqx.is_array(layer) else getattr(layer, "weight", None)
    if not eqx.is_array(matrix) or matrix.ndim != 2:
        raise TypeError(
            f"lipschitz_bound takes a matrix, a layer with a matrix `weight`, or a SpectralConv, got {layer!r}; for a "
            "network multiply the bounds of its layers."
        )
    return gram_bound(matrix, iterations)


class SpectralNorm(eqx.Module):
    """A linear layer whose Lipschitz constant is kept at `bound`: its weight is `W min(1, bound / ||W||)`.

    `||W||` is `lipschitz_bound`, so the constant is not exceeded, and there is no state to carry (`eqx.nn.SpectralNorm`
    keeps vectors of a power iteration, whose norm is a lower bound). For weight normalisation take `eqx.nn.WeightNorm`.
    Inside of a `FixedPoint` the compiler takes the computation of the norm out of the loop.

    **Arguments:** `layer`: what `lipschitz_bound` takes and has a `weight`; `bound`: below 1 for contractions.

    **Shapes:** those of `layer`. **Raises** `ValueError` unless `bound` is positive.

    Source: Miyato, Kataoka, Koyama & Yoshida 2018; not enlarging small weights, Gouk, Frank, Pfahringer & Cree 2021.
    """

    layer: Any
    bound: float = eqx.field(static=True, default=0.9)
    iterations: int = eqx.field(static=True, default=8)

    def __check_init__(self):
        if not self.bound > 0:
            raise ValueError(f"a Lipschitz bound is positive, got bound={self.bound!r}; write bound=0.9.")

    @property
    def weight(self) -> Array:
        """The normalised weight."""
        return self.layer.weight * _factor(lipschitz_bound(self.layer, self.iterations), self.bound)

    @property
    def normalised(self) -> Any:
        """The layer with the normalised weight, for its other methods."""
        return eqx.tree_at(lambda layer: layer.weight, self.layer, self.weight)

    def __call__(self, u: Any) -> Any:
        return self.normalised(u)


def clipped(matrix: Array, bound: float, iterations: int = 8) -> Array:
    """Each of the matrices `(.., out, in)`, divided by what its norm exceeds `bound` by."""
    factor = _factor(gram_bound(matrix, iterations), bound)
    return matrix * factor[..., None, None].astype(matrix.dtype)


def _factor(size: Array, bound: float) -> Array:
    most = jnp.asarray(bound, size.dtype)
    return most / jnp.maximum(size, most)


def gram_bound(matrix: Array, iterations: int) -> Array:
    """The bound of `||W||_2` by Gram iteration, for matrices `(.., out, in)`."""
    size = max(matrix.shape[-2:])
    wide = matrix.shape[-2] < matrix.shape[-1]
    w = _adjoint(matrix) if wide else matrix
    # The bound does not depend on what the powers are divided by, so its derivative does not go through that.
    unit = jax.lax.stop_gradient(jnp.max(jnp.abs(w), axis=(-2, -1)))
    unit = jnp.where(unit > 0, unit, 1)
    w = w / unit[..., None, None].astype(w.dtype)
    logarithm, weight = jnp.zeros_like(unit), 1.0
    for _ in range(iterations):
        w, weight = jnp.matmul(_adjoint(w), w, precision="highest"), weight / 2
        scale = jax.lax.stop_gradient(_frobenius(w))
        scale = jnp.where(scale > 0, scale, 1)
        w, logarithm = w / scale[..., None, None].astype(w.dtype), logarithm + weight * jnp.log(scale)
    last = _frobenius(w)
    logarithm = logarithm + weight * jnp.log(jnp.where(last > 0, last, 1))
    slack = 1 + 2 * size * float(jnp.finfo(last.dtype).eps)
    return jnp.where(last > 0, slack * unit * jnp.exp(logarithm), 0)


def _adjoint(w: Array) -> Array:
    return jnp.swapaxes(jnp.conj(w), -2, -1)


def _frobenius(w: Array) -> Array:
    square = jnp.sum(jnp.real(w) ** 2 + jnp.imag(w) ** 2, axis=(-2, -1))
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
