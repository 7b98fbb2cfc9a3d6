from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import AbstractAxis, Cosine, Fourier, Sine, Uniform


def energy_spectrum(u: GridField) -> tuple[np.ndarray, Array]:
    """Energy by wave number, `E_j = 1/2 sum |u_k|^2` over the shell `|k| = j dk` (rounded) and over all channels.

    Returns the wave numbers `j dk`, `dk = 2 pi / (longest length)`, and the energies, both `(shells,)`. The sum of the
    energies is half the mean of `|u|^2`: the corners beyond the highest full shell are included. Axes are taken as by
    `weighted_energy`. For a velocity this is the kinetic energy, for a vorticity the enstrophy.

    **Raises** `ValueError` on a `Chebyshev` axis, whose basis has no wave numbers.

    Source: Pope 2000, Turbulent flows, section 6.5, with shells one mode wide.
    """
    width = 2 * np.pi / max(axis.length for axis in u.grid.axes)
    highest = np.linalg.norm([np.pi / axis.length * axis.n for axis in u.grid.axes])
    shells = int(np.rint(highest / width)) + 1
    total = jnp.zeros(shells, u.data.real.dtype)
    for k, energies in _mode_energies(u):
        shell = np.rint(np.linalg.norm(k, axis=0) / width).astype(int)
        total = total + jax.ops.segment_sum(energies.ravel() / 2, jnp.asarray(shell.ravel()), shells)
    return width * np.arange(shells), total


def weighted_energy(u: GridField, weight: Callable[[np.ndarray], np.ndarray]) -> Array:
    """`sum_k w(k) |u_k|^2` over modes and channels, scalar: the mean of `|u|^2` for `w = 1`, by Parseval's identity.

    `weight` maps wave numbers `(number of axes, *modes)` to `(*modes,)`. A mode m of `Sine` and `Cosine` axes has
    `k = pi m / length`; `Uniform` axes hold the waves of their nodes, `Fourier` if periodic, else `Cosine`.

    **Raises** `ValueError` on a `Chebyshev` axis, whose basis has no wave numbers.
    """
    parts = [jnp.sum(jnp.asarray(weight(k), energies.dtype) * energies) for k, energies in _mode_energies(u)]
    return jnp.sum(jnp.stack(parts))


def _mode_energies(u: GridField) -> list[tuple[np.ndarray, Array]]:
    """Wave numbers of the modes and their shares in the mean of `|u|^2`, for channels of one parity together."""
    if u._flips:
        return [pair for i in range(u.channels) for pair in _mode_energies(u[i])]
    if any(isinstance(axis, Uniform) for axis in u.grid.axes):
        u = u.on(u.grid.with_axes(map(_with_waves, u.grid.axes)))
    numbers, share = [], np.ones(())
    for name, axis, stored in zip(u.grid.names, u.grid.axes, u.grid.coefficient_axes(u.is_real), strict=True):
        if not isinstance(axis, Fourier | Sine | Cosine):
            raise ValueError(
                f"energies of waves need Fourier, Sine or Cosine axes and axis {name!r} is {type(axis).__name__}; "
                "write u.resample(grid) with one of these."
            )
        numbers.append(stored.modes * (2 if isinstance(axis, Fourier) else 1) * np.pi / axis.length)
        share = np.multiply.outer(share, _mean_squares(axis, stored))
    c = u.coefficients
    energies = jnp.sum(jnp.asarray(share, c.real.dtype)[None] * (c.real**2 + c.imag**2), axis=0)
    return [(np.stack(np.meshgrid(*numbers, indexing="ij")), energies)]


def _with_waves(axis: AbstractAxis) -> AbstractAxis:
    if not isinstance(axis, Uniform):
        return axis
    if axis.is_periodic:
        return Fourier(axis.n, axis.length, axis.start)
    return Cosine(axis.n, axis.length, axis.start, axis.centred)


def _mean_squares(axis: AbstractAxis, stored: AbstractAxis) -> np.ndarray:
    # exp and the constant cosine have mean square 1, sines and other cosines 1/2; half spectra count twice.
    if not isinstance(axis, Fourier):
        last = isinstance(axis, Cosine) and not axis.centred
        return np.where((stored.modes == 0) | (last & (stored.modes == axis.n - 1)), 1.0, 0.5)
    if len(stored.modes) == axis.n:
        return np.ones(axis.n)
    return np.where((stored.modes == 0) | (2 * stored.modes == axis.n), 1.0, 2.0)
