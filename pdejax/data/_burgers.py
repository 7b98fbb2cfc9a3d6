import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..equations import AbstractEvolution, Burgers
from ..fields import GridField
from ..grids import Fourier, Grid
from ..solvers import ETDRK4, EvolutionProblem, solve
from ._dataset import Dataset
from ._evolve import AbstractPeriodic, trajectories, until
from ._generate import Samples, check_nested
from ._pairs import AbstractPair, pairs
from ._random_fields import GaussianRandomField
from ._trajectories import Trajectories

FIELD = ("gamma", "tau", "sigma")


def burgers_unit_nu1e_2(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Viscous Burgers on the periodic unit interval: `u_t + u u_x = 0.01 u_xx`, `u(., 0)` to `u(., 1)`.

    Initial states `N(0, 625 (-Laplacian + 25)^-2)`. ETDRK4 on `solve_at` nodes; the data are the values at every
    `solve_at / resolution`-th node, so one key gives the same functions at every resolution. The public Burgers data
    of the Fourier Neural Operator (Li et al., 2021) are stated with viscosity 0.1 on (0, 1), where diffusion leaves
    next to nothing at t = 1, and were made otherwise; this variant and `burgers_2pi_nu0_1` are named apart for that
    reason.

    Computed in float64 where x64 is enabled, else float32; `metadata["reference_error"]` is the relative L2 distance
    of sample 0 to the solution with half the time step on twice the nodes.

    **Raises** `ValueError` for a resolution whose nodes are not among those of the solve.
    """
    wave = _Wave(GaussianRandomField(2.0, 5.0, 25.0), 1.0, 1e-2, 2e-3)
    return _burgers("burgers_unit_nu1e-2", wave, samples, resolution, key, solve_at, progress)


def burgers_unit_nu1e_3(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Viscous Burgers on the periodic unit interval: `u_t + u u_x = 0.001 u_xx`, `u(., 0)` to `u(., 1)`.

    The setting of the data generator published with the Fourier Neural Operator (Li et al., 2021), which differs from
    its text: initial states `N(0, 49^2 (-Laplacian + 49)^-2.5)`. Shocks form. Method, resolutions, precision, errors
    and the reference as for `burgers_unit_nu1e_2`.
    """
    wave = _Wave(GaussianRandomField(2.5, 7.0, 49.0), 1.0, 1e-3, 1e-3)
    return _burgers("burgers_unit_nu1e-3", wave, samples, resolution, key, solve_at, progress)


def burgers_2pi_nu0_1(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Viscous Burgers on the periodic interval (0, 2 pi): `u_t + u u_x = 0.1 u_xx`, `u(., 0)` to `u(., 1)`.

    The setting of the journal version of the Fourier Neural Operator (Kovachki et al., 2023): initial states
    `N(0, 625 (-Laplacian + 25)^-2)` with eigenfunctions orthonormal in L2(0, 2 pi). Method, resolutions, precision,
    errors and the reference as for `burgers_unit_nu1e_2`.
    """
    wave = _Wave(GaussianRandomField(2.0, 5.0, 25.0), 2 * np.pi, 0.1, 5e-3)
    return _burgers("burgers_2pi_nu0.1", wave, samples, resolution, key, solve_at, progress)


def burgers_unit_frames(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    viscosity: float = 1e-2,
    frames: int = 51,
    solve_at: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Viscous Burgers on the periodic unit interval, `u_t + u u_x = nu u_xx`, `frames` equal times from 0 to 1.

    Initial states as for `burgers_unit_nu1e_2`, in the layout of the physics-informed neural operator (Li et al. 2024,
    section 4.1: 101 times on 128 nodes, of another random field). ETDRK4 with `dt` near 1e-3; resolutions, precision,
    errors and the reference as for `navier_stokes_nu1e_3`.
    """
    steps = max(frames - 1, 1)
    dt = 1 / (steps * -(-1000 // steps))
    facts = {"equation": f"u_t + u u_x = {viscosity:g} u_xx, periodic on (0, 1)", "names": ["u"]}
    facts |= {"parameters": {"viscosity": viscosity, "gamma": 2.0, "tau": 5.0, "sigma": 25.0}}
    system = _Frames(until(1, steps), dt, float(viscosity))
    return trajectories(system, samples, resolution, key, solve_at, progress, name="burgers_unit_frames", **facts)


class _Frames(AbstractPeriodic):
    viscosity: float = eqx.field(static=True)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        return GaussianRandomField(2.0, 5.0, 25.0).sample(grid, key=key).resample(fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return Burgers(viscosity=self.viscosity)


class _Wave(AbstractPair):
    """State at time 0 and time 1 of one key."""

    field: GaussianRandomField
    length: float = eqx.field(static=True)
    viscosity: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    nodes: int = eqx.field(static=True, default=1024)
    stride: int = eqx.field(static=True, default=1)

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        grid = Grid(x=Fourier(self.nodes, length=self.length))
        u = self.field.sample(grid, key=key).resample(grid.refined(refine))
        end = later(u, self.viscosity, self.dt / refine)
        at = (slice(None), slice(None, None, self.stride * refine))
        return u.values[at], end.values[at]


def later(u: GridField, viscosity: float, dt: float) -> GridField:
    """The state at time 1. The only place that calls the solver."""
    with jax.ensure_compile_time_eval():
        # A known viscosity lets the stepper compute its coefficients in float64, also inside jit.
        equation = Burgers(viscosity=viscosity)
    return solve(EvolutionProblem(equation, u, t0=0.0, t1=1.0), ETDRK4(dt=dt)).value


def _burgers(name, wave: _Wave, samples, resolution: int, key: Array, solve_at: int, progress) -> Dataset:
    stride = check_nested(resolution, solve_at, closed=False)
    return pairs(
        dataclasses.replace(wave, nodes=solve_at, stride=stride),
        samples,
        Grid(x=Fourier(resolution, length=wave.length)),
        key,
        solve_at,
        progress,
        name=name,
        equation=f"u_t + u u_x = {wave.viscosity:g} u_xx, periodic on (0, {wave.length:.6g})",
        parameters={"viscosity": wave.viscosity} | {fact: getattr(wave.field, fact) for fact in FIELD},
        input_names=["u"],
        target_names=["u"],
        times=[0.0, 1.0],
        solver="ETDRK4",
        dt=wave.dt,
        solve_at=solve_at,
    )
