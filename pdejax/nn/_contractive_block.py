import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._lipschitz import clipped
from ._pointwise import Pointwise
from ._spectral import SpectralConv

_ROUNDING = 0.3  # of the modulus, whose kink would alias


class ContractiveBlock(eqx.Module):
    """Fourier layer that shrinks distances, whatever its weights are: `B(v, w) = C (tanh(M w) |v|) + V w + b`.

    For every data `w` it has one fixed point, and repetition finds it from everywhere, at the rate `||C|| <= bound`.
    Three choices leave such a layer much to learn:

    - `C = K + W`, a `SpectralConv` and a `Pointwise` map, is one matrix for each mode that `K` keeps and `W` for all
      others. Each is divided by what its own norm exceeds `bound` by; with one factor for all of them the largest would
      take from the others.
    - `|v|` is the modulus `sqrt(v^2 + e^2) - e`, rounded by `e = 0.3`. Its slopes have sizes up to 1, where those of
      relu are a half on average, and a repeated loss of a half leaves little.
    - Data enter as factors too, as a coefficient does in the equation that is to be solved.

    Without rounding and `M`, `v = C |v| + V w + b` is the fixed point of Peaceman-Rachford's splitting for the network
    `z = relu(L z + x)` with strongly monotone `I - L`, in the variables `C = (I - F)(I + F)^-1`, `F = I - L`, `z =
    relu(v)`: any such network can be written so.

    **Shapes:** fields `v`, `w` `(width, *n)` to a field `(width, *n)`, on `nn.hidden_grid`. The norm is that of
    `nn.lipschitz_bound`.

    **Raises** `ValueError` unless `0 < bound < 1`, and what `SpectralConv` and `Pointwise` raise.

    Source: the splitting is that of Winston & Kolter 2020, Monotone operator equilibrium networks; that `|v|` takes the
    place of relu follows from it.
    """

    spectral: SpectralConv
    local: Pointwise
    gate: Pointwise
    inject: Pointwise
    bound: float = eqx.field(static=True)

    def __init__(self, width: int, modes, ndim: int, *, bound: float = 0.95, padding: float = 0.0, key: PRNGKeyArray):
        if not 0 < bound < 1:
            raise ValueError(
                f"a contraction has a Lipschitz bound between 0 and 1, got bound={bound!r}; write bound=0.95."
            )
        a, b, c, d = jax.random.split(key, 4)
        self.spectral = SpectralConv(width, width, modes, ndim, padding=padding, key=a)
        self.local = Pointwise(width, width, key=b)
        self.inject = Pointwise(width, width, key=c)
        self.gate = Pointwise(width, width, key=d)
        self.bound = float(bound)

    def __call__(self, v: GridField, w: GridField) -> GridField:
        return self.bounded(v.grid)(v, w)

    def bounded(self, grid: Grid) -> "BoundedBlock":
        """The layer on one grid, with its matrices divided already: for repeated use."""
        own, free = self.spectral.matrices(grid), self.local.weight
        everywhere = lambda matrix: jnp.broadcast_to(matrix, own.shape).astype(own.dtype)
        rest = clipped(free, self.bound)
        kept = clipped(own + everywhere(free), self.bound)
        spectral = self.spectral.with_matrices(kept - everywhere(rest), grid)
        local = eqx.tree_at(lambda layer: layer.weight, self.local, rest)
        return BoundedBlock(spectral, local, self.gate, self.inject)


class BoundedBlock(eqx.Module):
    """`C (tanh(M w) |v|) + V w + b`."""

    spectral: SpectralConv
    local: Pointwise
    gate: Pointwise
    inject: Pointwise

    def __call__(self, v: GridField, w: GridField) -> GridField:
        z = v.with_values(jnp.tanh(self.gate(w).values) * _modulus(v.values))
        return self.spectral(z) + self.local(z) + self.inject(w)


def _modulus(v: Array) -> Array:
    e = jnp.asarray(_ROUNDING, v.dtype)
    return jnp.sqrt(v * v + e * e) - e
