import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ._mode_weights import check_depthwise


class ContractingModes(eqx.Module):
    """Weights of a `SpectralConv` that no mode grows under: `R_{c,k} = sigmoid(m_{c,k}) exp(i phi_{c,k})`, one number
    per channel and mode, and none outside of the ellipsoid `sum (k_i / m_i)^2 <= 1`.

    The layer has norm below 1 on Fourier axes, and the ellipsoid leaves no direction with more waves than another.

    **Shapes:** `gain`, `phase` `(channels, *modes)`.

    **Raises** `ValueError` if there are not as many channels out as in.

    Source: McCabe, Harrington, Subramanian & Brown 2023, Towards stability of autoregressive neural operators,
    section 4.
    """

    gain: Array
    phase: Array

    def __init__(self, in_channels: int, out_channels: int, modes: tuple[int, ...], *, key: PRNGKeyArray):
        check_depthwise(in_channels, out_channels)
        a, b = jax.random.split(key)
        self.gain = jax.random.normal(a, (in_channels, *modes))
        self.phase = 0.1 * jax.random.normal(b, (in_channels, *modes))

    def __call__(self) -> Array:
        """The weights, `(2, channels, 1, *modes)`."""
        modulus = jax.nn.sigmoid(self.gain) * jnp.asarray(inside(self.gain.shape[1:]), self.gain.dtype)
        return jnp.stack([modulus * jnp.cos(self.phase), modulus * jnp.sin(self.phase)])[:, :, None]


def inside(modes: tuple[int, ...]) -> np.ndarray:
    """Which modes lie in the ellipsoid, `(1, *modes)`."""
    *others, last = modes
    square = (np.arange(last) / last) ** 2
    for n in reversed(others):
        m = n // 2
        square = np.add.outer((np.concatenate([np.arange(m), np.arange(-m, 0)]) / m) ** 2, square)
    return square[None] <= 1
