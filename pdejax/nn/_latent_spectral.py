import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ._attention import average
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import hidden_grid
from ._pointwise import Pointwise

_WAVES = 12


class LatentSpectral(eqx.Module):
    """Neural spectral block: each patch of a field is read by a few latent tokens, which are mapped and written back.

    For each head, with `<..>` the `average` of attention without a factor `1 / sqrt d`:
    `T <- T_0 + <T_0, K x, V x>` over the points `x` of a patch,
    `T <- T + sum_m a_m cos(pi m T / 12) + b_m sin(pi m T / 12)`, channel by channel, `m = 0 .. 11`,
    `x <- x + <Q x, T, T>` over the tokens. The series is one of the tokens' values, not of positions.

    Averages carry the grid's quadrature; axes that are no multiple of `patch` end with a smaller patch.

    **Arguments:** `channels`, a multiple of `heads`; `patch` nodes per axis; `tokens` per head.

    **Shapes:** field `(channels, *n)` on a hidden grid to field `(channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or if the heads do not divide the channels.

    Source: Wu, Hu, Luo, Wang & Long 2023, Solving high-dimensional PDEs with latent spectral models. Deviations: the
    quadrature, the smaller patches at the end, and no weight for `sin 0`. Tokens and series begin as theirs, drawn
    uniformly within `1 / channels`.
    """

    keys: Pointwise
    values: Pointwise
    queries: Pointwise
    latent: Array
    series: Array
    patch: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)

    def __init__(self, channels: int, patch: int, ndim: int, *, heads: int = 8, tokens: int = 4, key: PRNGKeyArray):
        check_counts("LatentSpectral", channels=channels, patch=patch, ndim=ndim, heads=heads, tokens=tokens)
        if channels % heads:
            raise ValueError(
                f"LatentSpectral divides its channels among the heads and got channels={channels} for {heads} of them; "
                f"write heads={int(np.gcd(channels, heads))}."
            )
        a, b, c, d, e = jax.random.split(key, 5)
        self.keys, self.values, self.queries = (Pointwise(channels, channels, key=k) for k in (a, b, c))
        self.latent = jax.random.uniform(d, (heads, tokens, channels // heads)) / channels
        self.series = jax.random.uniform(e, (2 * _WAVES - 1, channels)) / channels
        self.patch, self.ndim = patch, ndim

    def __call__(self, v: GridField) -> GridField:
        check_ndim("LatentSpectral", self.ndim, v.grid)
        check_channels("LatentSpectral", self.keys.weight.shape[1], v)
        return v.with_values(self.on_values(v.values, v.grid))

    def on_values(self, v: Array, grid: Grid) -> Array:
        """The layer on node values `(channels, *n)`."""
        weights = jnp.asarray(_patches(hidden_grid(grid).weights()[None], self.patch)[:, 0], v.dtype)
        split = lambda map_: _patches(map_.on_values(v), self.patch).reshape(
            len(weights), len(self.latent), -1, weights.shape[-1]
        )
        k, x, q = (jnp.moveaxis(split(m), -1, -2) for m in (self.keys, self.values, self.queries))
        out = jax.vmap(self._on_patch)(q, k, x, weights)
        return v + _joined(jnp.moveaxis(out, -1, -2).reshape(len(weights), len(v), -1), grid.shape, self.patch)

    def _on_patch(self, q: Array, k: Array, v: Array, weights: Array) -> Array:
        t = self.latent.astype(v.dtype)
        t = t + average(t, k, v, weights)
        m = jnp.asarray(np.pi * np.arange(_WAVES) / _WAVES, t.dtype).reshape(-1, 1, 1, 1)
        waves = jnp.concatenate([jnp.cos(m * t[None]), jnp.sin(m[1:] * t[None])])
        series = self.series.astype(t.dtype).reshape(len(waves), len(t), 1, -1)
        t = t + jnp.sum(series * waves, 0)
        return average(q, t, t, jnp.ones(t.shape[1], t.dtype))


def _patches(v, patch: int):
    """Values `(channels, *n)` to `(patches, channels, points)`, zeros beyond the last node of an axis."""
    xp = np if isinstance(v, np.ndarray) else jnp
    v = xp.pad(v, [(0, 0), *((0, -n % patch) for n in v.shape[1:])])
    counts = [n // patch for n in v.shape[1:]]
    v = v.reshape(len(v), *(size for count in counts for size in (count, patch)))
    d = len(counts)
    v = xp.transpose(v, (*range(1, 2 * d, 2), 0, *range(2, 2 * d + 1, 2)))
    return v.reshape(int(np.prod(counts)), v.shape[d], -1)


def _joined(v: Array, shape: tuple[int, ...], patch: int) -> Array:
    """The inverse of `_patches`."""
    d, counts = len(shape), [-(-n // patch) for n in shape]
    v = v.reshape(*counts, v.shape[1], *(patch,) * d)
    v = jnp.transpose(v, (d, *(axis for i in range(d) for axis in (i, d + 1 + i))))
    v = v.reshape(len(v), *(count * patch for count in counts))
    return v[(slice(None), *(slice(n) for n in shape))]
