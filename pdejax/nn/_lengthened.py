import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ._mode_weights import full_matrices
from ._spectral import SpectralConv


def lengthened(model: PyTree, factor: int) -> PyTree:
    """A model of periodic fields on a domain `factor` times as long along each axis, with the same kernels.

    A `SpectralConv` counts its waves, so on a longer domain of the same spacing its kernel would be stretched. Here it
    keeps its values within half a period about zero, the domain it was made on, and vanishes beyond; its modes become
    `R'_j = sum_k R_k prod_i sinc(k_i - j_i / factor)`, `factor` times as many along each axis. On the longer domain a
    field that repeats itself is mapped as before, and others as well as the kernel is local. All other layers stay.

    **Arguments:** `model` any tree with `SpectralConv` in it, for Fourier axes and without padding.

    **Raises** `ValueError` for a factor below 1 and for padded layers.
    """
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
        raise ValueError(f"lengthened needs a whole factor >= 1, got {factor!r}; write lengthened(model, 2).")
    is_spectral = lambda part: isinstance(part, SpectralConv)
    longer = lambda part: _longer(part, factor) if is_spectral(part) else part
    return jax.tree.map(longer, model, is_leaf=is_spectral)


def _longer(layer: SpectralConv, factor: int) -> SpectralConv:
    if layer.padding:
        raise ValueError(
            f"lengthened is for periodic fields, and a layer has padding={layer.padding}; write padding=0."
        )
    modes = tuple(None if m is None else factor * m for m in layer.modes)
    weights = lambda i, o, kept, *, key: _interpolated(full_matrices(layer.weight), factor)
    key, ndim = jax.random.key(0), len(modes)
    return SpectralConv(layer.in_channels, layer.out_channels, modes, ndim, weights=weights, key=key)


def _interpolated(weight: Array, factor: int) -> Array:
    """Weights `(2, out, in, 2 m_1, .., m_d)` at the waves of the longer domain."""
    *others, last = weight.shape[3:]
    # The other half of the waves of a real kernel, so that all axes are alike.
    mirrored = jnp.flip(weight[..., 1:], axis=-1) * jnp.asarray([1.0, -1.0]).reshape(2, *(1,) * (weight.ndim - 1))
    for axis in range(3, weight.ndim - 1):
        mirrored = jnp.roll(jnp.flip(mirrored, axis), 1, axis)
    weight = jnp.concatenate([mirrored, weight], axis=-1)
    waves = [(_waves(n), _waves(factor * n)) for n in others]
    waves.append((np.arange(1 - last, last), np.arange(factor * last)))
    for axis, (k, j) in enumerate(waves, start=3):
        matrix = jnp.asarray(np.sinc(k[None] - j[:, None] / factor), weight.dtype)
        weight = jnp.moveaxis(jnp.tensordot(matrix, weight, axes=(1, axis), precision="highest"), 0, axis)
    return weight


def _waves(n: int) -> np.ndarray:
    return np.fft.fftfreq(n, 1 / n)
