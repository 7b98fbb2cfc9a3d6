import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import FourierLayer, LiftProject, check_counts, gelu


class FNO(eqx.Module):
    """Fourier neural operator: field in, field out, on any grid with enough nodes for its modes.

    `v_0 = P(a, x)`, `v_{l+1} = gelu(K_l v_l + W_l v_l + b_l)` without the gelu after the last layer, `u = Q(v_depth)`,
    with pointwise `P` (affine) and `Q` (`width -> 128`, gelu, `128 -> out`), and `K_l` a `SpectralConv`.

    The grid of the field decides the bases. On `Sine` axes `u = s Q(v)` and `v_0 = P(s a, x)` with
    `s = prod sin(pi (x - start) / length)` and even hidden fields: odd fields are `s` times even ones, so `u` is zero
    on the boundary to the last bit whatever gelu and biases do, and smooth across it. On `Cosine` axes `u` has zero
    slope; on `Chebyshev` axes nothing is imposed; `Uniform` axes use the cosine waves of their nodes (Fourier waves if
    periodic, or with padding). Coordinates `x` are one channel per axis, in the space of the hidden fields
    (`nn.coordinates`). The result at a node changes with the grid only by the aliasing of `gelu(v_l)`, which falls
    faster than any power of `1 / n` for smooth `a` without padding.

    **Arguments:** `modes` one number or one per axis; `padding` fraction of the domain by which fields that are not
    periodic are continued by zero along Fourier axes (no nodes are added, see `SpectralConv`).

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: Li et al. 2021, Fourier neural operator; gelu, projection and parameter count of the authors' scripts
    (2,368,001 for modes 12, width 32, depth 4 in two dimensions). Deviations: the sine envelope, smooth coordinates,
    padding without nodes, initial weights (`SpectralConv`).
    """

    around: LiftProject
    layers: tuple[FourierLayer, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        padding: float = 0.0,
        key: PRNGKeyArray,
    ):
        check_counts("FNO", depth=depth)
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, padding=padding, key=a)
        # A tuple, not stacked weights under a scan: at depth 4 both compile in 2 s, and the loop needs three quarters
        # of the memory at about the same speed.
        layer = lambda key: FourierLayer(width, width, modes, ndim, padding=padding, key=key)
        self.layers = tuple(map(layer, jax.random.split(b, depth)))

    def __call__(self, a: GridField) -> GridField:
        v = self.around.lift(a)
        for layer in self.layers[:-1]:
            v = v.with_values(gelu(layer.on_values(v.values, v.grid)))
        return self.around.project(v.with_values(self.layers[-1].on_values(v.values, v.grid)), a)
