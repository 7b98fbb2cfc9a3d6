import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import AbstractContraction, AxialAttention, Chained, LiftProject, PositionCode, check_counts


class FactFormer(eqx.Module):
    """Factorised transformer: `depth` blocks of attention axis by axis, each with its own code of the place.

    `v_0 = P(a, x)`, `v <- v + p_l(x)`, `v <- v + B_l(v)`, `u = Q(v_depth)` with `AxialAttention` `B_l` and
    `PositionCode` `p_l`. Its cost is linear in the points. Bases, boundaries and grids as for `FNO`.

    **Arguments:** `modes` waves of the kernels; `contraction` with its number of heads, which divides `width`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Li, Shu & Barati Farimani 2023, Scalable transformer for PDE surrogate modeling (FactFormer). Deviations:
    those of `AxialAttention`; the maps around the blocks are pointwise, and there is no marching in latent time
    (`IteratedOperator` marches).
    """

    around: LiftProject
    codes: tuple[PositionCode, ...]
    blocks: tuple[AxialAttention, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int,
        width: int,
        depth: int,
        ndim: int,
        *,
        contraction: AbstractContraction = Chained(),
        key: PRNGKeyArray,
    ):
        check_counts("FactFormer", depth=depth)
        a, b, c = jax.random.split(key, 3)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        self.codes = tuple(PositionCode(width, ndim, key=k) for k in jax.random.split(b, depth))
        self.blocks = tuple(
            AxialAttention(width, modes, ndim, contraction=contraction, key=k) for k in jax.random.split(c, depth)
        )

    def __call__(self, a: GridField) -> GridField:
        field = self.around.lift(a)
        v, grid = field.values, field.grid
        for code, block in zip(self.codes, self.blocks, strict=True):
            v = v + code(grid, v.dtype)
            v = v + block.on_values(v, grid)
        return self.around.project(field.with_values(v), a)
