import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ._gelu import gelu
from ._pointwise import Pointwise
from ._spectral import SpectralConv


class FourierBlock(eqx.Module):
    """Fourier layer that can be applied again and again: `B(v, w) = gelu(K v + W v + V w + b)`, `w` injected each time.

    `K` is a `SpectralConv`, `W` and `V` are `Pointwise`. Fields with pointwise functions belong on `nn.hidden_grid`.

    **Shapes:** fields `v`, `w` `(width, *n)` to a field `(width, *n)`.

    **Raises** what `SpectralConv` and `Pointwise` raise.

    Source: the layer of Li et al. 2021, eq. (2), with the input injection of Bai, Kolter & Koltun 2019.
    """

    spectral: SpectralConv
    local: Pointwise
    inject: Pointwise

    def __init__(self, width: int, modes, ndim: int, *, padding: float = 0.0, key: PRNGKeyArray):
        a, b, c = jax.random.split(key, 3)
        self.spectral = SpectralConv(width, width, modes, ndim, padding=padding, key=a)
        self.local = Pointwise(width, width, key=b)
        self.inject = Pointwise(width, width, key=c)

    def __call__(self, v: GridField, w: GridField) -> GridField:
        return v.with_values(gelu((self.spectral(v) + self.local(v) + self.inject(w)).values))
