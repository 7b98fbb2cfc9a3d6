from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..equations import TwoScaleLorenz96
from ..fields import GridField
from ..grids import Fourier, Grid, Periodic, Uniform
from ..solvers import RK4, EvolutionProblem, solve
from ._generate import Samples, generate, relative_distance, selected
from ._trajectories import Trajectories

FAST, COUPLING, TIME_RATIO, SPACE_RATIO = 10, 1.0, 10.0, 10.0
STEP, SUBSTEPS = 5e-3, 10
SPIN_UP = 5.0


def lorenz96(
    samples: Samples,
    sites: int = 36,
    *,
    key: Array,
    forcing: float = 10.0,
    every: int = 10,
    frames: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Slow variables of the two-scale Lorenz 1996 system, and what its fast ones do to them.

    Channels X and g of
    `X_k' = (X_{k+1} - X_{k-2}) X_{k-1} - X_k + F + g_k`, `g_k = -(h c / b) sum_j Y_{j,k}`,
    `Y_{j,k}' = c b (Y_{j-1,k} - Y_{j+2,k}) Y_{j+1,k} - c Y_{j,k} + (h c / b) X_k`,
    with ten Y at each of the sites, `h = 1` and `b = c = 10` (Lorenz 1996, section 5). g is its mean over the coarse
    step 0.005 that begins at the frame, by Simpson's rule on ten fine steps: the exact subgrid tendency that a closure
    has to give (`states([0], [1])`). Frames are `every` coarse steps apart; `frames` of them follow a spin-up of five
    units of time from random states. Fourth-order Runge-Kutta with `dt = 5e-4`.

    Chaos lets trajectories of different steps part: `metadata["reference_error"]` is the relative L2 distance of the
    first two frames of sample 0 to those of half the step from the same state after the spin-up.
    """
    ring = _Ring(sites, float(forcing), every, frames)
    (values,) = generate(ring, samples, key=key, chunk=16, progress=progress)
    facts = {"equation": "Lorenz 1996, two scales", "names": ["X", "tendency"], "solver": "RK4", "coarse_step": STEP}
    facts |= {"dt": STEP / SUBSTEPS, "spin_up": SPIN_UP, "dtype": str(values.dtype)}
    facts |= {"parameters": {"forcing": forcing, "h": COUPLING, "c": TIME_RATIO, "b": SPACE_RATIO, "fast": FAST}}
    if 0 in selected(samples) and frames > 1:
        near = eqx.filter_jit(_Ring(sites, float(forcing), every, 2, 2))(jax.random.fold_in(key, 0))[0]
        facts["reference_error"] = relative_distance(values[0, :2], near)
    times = STEP * every * np.arange(frames)
    return Trajectories(values, times, Grid(x=Fourier(sites, length=sites)), name="lorenz96", metadata=facts).check()


class _Ring(eqx.Module):
    """X and the mean tendency of a key at every frame, with `1 / refine` of the fine step."""

    sites: int = eqx.field(static=True)
    forcing: float = eqx.field(static=True)
    every: int = eqx.field(static=True)
    frames: int = eqx.field(static=True)
    refine: int = eqx.field(static=True, default=1)

    def __call__(self, key: Array) -> tuple[Array]:
        first, second = jax.random.split(key)
        slow = self.forcing / 2 + jax.random.normal(first, (1, self.sites))
        fast = jax.random.normal(second, (FAST, self.sites)) / SPACE_RATIO
        grid = Grid(x=Uniform(self.sites, self.sites, lower=Periodic(), upper=Periodic()))
        dt = STEP / SUBSTEPS
        start = self._solve(GridField(jnp.concatenate([slow, fast]), grid), SPIN_UP, dt, None)
        # Every frame is followed by the fine steps over which the tendency is averaged.
        at = np.add.outer(self.every * SUBSTEPS * np.arange(self.frames), np.arange(SUBSTEPS + 1)) * dt
        times, index = np.unique(np.round(at, 12), return_inverse=True)
        states = self._solve(start, times[-1], dt / self.refine, tuple(times)).values
        states = states[index.reshape(at.shape)]
        tendency = -COUPLING * TIME_RATIO / SPACE_RATIO * jnp.sum(states[:, :, 1:], axis=2)
        simpson = np.array([1, *(SUBSTEPS // 2 - 1) * (4, 2), 4, 1]) / (3 * SUBSTEPS)
        mean = jnp.einsum("ijk,j->ik", tendency, jnp.asarray(simpson, tendency.dtype), precision="highest")
        return (jnp.stack([states[:, 0, 0], mean], axis=1),)

    def _solve(self, u: GridField, end: float, dt: float, times) -> GridField:
        with jax.ensure_compile_time_eval():
            equation = TwoScaleLorenz96(self.forcing, COUPLING, TIME_RATIO, SPACE_RATIO)
        return solve(EvolutionProblem(equation, u, t0=0.0, t1=end), RK4(dt=dt), save_at=times).value
