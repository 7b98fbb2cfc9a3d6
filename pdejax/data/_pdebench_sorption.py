from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import AbstractEvolution, DiffusionSorption
from ..fields import GridField
from ..grids import Dirichlet, Grid, Neumann, Uniform
from ..solvers import ETDRK4
from ._evolve import AbstractEvolving, trajectories, until
from ._generate import Samples
from ._trajectories import Trajectories

DIFFUSIVITY = 5e-4


def pdebench_diffusion_sorption(
    samples: Samples,
    resolution: int = 513,
    *,
    key: Array,
    solve_at: int = 513,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Diffusion of a pollutant that the ground takes up, `R(u) u_t = D u_xx` on the unit interval, 501 frames until
    t = 500, with `D = 5e-4` and the retardation R of `equations.DiffusionSorption`.

    `u = 1` at the left end, `u_x = 0` at the right one, from a constant `u_0 ~ U(0, 0.2)` (Takamoto et al., PDEBench,
    2022, appendix D.6; 1024 nodes and a condition of Robin's kind at the right end there). Central differences on
    `solve_at` closed nodes, ETDRK4 with `dt = 0.5`; the data are every `(solve_at - 1) / (resolution - 1)`-th node;
    precision, errors and the reference as for `navier_stokes_nu1e_3`.
    """
    facts = {"equation": "R(u) u_t = 5e-4 u_xx on (0, 1), u(0) = 1, u_x(1) = 0", "names": ["u"]}
    facts |= {"parameters": {"diffusivity": DIFFUSIVITY}}
    system = _Sorption(until(500, 500), 0.5)
    return trajectories(
        system, samples, resolution, key, solve_at, progress, name="pdebench_diffusion_sorption", **facts
    )


class _Sorption(AbstractEvolving):
    stepper: ClassVar[Any] = ETDRK4
    times: tuple[float, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def grid(self, n: int) -> Grid:
        return Grid(x=Uniform(n, 1.0, 0.0, Dirichlet(1.0), Neumann(0.0)))

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        level = jax.random.uniform(key, (1, 1), jnp.result_type(float), maxval=0.2)
        return GridField(jnp.broadcast_to(level, (1, *fine.shape)).at[:, 0].set(1.0), fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return DiffusionSorption(DIFFUSIVITY)
