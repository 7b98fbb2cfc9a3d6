import numpy as np

from ..grids import AbstractAxis, Chebyshev, Fourier, Sine


def kept_modes(axis: AbstractAxis, modes: int, half: bool) -> np.ndarray:
    """Mode numbers that a layer with `modes` keeps along one axis.

    Half Fourier axis `0 .. m-1`, other Fourier axes `0 .. m-1, -m .. -1`, axes with a real basis `0 .. 2m-1`: on an
    axis of length `L` all of them stop at the wave length `L / m`, and a real field has `2m` real numbers per axis.
    """
    if not isinstance(axis, Fourier):
        return np.arange(2 * modes)
    positive = np.arange(modes)
    return positive if half else np.concatenate([positive, np.arange(-modes, 0)])


def mode_matrices(axis: AbstractAxis, modes: int, half: bool, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """Analysis `(kept, n)` and synthesis `(n, kept)` matrices of the kept modes: complex128 if Fourier, else float64.

    They are the truncated transforms of the axis: with few modes a product with them is cheaper than an FFT, and
    cheaper still on accelerators. On the half axis the synthesis counts `k > 0` twice, so that its real part is the
    field.
    """
    kept = kept_modes(axis, modes, half)
    if not isinstance(axis, Fourier):
        waves, weights = _real_waves(axis, kept)
        # The families are orthogonal on their nodes; the discrete norm is right for the highest mode too.
        norm = weights @ waves**2
        return (waves * weights[:, None] / np.where(norm == 0, 1.0, norm)).T, waves
    period = axis.n * (1 + padding)
    waves = np.exp(2j * np.pi * np.outer(np.arange(axis.n), kept) / period)
    analysis = waves.conj().T / period
    if half:
        return analysis, waves * np.where(kept == 0, 1, 2)
    if np.isclose(period, 2 * modes):
        # The Nyquist coefficient of a real field is the sum over k = -m and k = m, of which a finer grid keeps one.
        analysis[kept == -modes] *= 0.5
    return analysis, waves


def _real_waves(axis: AbstractAxis, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centred = getattr(axis, "centred", False)
    angle = np.pi * (np.arange(axis.n) + 0.5) / axis.n if centred else np.pi * np.arange(axis.n) / (axis.n - 1)
    weights = np.ones(axis.n)
    if not centred:
        weights[[0, -1]] = 0.5
    if isinstance(axis, Sine):
        waves = np.sin(np.outer(angle, kept))
        if not centred:
            # Exactly zero, not pi * eps: fields on a sine axis vanish at both ends.
            waves[[0, -1]] = 0.0
        return waves, weights
    # Chebyshev nodes run upwards, x_j = -cos(theta_j), and T_k(-s) = (-1)^k T_k(s).
    signs = (-1.0) ** kept if isinstance(axis, Chebyshev) else 1.0
    return np.cos(np.outer(angle, kept)) * signs, weights
