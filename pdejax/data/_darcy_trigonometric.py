from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import Grid, Uniform
from ..solvers import AbstractMethod, MultigridCG
from ._darcy import AbstractMedium, darcy
from ._dataset import Dataset
from ._generate import Samples, check_nested


def darcy_trigonometric(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    factors: int = 6,
    solve_at: int = 1021,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Darcy flow through a medium of many scales: permeability to pressure, `-div(a grad u) = 1` on the unit square.

    `u = 0` on the boundary, and
    `a = prod_{k=1..K} (1 + cos(a_k pi (x + y)) / 2) (1 + sin(a_k pi (y - 3 x)) / 2)` with `a_k` uniform in
    `[2^(k-1), 1.5 2^(k-1)]`, independent and drawn for each sample (MgNO, He, Liu & Xu, 2024, section 4.1, with K = 6).

    The finest factor has up to `0.375 2^K` waves along y and three times as many along x, which the data have to
    resolve for the pressure to be a function of them: 256 nodes for K = 6 and 64 for K = 4 have three and a half a
    wave.
    Five-point flux form with arithmetic face means on `solve_at` nodes per axis, in place of linear elements on 1023;
    the data are every `(solve_at - 1) / (resolution - 1)`-th node: 1021 holds 256, and 253 holds 64. Precision and the
    reference as for `darcy_fno`.

    **Raises** `ValueError` for a resolution whose nodes are not among those of the solve, or no factor.
    """
    if isinstance(factors, bool) or not isinstance(factors, int) or factors < 1:
        raise ValueError(f"the permeability is a product of one factor or more, got {factors!r}; write factors=4.")
    medium = _Waves(check_nested(resolution, solve_at, closed=True), solve_at, factors)
    facts = {"parameters": {"factors": factors, "source": 1.0}}
    facts |= {"solver": "five-point flux form, arithmetic face means, multigrid conjugate gradients"}
    return darcy(medium, samples, resolution, key, progress, name="darcy_trigonometric", **facts)


class _Waves(AbstractMedium):
    """The product of waves of ever doubled number."""

    stride: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)
    factors: int = eqx.field(static=True)

    def permeability(self, key: Array, refine: int) -> GridField:
        lowest = 2.0 ** np.arange(self.factors)
        waves = jax.random.uniform(key, (self.factors,)) * (lowest / 2) + lowest
        grid = Grid(x=Uniform(self.nodes), y=Uniform(self.nodes)).refined(refine)

        def a(x, y):
            factors = [(1 + jnp.cos(k * (x + y)) / 2) * (1 + jnp.sin(k * (y - 3 * x)) / 2) for k in waves * np.pi]
            return jnp.prod(jnp.stack(factors), axis=0)

        return GridField.from_function(a, grid)

    def method(self, rtol: float) -> AbstractMethod:
        return MultigridCG(rtol=rtol)
