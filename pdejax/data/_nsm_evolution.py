from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import AbstractEvolution, FisherKPP, NavierStokesVorticity
from ..fields import GridField
from ..grids import Grid
from ._evolve import AbstractPeriodic, trajectories, until
from ._gaussian_process import GaussianProcess, PeriodicKernel
from ._generate import Samples
from ._trajectories import Trajectories


def nsm_reaction_diffusion(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    diffusivity: float = 0.01,
    solve_at: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Reaction and diffusion on the periodic unit interval, `u_t = nu u_xx + 5 u (1 - u)`, 65 frames until t = 1.

    `u_0` is a Gaussian process with the periodic kernel of length 0.2 drawn on 64 nodes, scaled to [0, 1] there (Du,
    Chalapathi & Krishnapriyan, Neural Spectral Methods, 2024, section 5.2, with nu 0.005, 0.01, 0.05 and 0.1). ETDRK4
    with `dt = 1 / 512` in place of a splitting on 4096 nodes; resolutions, precision, errors and the reference as for
    `navier_stokes_nu1e_3`.
    """
    facts = {"equation": f"u_t = {diffusivity:g} u_xx + 5 u (1 - u), periodic on (0, 1)", "names": ["u"]}
    facts |= {"parameters": {"diffusivity": diffusivity, "growth": 5.0, "length": 0.2}, "drawn_at": 64}
    system = _Reaction(until(1, 64), 1 / 512, float(diffusivity))
    return trajectories(system, samples, resolution, key, solve_at, progress, name="nsm_reaction_diffusion", **facts)


def nsm_navier_stokes(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    viscosity: float = 1e-3,
    solve_at: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Decaying flow in the periodic unit square by its vorticity, `w_t + v . grad w = nu lap w`, 31 frames until t = 3.

    `w_0` is a Gaussian process with the periodic kernel of length 0.8 drawn on 64 nodes per axis, less its mean (Du,
    Chalapathi & Krishnapriyan, Neural Spectral Methods, 2024, section 5.3, with nu 1e-2, 1e-3 and 1e-4). ETDRK4 with
    `dt = 0.01`; resolutions, precision, errors and the reference as for `navier_stokes_nu1e_3`.
    """
    facts = {"equation": f"w_t + v . grad w = {viscosity:g} lap w, periodic on (0, 1)^2", "names": ["vorticity"]}
    facts |= {"parameters": {"viscosity": viscosity, "length": 0.8}, "drawn_at": 64}
    system = _Decay(until(3, 30), 0.01, float(viscosity))
    return trajectories(system, samples, resolution, key, solve_at, progress, name="nsm_navier_stokes", **facts)


class _Reaction(AbstractPeriodic):
    diffusivity: float = eqx.field(static=True)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        u = GaussianProcess(PeriodicKernel(0.2)).sample(self.grid(64), key=key)
        low, high = jnp.min(u.values), jnp.max(u.values)
        return ((u - low) * (1 / (high - low))).resample(fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return FisherKPP(self.diffusivity, 5.0)


class _Decay(AbstractPeriodic):
    axes: ClassVar[tuple[str, ...]] = ("x", "y")
    viscosity: float = eqx.field(static=True)

    def start(self, grid: Grid, fine: Grid, key: Array) -> GridField:
        w = GaussianProcess(PeriodicKernel(0.8)).sample(self.grid(64), key=key)
        return (w - jnp.mean(w.values)).resample(fine)

    def equation(self, grid: Grid) -> AbstractEvolution:
        return NavierStokesVorticity(self.viscosity)
