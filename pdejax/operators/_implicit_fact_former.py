import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import AbstractContraction, AxialAttention, LiftProject, Parallel, PositionCode, check_counts


class ImplicitFactFormer(eqx.Module):
    """Factorised transformer with one block, added `depth` times with the step `1 / depth`.

    `v_0 = P(a, x) + p(x)`, `v_{l+1} = v_l + B(v_l) / depth`, `u = Q(v_depth)` with an `AxialAttention` `B` and a
    `PositionCode` `p`: Euler steps of `v' = B(v)` over a unit of time; no equation is solved, and no array depends on
    `depth`. Bases, boundaries and grids as for `FNO`.

    **Arguments:** `modes` waves of the kernels; `depth` steps; `contraction` with its number of heads, which divides
    `width`: `Parallel` is the variant "-m" of the paper, `Chained` the variant "-o".

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Yang, Wang & Wang 2024, Implicit factorized transformer approach to fast prediction of turbulent channel
    flows (IFactFormer-m). Deviations: those of `AxialAttention`.
    """

    around: LiftProject
    code: PositionCode
    block: AxialAttention
    depth: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int,
        width: int,
        depth: int,
        ndim: int,
        *,
        contraction: AbstractContraction = Parallel(),
        key: PRNGKeyArray,
    ):
        check_counts("ImplicitFactFormer", depth=depth)
        a, b, c = jax.random.split(key, 3)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        self.code = PositionCode(width, ndim, key=b)
        self.block = AxialAttention(width, modes, ndim, contraction=contraction, key=c)
        self.depth = depth

    def __call__(self, a: GridField) -> GridField:
        field = self.around.lift(a)
        grid = field.grid
        step = lambda v, _: (v + self.block.on_values(v, grid) / self.depth, None)
        v, _ = jax.lax.scan(step, field.values + self.code(grid, a.dtype), length=self.depth)
        return self.around.project(field.with_values(v), a)
