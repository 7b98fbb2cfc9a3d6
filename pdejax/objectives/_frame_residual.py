from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import AbstractEvolution
from ..fields import GridField
from ._errors import mean_square


class FrameResidual(eqx.Module):
    """A loss without labels for predicted frames: what is left of `u_t = linear(u) + nonlinear(u, t)`, mean over time.

    Outputs are states at `t0 + dt, t0 + 2 dt, ...` as channels, one after the other; the state at t0 is the newest one
    of the model's input `a`, the second field: give `fit` a data set whose targets are its inputs
    (`data.unlabelled`). `u_t` is the central difference, one-sided at the last frame, both of order `dt^2`.

    **Arguments:** `measure` of each residual: `mean_square`, `coefficient_squares` or a `SobolevSquare`. How many
    channels a state has is read from `channels`.

    **Raises** `ValueError` for fewer than two predicted frames.

    Source: the time differences of Li et al. 2024, Physics-informed neural operator; with `SobolevSquare(-1)` the
    residual norm of Cao, Brarda, Li & Mao 2025, Spectral-Refiner.
    """

    equation: AbstractEvolution
    dt: float = eqx.field(static=True, converter=float)
    measure: Callable[[GridField], Array] = mean_square
    channels: int = eqx.field(static=True, default=1)
    t0: float = eqx.field(static=True, converter=float, default=0.0)

    def __call__(self, prediction: GridField, a: GridField) -> Array:
        values = jnp.concatenate([a.values[-self.channels :], prediction.values])
        frames = values.reshape(-1, self.channels, *prediction.grid.shape)
        if frames.shape[0] < 3:
            raise ValueError(
                f"FrameResidual differences in time and got {frames.shape[0] - 1} frame of {self.channels} channels; "
                "predict two or more, or write channels=1."
            )
        last = 3 * frames[-1:] - 4 * frames[-2:-1] + frames[-3:-2]
        slopes = jnp.concatenate([frames[2:] - frames[:-2], last]) / (2 * self.dt)
        times = self.t0 + self.dt * jnp.arange(1, frames.shape[0], dtype=frames.dtype)

        def one(state: Array, slope: Array, t: Array) -> Array:
            u = prediction.with_values(state)
            return self.measure(prediction.with_values(slope) - self.equation.tendency(u, t))

        return jnp.mean(jax.vmap(one)(frames[1:], slopes, times))
