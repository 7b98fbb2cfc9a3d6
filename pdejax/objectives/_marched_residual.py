from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import AbstractEvolution
from ..fields import GridField
from ..solvers import EvolutionProblem, solve
from ._spectral_residual import SobolevSquare


class MarchedResidual(eqx.Module):
    """The residual of predicted frames with a rate of change that a solver finds, mean over the frames, no labels.

    Every frame u is marched by one step of `method`, very small, to `w`; with `w_t = (w - u) / dt` the residual is
    `w_t - linear(w) - nonlinear(w, t)`. The second field is not looked at.

    **What it measures.** The solver makes `w_t` from u itself, so the residual is zero to first order in `dt` for
    *every* u: about `dt |d/dt (linear + nonlinear)|`, a curvature in time of the solution through each frame on its
    own. It sees roughness, not whether the frames follow one another as the equation says; `FrameResidual` does.

    **Arguments:** `equation`, with forcing that does not depend on time; `method` with its step, as
    `solvers.ARS222(dt=1e-6)`; `measure` as for `FrameResidual`; `channels` of a state.

    **Raises** what the method raises for the equation and grid.

    Source: the fine-tuning loss of Cao, Brarda, Li & Xi 2025, Spectral-refiner, with one step of 1e-6 in float64, as
    in the authors' `finetune.py`. Deviation: methods of `solvers` in place of theirs of first order.
    """

    equation: AbstractEvolution
    method: Any
    measure: Callable[[GridField], Array] = SobolevSquare(-1.0, 10**-1.5)
    channels: int = eqx.field(static=True, default=1)

    def __call__(self, prediction: GridField, a: GridField | None = None) -> Array:
        grid = prediction.grid
        if not grid.dealiases:
            grid = grid.with_dealias(self.method.dealias)

        def one(state: Array) -> Array:
            # As the steppers do: on nodes of even number the shortest wave has no derivative, and is left out.
            u, dt = prediction.with_values(state).with_grid(grid), self.method.dt
            u = u.with_coefficients(grid.reached_by_products(u.coefficients, u.is_real))
            w = solve(EvolutionProblem(self.equation, u, t0=0.0, t1=dt), self.method).value
            return self.measure((w - u) * (1 / dt) - self.equation.tendency(w, 0.0))

        return jnp.mean(jax.vmap(one)(prediction.values.reshape(-1, self.channels, *grid.shape)))
