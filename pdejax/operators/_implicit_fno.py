import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import LiftProject, Pointwise, SpectralConv, check_counts, gelu


class ImplicitFNO(eqx.Module):
    """Implicit Fourier neural operator: one increment, added `depth` times with the step `1 / depth`.

    `v_0 = P(a, x)`, `v_{l+1} = v_l + gelu(W v_l + K v_l + b) / depth`, `u = Q(v_depth)`, Euler steps of `v' = gelu(..)`
    over a unit of time. Bases, boundaries and grids as for `FNO`.

    No array depends on `depth`, so a deep operator starts from a trained shallow one ("shallow to deep"):
    `jax.tree.unflatten(jax.tree.structure(deep), jax.tree.leaves(shallow))`.

    **Arguments:** `modes` one number or one per axis; `depth` steps; `padding` as for `FNO`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: You, Zhang, Ross, Lee & Yu 2022, Learning deep implicit Fourier neural operators (IFNOs).
    """

    around: LiftProject
    spectral: SpectralConv
    local: Pointwise
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
        check_counts("ImplicitFNO", depth=depth)
        a, b, c = jax.random.split(key, 3)
        self.around = LiftProject(in_channels, out_channels, width, ndim, padding=padding, key=a)
        self.spectral = SpectralConv(width, width, modes, ndim, padding=padding, key=b)
        self.local = Pointwise(width, width, key=c)
        self.depth = depth

    def __call__(self, a: GridField) -> GridField:
        def step(v: GridField, _):
            rate = gelu((self.spectral(v) + self.local(v)).values)
            return v.with_values(v.values + rate / self.depth), None

        v, _ = jax.lax.scan(step, self.around.lift(a), length=self.depth)
        return self.around.project(v, a)
