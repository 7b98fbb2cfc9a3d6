from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import AbstractEvolution, FitzHughNagumo, ShallowWater
from ..fields import GridField
from ..grids import Cosine, Grid, Outflow, Uniform
from ..solvers import ETDRK4, FiniteVolume
from ._evolve import AbstractEvolving, finer, thinned, trajectories, until
from ._generate import Samples
from ._trajectories import Trajectories


def pdebench_diffusion_reaction(
    samples: Samples,
    resolution: int = 129,
    *,
    key: Array,
    solve_at: int = 129,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """FitzHugh-Nagumo patterns on (-1, 1)^2 without flux through its edges, 101 frames until t = 5:
    `u_t = 1e-3 lap u + u - u^3 - 5e-3 - v`, `v_t = 5e-3 lap v + u - v`.

    From independent standard normal numbers at the nodes (Takamoto et al., PDEBench, 2022, appendix D.4), hence a
    problem for every `solve_at`: closed nodes here, 128 centred ones there. ETDRK4 with `dt = 0.01`; the data are every
    `(solve_at - 1) / (resolution - 1)`-th node; precision, errors and the reference as for `navier_stokes_nu1e_3`.
    """
    facts = {
        "equation": "u_t = 1e-3 lap u + u - u^3 - 5e-3 - v, v_t = 5e-3 lap v + u - v, no flux",
        "names": ["u", "v"],
    }
    facts |= {"parameters": {"diffusivity_u": 1e-3, "diffusivity_v": 5e-3, "threshold": 5e-3}}
    system = _Patterns(until(5, 100), 0.01)
    return trajectories(
        system, samples, resolution, key, solve_at, progress, name="pdebench_diffusion_reaction", **facts
    )


class _Patterns(AbstractEvolving):
    stepper: ClassVar[Any] = ETDRK4
    times: tuple[float, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def grid(self, n: int) -> Grid:
        return Grid(x=Cosine(n, 2.0, -1.0), y=Cosine(n, 2.0, -1.0))

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        return GridField(jax.random.normal(key, (2, *grid.shape)), grid).resample(fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return FitzHughNagumo()


def pdebench_shallow_water(
    samples: Samples,
    resolution: int = 128,
    *,
    key: Array,
    solve_at: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Shallow water after the break of a round dam, on (-2.5, 2.5)^2, 101 frames until t = 1.

    Depth 2 inside a circle of radius `r ~ U(0.3, 0.7)` and 1 outside, at rest, gravity 1, open edges (Takamoto et al.,
    PDEBench, 2022, appendix D.5); channels depth and two momenta (the depth alone there). Finite volumes (MUSCL, HLL)
    on `solve_at` cells per axis; the data are means of them over the cells of `resolution`. Precision and errors as for
    `navier_stokes_nu1e_3`; shocks make the reference error of first order in the spacing.
    """
    facts = {"equation": "h_t + div m = 0, m_t + div(m m / h) + grad(h^2 / 2) = 0", "names": ["h", "m_x", "m_y"]}
    facts |= {"parameters": {"gravity": 1.0, "inside": 2.0, "outside": 1.0}}
    # Waves of speed two along either axis cross a quarter of a cell in a step.
    system = _Dam(until(1, 100), 0.01 / max(1, -(-solve_at // 32)))
    return trajectories(system, samples, resolution, key, solve_at, progress, name="pdebench_shallow_water", **facts)


class _Dam(AbstractEvolving):
    stepper: ClassVar[Any] = FiniteVolume
    times: tuple[float, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def grid(self, n: int) -> Grid:
        axis = Uniform(n, 5.0, -2.5, Outflow(), Outflow(), centred=True)
        return Grid(x=axis, y=axis)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        radius = jax.random.uniform(key, minval=0.3, maxval=0.7)
        parts = finer(fine, 4)
        depth = GridField.from_function(lambda x, y: jnp.where(x**2 + y**2 < radius**2, 2.0, 1.0), parts)
        h = thinned(depth.values, fine, 4)
        return GridField(jnp.concatenate([h, jnp.zeros((2, *fine.shape), h.dtype)]), fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return ShallowWater()
