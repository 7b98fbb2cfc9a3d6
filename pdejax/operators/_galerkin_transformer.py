import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import (
    AbstractAttention,
    BasisFeatures,
    FourierLayer,
    GalerkinAttention,
    LiftProject,
    MultiHead,
    Perceptron,
    Tokens,
    check_counts,
)


class GalerkinTransformer(eqx.Module):
    """Transformer without softmax whose tokens are the points of the grid, with Fourier layers at its end.

    `v_0 = P(a, x)`; `depth` times `v <- v + A(v)`, `v <- v + W_2 silu(W_1 v + b_1) + b_2`; then
    `v <- silu(K v + W v + b)`, `v <- K' v + W' v + b'`; `u = Q(v)`. `A` is a `MultiHead` attention over all points and
    their quadrature weights, `W_1` has `2 width` rows, `K` is a `SpectralConv`. With another attention it is the
    Fourier, linear or softmax transformer of the same paper. Bases, boundaries and grids as for `FNO`.

    **Arguments:** `modes` of the two Fourier layers, one number or one per axis; `depth` encoder layers; `attention`
    with its number of heads, which divides `width`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: Cao 2021, Choose a transformer: Fourier or Galerkin. Deviations: quadrature weights, periodic or even
    coordinates (`nn.positions`), silu for relu and none before `Q`, one width throughout, no dropout, no interpolation
    to coarser grids.
    """

    around: LiftProject
    encoder: tuple["_Encoder", ...]
    decoder: tuple[FourierLayer, FourierLayer]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        attention: AbstractAttention = GalerkinAttention(),
        key: PRNGKeyArray,
    ):
        check_counts("GalerkinTransformer", depth=depth)
        a, b, c, d = jax.random.split(key, 4)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        self.encoder = tuple(_Encoder(width, ndim, attention, key=k) for k in jax.random.split(b, depth))
        self.decoder = tuple(FourierLayer(width, width, modes, ndim, key=k) for k in (c, d))

    def __call__(self, a: GridField) -> GridField:
        field = self.around.lift(a)
        v, grid = field.values, field.grid
        for layer in self.encoder:
            v = layer(v, grid)
        first, last = self.decoder
        return self.around.project(field.with_values(last.on_values(jax.nn.silu(first.on_values(v, grid)), grid)), a)


class _Encoder(eqx.Module):
    attend: MultiHead
    forward: Perceptron

    def __init__(self, width: int, ndim: int, attention: AbstractAttention, *, key: PRNGKeyArray):
        a, b = jax.random.split(key)
        self.attend = MultiHead(width, BasisFeatures().size(ndim), attention=attention, key=a)
        self.forward = Perceptron(width, width, 2 * width, 1, key=b)

    def __call__(self, v: Array, grid: Grid) -> Array:
        tokens = Tokens.on_grid(v, grid)
        x = tokens.values + self.attend(tokens, tokens)
        return (x + self.forward(x)).T.reshape(v.shape)
