import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import FourierBlock, LiftProject, check_counts


class WeightTiedFNO(eqx.Module):
    """Fourier neural operator of one layer applied `depth` times, the lifted input injected each time.

    `w = P(a, x)`, `v_0 = 0`, `v_{l+1} = gelu(K v_l + W v_l + V w + b)`, `u = Q(v_depth)`, with the
    gradient of all applications. `FNODEQ` is the one to take for a fixed point. Bases, boundaries and grids as for
    `FNO`.

    **Arguments:** `modes` one number or one per axis; `depth` applications; `padding` as for `FNO`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: the weight-tied baseline of Marwah, Pokle, Kolter, Lipton, Lu & Risteski 2023.
    """

    around: LiftProject
    block: FourierBlock
    depth: int = eqx.field(static=True)

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
        check_counts("WeightTiedFNO", depth=depth)
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, padding=padding, key=a)
        self.block = FourierBlock(width, modes, ndim, padding=padding, key=b)
        self.depth = depth

    def __call__(self, a: GridField) -> GridField:
        w = self.around.lift(a)
        v = w.with_values(jnp.zeros_like(w.values))
        v, _ = jax.lax.scan(lambda v, _: (self.block(v, w), None), v, length=self.depth)
        return self.around.project(v, a)
