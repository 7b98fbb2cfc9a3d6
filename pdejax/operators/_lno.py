import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import LiftProject, LowRankIntegral, Pointwise, check_counts, envelope, gelu


class LNO(eqx.Module):
    """Low-rank neural operator: `v_0 = P(a, x)`, `v_{l+1} = gelu(W_l v_l + K_l v_l + b_l)`, `u = Q(v_depth)`.

    `K_l` is a `nn.LowRankIntegral` whose kernel sees `a`; there is no gelu after the last layer. Bases, boundaries and
    grids as for `FNO`, on grids of any size: there are no modes.

    **Arguments:** `rank` of the kernels; `width` of the hidden fields and of the kernels' networks; `depth` layers.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Kovachki, Li et al. 2023, Neural operator: learning maps between function spaces, section 4.2 (rank 4, four
    layers). Deviation: gelu for relu, so that quadrature converges fast.
    """

    around: LiftProject
    integrals: tuple[LowRankIntegral, ...]
    locals: tuple[Pointwise, ...]

    def __init__(
        self, in_channels: int, out_channels: int, rank: int, width: int, depth: int, ndim: int, *, key: PRNGKeyArray
    ):
        check_counts("LNO", depth=depth)
        a, b, c = jax.random.split(key, 3)
        self.around = LiftProject(in_channels, out_channels, width, ndim, key=a)
        integral = lambda key: LowRankIntegral(width, in_channels, rank, width, ndim, key=key)
        self.integrals = tuple(map(integral, jax.random.split(b, depth)))
        self.locals = tuple(Pointwise(width, width, key=k) for k in jax.random.split(c, depth))

    def __call__(self, a: GridField) -> GridField:
        v = self.around.lift(a)
        seen, u = jnp.asarray(envelope(a.grid), a.dtype) * a.values, v.values
        for i, (integral, local) in enumerate(zip(self.integrals, self.locals, strict=True)):
            u = integral.on_values(u, seen, v.grid) + local.on_values(u)
            u = gelu(u) if i + 1 < len(self.integrals) else u
        return self.around.project(v.with_values(u), a)
