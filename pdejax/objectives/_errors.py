import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import energy_spectrum, inner, norm, weighted_energy
from ..fields import GridField


def relative_l2(prediction: GridField, target: GridField) -> Array:
    """Relative error `||p - t|| / ||t||` in L2 over all channels, scalar; norms by the grid's quadrature.

    One sample; the mean over a batch of `jax.vmap(relative_l2)` is the usual loss of operator learning: a mean of
    ratios, not the ratio of the norms over the batch. Frames that are channels share one ratio; `FrameMean` gives each
    its own.

    **Raises** `ValueError` if the fields live on different grids or have different channel counts.
    """
    return _relative(prediction, target, 0)


def relative_h1(prediction: GridField, target: GridField) -> Array:
    """Relative error `||p - t||_1 / ||t||_1`, `||u||_1^2 = ||u||^2 + ||grad u||^2`, over all channels, scalar.

    **Raises** `ValueError` if the fields live on different grids or have different channel counts.
    """
    return _relative(prediction, target, 1)


class RelativeSobolev(eqx.Module):
    """Relative error `||p - t||_s / ||t||_s` in H^s for any real s: `||u||_s^2 = sum_k (1 + |k|^2)^s |u_k|^2`.

    Positive s weighs fine scales more than L2, negative s less. See `calculus.norm` for the axes it needs.

    **Raises** what `relative_l2` and `calculus.norm` raise.
    """

    s: float = eqx.field(static=True, converter=float)

    def __call__(self, prediction: GridField, target: GridField) -> Array:
        return _relative(prediction, target, self.s)


class RelativeWaveH1(eqx.Module):
    """Relative H1 error in waves counted per domain: `w_k^2 = 1 + |k|^2` where all `|k_i| < cutoff`, else 1.

    `k_i` are whole numbers of waves per length on `Fourier` axes (halves on `Sine` and `Cosine`), so that the weights
    do not depend on the size of the domain; `Uniform` axes hold the waves of their nodes.

    **Raises** `ValueError` for unequal channel counts and on `Chebyshev` axes.

    Source: the loss of He, Liu & Xu 2024, MgNO, with the authors' cutoff 20. Deviation: their transform is periodic,
    ours is that of the axis.
    """

    cutoff: int = eqx.field(static=True, default=20)

    def __call__(self, prediction: GridField, target: GridField) -> Array:
        _check_channels(prediction, target)
        lengths = np.array([axis.length for axis in target.grid.axes])

        def weight(k):
            waves = k * lengths.reshape(-1, *(1 for _ in lengths)) / (2 * np.pi)
            return 1 + np.where((np.abs(waves) < self.cutoff).all(axis=0), (waves**2).sum(axis=0), 0.0)

        return jnp.sqrt(weighted_energy(prediction - target, weight) / weighted_energy(target, weight))


def mean_squared_error(prediction: GridField, target: GridField) -> Array:
    """Mean over the domain of `|p - t|^2`, summed over channels, scalar.

    **Raises** `ValueError` if the fields live on different grids or have different channel counts.
    """
    _check_channels(prediction, target)
    return mean_square(prediction - target)


def mean_square(u: GridField) -> Array:
    """Mean over the domain of `|u|^2` by the grid's quadrature, summed over channels, scalar."""
    return jnp.sum(jnp.abs(inner(u, u))) / u.grid.volume


def spectrum_error(prediction: GridField, target: GridField) -> Array:
    """Relative difference of the energy spectra, `sum_j |E_j(p) - E_j(t)| / sum_j E_j(t)`: blind to phases, scalar.

    **Raises** what `calculus.energy_spectrum` raises.
    """
    _, found = energy_spectrum(prediction)
    _, wanted = energy_spectrum(target)
    return jnp.sum(jnp.abs(found - wanted)) / jnp.sum(wanted)


def _relative(prediction: GridField, target: GridField, s: float) -> Array:
    _check_channels(prediction, target)
    return norm(prediction - target, s) / norm(target, s)


def _check_channels(prediction: GridField, target: GridField) -> None:
    if prediction.channels != target.channels:
        raise ValueError(
            f"the prediction has {prediction.channels} channels and the target {target.channels}; "
            f"write out_channels={target.channels} in the model."
        )
