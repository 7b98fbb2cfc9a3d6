import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..equations import Burgers
from ..fields import GridField
from ..grids import Fourier, Grid
from ..solvers import ETDRK4, EvolutionProblem, solve
from ._dataset import Dataset
from ._generate import check_nested, chunk_size, generate, relative_distance
from ._random_fields import GaussianRandomField


def burgers_unit_nu1e_2(
    samples: int,
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
    problem = _Wave(GaussianRandomField(2.0, 5.0, 25.0), Grid(x=Fourier(solve_at, length=1.0)), 1e-2, 2e-3)
    return _burgers("burgers_unit_nu1e-2", problem, samples, resolution, key, progress)


def burgers_2pi_nu0_1(
    samples: int,
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
    problem = _Wave(GaussianRandomField(2.0, 5.0, 25.0), Grid(x=Fourier(solve_at, length=2 * np.pi)), 0.1, 5e-3)
    return _burgers("burgers_2pi_nu0.1", problem, samples, resolution, key, progress)


class _Wave(eqx.Module):
    """State at time 0 and time 1 of one key, at every `stride`-th node of the grid."""

    field: GaussianRandomField
    grid: Grid
    viscosity: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    stride: int = eqx.field(static=True, default=1)

    def __call__(self, key: Array) -> tuple[Array, Array]:
        u = self.field.sample(self.grid, key=key)
        return u.values[:, :: self.stride], later(u, self.viscosity, self.dt).values[:, :: self.stride]


def later(u: GridField, viscosity: float, dt: float) -> GridField:
    """The state at time 1. The only place that calls the solver."""
    with jax.ensure_compile_time_eval():
        # A known viscosity lets the stepper compute its coefficients in float64, also inside jit.
        equation = Burgers(viscosity=viscosity)
    return solve(EvolutionProblem(equation, u, t0=0.0, t1=1.0), ETDRK4(dt=dt)).value


@eqx.filter_jit
def _refined(wave: _Wave, key: Array) -> Array:
    u = wave.field.sample(wave.grid, key=key).resample(wave.grid.refined(2))
    return later(u, wave.viscosity, wave.dt / 2).values[:, :: 2 * wave.stride]


def _burgers(name: str, wave: _Wave, samples: int, resolution: int, key: Array, progress) -> Dataset:
    solve_at = wave.grid.shape[0]
    wave = dataclasses.replace(wave, stride=check_nested(resolution, solve_at, closed=False))
    inputs, targets = generate(wave, samples, key=key, chunk=chunk_size(solve_at), progress=progress)
    facts = {
        "equation": f"u_t + u u_x = {wave.viscosity:g} u_xx, periodic on (0, {wave.grid.axis('x').length:.6g})",
        "parameters": {"viscosity": wave.viscosity, "gamma": 2.0, "tau": 5.0, "sigma": 25.0},
        "input_names": ["u"],
        "target_names": ["u"],
        "times": [0.0, 1.0],
        "solver": "ETDRK4",
        "dt": wave.dt,
        "solve_at": solve_at,
        "dtype": str(targets.dtype),
        "reference_error": relative_distance(targets[0], _refined(wave, jax.random.fold_in(key, 0))),
    }
    grid = wave.grid.with_shape((resolution,))
    return Dataset(inputs, targets, grid, name=name, metadata=facts).check()
