from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..equations import AbstractEvolution, Burgers, FisherKPP
from ..fields import GridField
from ..grids import Fourier, Grid
from ._evolve import AbstractPeriodic, trajectories, until
from ._generate import Samples, chunk_size, generate
from ._pdebench_waves import RandomWaves
from ._trajectories import Trajectories


def pdebench_advection(
    samples: Samples,
    resolution: int = 1024,
    *,
    key: Array,
    velocity: float = 0.4,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Linear advection on the periodic unit interval, `u_t + beta u_x = 0`, 201 frames until t = 2, from `RandomWaves`.

    Velocities beta 0.1, 0.2, 0.4, 1, 2 and 4 (Takamoto et al., PDEBench, 2022, appendix D.1). The data are the exact
    solution `u_0(x - beta t)` at the nodes, in place of a finite-volume one.
    """
    shift = _Shift(resolution, float(velocity), until(2, 200))
    (values,) = generate(shift, samples, key=key, chunk=chunk_size(resolution), progress=progress)
    facts = {"equation": f"u_t + {velocity:g} u_x = 0, periodic on (0, 1)", "parameters": {"velocity": velocity}}
    facts |= {"names": ["u"], "solver": "exact", "dtype": str(values.dtype), "reference_error": 0.0}
    grid = Grid(x=Fourier(resolution, length=1.0))
    return Trajectories(values, shift.times, grid, name="pdebench_advection", metadata=facts).check()


def pdebench_burgers(
    samples: Samples,
    resolution: int = 1024,
    *,
    key: Array,
    viscosity: float = 0.01,
    solve_at: int = 2048,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Burgers on the periodic unit interval, `u_t + u u_x = (nu / pi) u_xx`, 201 frames until t = 2.

    From `RandomWaves`; viscosities nu from 0.001 to 4 (Takamoto et al., PDEBench, 2022, appendix D.2). ETDRK4 with
    `dt = 2.5e-4` in place of a finite-volume scheme; resolutions, precision, errors and the reference as for
    `navier_stokes_nu1e_3`. Bars and windows make kinks, and the smallest viscosity shocks that 2048 nodes just
    resolve: see `reference_error`.
    """
    facts = {"equation": f"u_t + u u_x = ({viscosity:g} / pi) u_xx, periodic on (0, 1)", "names": ["u"]}
    facts |= {"parameters": {"viscosity": viscosity}}
    system = _Burgers(until(2, 200), 2.5e-4, float(viscosity))
    return trajectories(system, samples, resolution, key, solve_at, progress, name="pdebench_burgers", **facts)


def pdebench_reaction_diffusion(
    samples: Samples,
    resolution: int = 512,
    *,
    key: Array,
    diffusivity: float = 0.5,
    growth: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Reaction and diffusion on the periodic unit interval, `u_t = nu u_xx + rho u (1 - u)`, 101 frames until t = 1.

    From `RandomWaves` scaled to (0, 1); diffusivities nu 0.5 to 10, growth rho 1 to 10 (Takamoto et al., PDEBench,
    2022, appendix D.3). ETDRK4 with `dt = 1e-3` on the 512 nodes of the data, or on `resolution` if that is more;
    precision, errors and the reference as for `navier_stokes_nu1e_3`.
    """
    facts = {"equation": f"u_t = {diffusivity:g} u_xx + {growth:g} u (1 - u), periodic on (0, 1)", "names": ["u"]}
    facts |= {"parameters": {"diffusivity": diffusivity, "growth": growth}}
    system = _Reaction(until(1, 100), 1e-3, float(diffusivity), float(growth))
    nodes = max(512, resolution)
    return trajectories(system, samples, resolution, key, nodes, progress, name="pdebench_reaction_diffusion", **facts)


class _Shift(eqx.Module):
    nodes: int = eqx.field(static=True)
    velocity: float = eqx.field(static=True)
    times: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, key: Array) -> tuple[Array]:
        # Whole turns leave out what rounding would lose of a large argument.
        x = np.subtract.outer(-self.velocity * np.asarray(self.times), -np.arange(self.nodes) / self.nodes) % 1.0
        return (RandomWaves().draw(key)(jnp.asarray(x[:, None], jnp.result_type(float))),)


class _Burgers(AbstractPeriodic):
    viscosity: float = eqx.field(static=True)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        return GridField.from_function(RandomWaves().draw(key), fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return Burgers(viscosity=self.viscosity / np.pi)


class _Reaction(AbstractPeriodic):
    diffusivity: float = eqx.field(static=True)
    growth: float = eqx.field(static=True)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        return GridField.from_function(RandomWaves().draw_scaled(key), fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return FisherKPP(self.diffusivity, self.growth)
