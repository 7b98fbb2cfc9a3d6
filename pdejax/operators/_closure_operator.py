import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..grids import Sine
from ..nn import Pointwise, SpectralConv, check_channels, check_counts, check_ndim, gelu, hidden_grid


class ClosureOperator(eqx.Module):
    """Fourier neural operator that does not know where it is: what unresolved scales do to the resolved ones.

    `v_0 = P a`, `v_{l+1} = v_l + gelu(K_l v_l + W_l v_l + b_l)`, `u = Q v_depth`, with pointwise affine `P` and `Q` and
    no coordinates, so on periodic axes it commutes with translations, as the law of a homogeneous medium has to.
    Modes have physical wave numbers: on a domain of the same length with twice the points the operator is the same, on
    one of twice the length it keeps twice as long waves. `equations.Closed(equation, closure)` is the model it closes.

    **Arguments:** `modes` one number or one per axis.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, Sine axes, or a grid with too few nodes.

    Source: Lutjens, Crawford, Watson, Hill & Newman 2022, Multiscale neural operator.
    """

    lift: Pointwise
    spectral: tuple[SpectralConv, ...]
    local: tuple[Pointwise, ...]
    project: Pointwise

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        key: PRNGKeyArray,
    ):
        counts = {"in_channels": in_channels, "out_channels": out_channels, "width": width, "depth": depth}
        check_counts("ClosureOperator", **counts)
        a, b, c, d = jax.random.split(key, 4)
        self.lift = Pointwise(in_channels, width, key=a)
        self.spectral = tuple(SpectralConv(width, width, modes, ndim, key=k) for k in jax.random.split(b, depth))
        self.local = tuple(Pointwise(width, width, key=k) for k in jax.random.split(c, depth))
        self.project = Pointwise(width, out_channels, key=d)

    def __call__(self, a: GridField) -> GridField:
        check_ndim("ClosureOperator", len(self.spectral[0].modes), a.grid)
        check_channels("ClosureOperator", self.lift.weight.shape[-1], a)
        if any(isinstance(axis, Sine) for axis in a.grid.axes):
            raise ValueError(
                f"ClosureOperator adds constants, which fields on the Sine axes of {a.grid} do not contain; write "
                "operators.FNO, whose coordinates know the boundary."
            )
        grid, v = hidden_grid(a.grid), self.lift.on_values(a.values)
        for spectral, local in zip(self.spectral, self.local, strict=True):
            v = v + gelu(spectral.on_values(v, grid) + local.on_values(v))
        return a.with_values(self.project.on_values(v))
