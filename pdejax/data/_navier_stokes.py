from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..equations import AbstractEvolution, KolmogorovFlow, NavierStokesVorticity
from ..fields import GridField
from ..grids import Fourier, Grid
from ..solvers import ETDRK4
from ._evolve import AbstractEvolving, AbstractPeriodic, trajectories, until
from ._generate import Samples
from ._random_fields import GaussianRandomField
from ._trajectories import Trajectories


def navier_stokes_nu1e_3(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 256,
    dt: float = 5e-3,
    end: float = 50.0,
    every: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Forced flow in the periodic unit square by its vorticity, viscosity 1e-3, frames at t = 0, every, ..., end:
    `w_t + v . grad w = nu lap w + 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y))`.

    Initial vorticity `N(0, 7^3 (-Laplacian + 49)^-2.5)` (Li et al., Fourier Neural Operator, 2021, section 5.3; the
    usual protocol takes the frames of t = 1 to 10 and predicts the others). ETDRK4 with 3/2 dealiasing on `solve_at`
    nodes per axis, in place of the published explicit advection of first order with `dt = 1e-4`; the data are its
    values at every `solve_at / resolution`-th node, so one key gives the same functions at every resolution.

    Computed in float64 where x64 is enabled, else float32; `metadata["reference_error"]` is the relative L2 distance of
    sample 0, over all frames, to the solution with half the time step on half the spacing.

    **Raises** `ValueError` for a resolution whose nodes are not among those of the solve, and for an `end` that is no
    multiple of `every`.
    """
    return _forced("navier_stokes_nu1e-3", 1e-3, (end, every), samples, resolution, key, solve_at, dt, progress)


def navier_stokes_nu1e_4(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 256,
    dt: float = 5e-3,
    end: float = 30.0,
    every: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Forced flow in the periodic unit square as `navier_stokes_nu1e_3`: viscosity 1e-4, by default until t = 30."""
    return _forced("navier_stokes_nu1e-4", 1e-4, (end, every), samples, resolution, key, solve_at, dt, progress)


def navier_stokes_nu1e_5(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 256,
    dt: float = 5e-3,
    end: float = 20.0,
    every: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Forced flow in the periodic unit square as `navier_stokes_nu1e_3`: viscosity 1e-5, by default until t = 20."""
    return _forced("navier_stokes_nu1e-5", 1e-5, (end, every), samples, resolution, key, solve_at, dt, progress)


def _forced(name, viscosity, span, samples, resolution, key, solve_at, dt, progress) -> Trajectories:
    end, every = span
    count = round(end / every) if every > 0 else 0
    if count < 1 or abs(count * every - end) > 1e-9 * end:
        raise ValueError(f"frames {every!r} apart do not reach t = {end!r}; write end={max(count, 1) * every!r}.")
    flow = _Forced(until(end, count), dt, viscosity)
    return trajectories(
        flow,
        samples,
        resolution,
        key,
        solve_at,
        progress,
        name=name,
        equation=f"w_t + v . grad w = {viscosity:g} lap w + 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)), periodic",
        parameters={"viscosity": viscosity, "gamma": 2.5, "tau": 7.0},
        names=["vorticity"],
    )


class _Forced(AbstractPeriodic):
    axes: ClassVar[tuple[str, ...]] = ("x", "y")
    viscosity: float = eqx.field(static=True)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        return GaussianRandomField(2.5, 7.0).sample(grid, key=key).resample(fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        phase = lambda x, y: 2 * jnp.pi * (x + y)
        force = lambda x, y: 0.1 * (jnp.sin(phase(x, y)) + jnp.cos(phase(x, y)))
        return NavierStokesVorticity(self.viscosity, forcing=GridField.from_function(force, grid))


def kolmogorov(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    reynolds: float = 1000.0,
    solve_at: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Kolmogorov flow with drag on the periodic square of side 2 pi, by its vorticity, 101 frames until t = 10:
    `w_t + v . grad w = (1 / Re) lap w - 0.1 w - 8 cos 8 y`.

    The flow of the FactFormer data (Li, Shu & Barati Farimani, 2023, section 4.2), Re = 1000 there. The sign of the
    force is that of `sin(8 y)` along x; the initial vorticity `N(0, 7^3 (-Laplacian + 49)^-2.5)`, the drag 0.1 and the
    spacing 0.1 of the frames are our choices where the source leaves them open. ETDRK4 with `dt = 2.5e-3`; resolutions,
    precision, errors and the reference as for `navier_stokes_nu1e_3`.
    """
    return trajectories(
        _Kolmogorov(until(10, 100), 2.5e-3, float(reynolds)),
        samples,
        resolution,
        key,
        solve_at,
        progress,
        name="kolmogorov",
        equation=f"w_t + v . grad w = lap w / {reynolds:g} - 0.1 w - 8 cos 8 y, periodic on (0, 2 pi)^2",
        parameters={"reynolds": reynolds, "drag": 0.1, "wavenumber": 8, "gamma": 2.5, "tau": 7.0},
        names=["vorticity"],
    )


class _Kolmogorov(AbstractEvolving):
    stepper: ClassVar[Any] = ETDRK4
    times: tuple[float, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    reynolds: float = eqx.field(static=True)

    def grid(self, n: int) -> Grid:
        return Grid(x=Fourier(n, length=2 * np.pi), y=Fourier(n, length=2 * np.pi))

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        return GaussianRandomField(2.5, 7.0).sample(grid, key=key).resample(fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return KolmogorovFlow(viscosity=1 / self.reynolds, drag=0.1, amplitude=1.0, wavenumber=8)
