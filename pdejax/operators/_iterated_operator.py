from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx

from ..fields import GridField
from ..nn import check_channels, check_counts
from ..solvers import AbstractFixedPoint, Solution, fixed_point


class IteratedOperator(eqx.Module):
    """Solver made of a trained operator `T`: `u_{k+1} = (1 - a) u_k + a T(u_k; data)` from `u_0 = 0`, `steps` times.

    The data go into every step. Trained with one number of steps, `T` is a map made for that number; trained with
    several (the mean loss of `iterates`) it has the solution near a fixed point, and more steps may be taken than in
    training, or `solve` asked for the fixed point itself.

    **Arguments:** `model`: `T`, any operator of `channels + data channels` input channels, the unknowns first, and
    `channels` output channels; `average`: `a` in `(0, 1]`.

    **Shapes:** field `(data channels, *n)` to field `(channels, *n)`.

    **Raises** `ValueError` for `channels` or `steps` below 1, an average outside `(0, 1]`, a model of other channels.

    Source: in the spirit of Zappala et al. 2024, Operator learning meets numerical analysis.
    """

    model: Callable[[GridField], GridField]
    channels: int = eqx.field(static=True)
    steps: int = eqx.field(static=True, default=4)
    average: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_counts("IteratedOperator", channels=self.channels, steps=self.steps)
        if not 0 < self.average <= 1:
            raise ValueError(f"an average lies in (0, 1], got average={self.average!r}; write average=0.5.")

    def __call__(self, data: GridField) -> GridField:
        every = self.iterates(data)
        return every.with_values(every.values[-self.channels :])

    def refine(self, u: GridField, data: GridField) -> GridField:
        """`T(u; data)`: one application of the model."""
        image = self.model(data.with_values(jnp.concatenate([u.values, data.values])))
        check_channels("IteratedOperator", self.channels, image)
        return image

    def iterates(self, data: GridField) -> GridField:
        """All iterates `u_1 .. u_steps`, one after the other: `(steps channels, *n)`."""

        def step(u: GridField, _):
            image = self.refine(u, data)
            u = u.with_values((1 - self.average) * u.values + self.average * image.values)
            return u, u.values

        _, every = jax.lax.scan(step, self._start(data), length=self.steps)
        return data.with_values(every.reshape(-1, *data.grid.shape))

    def solve(
        self,
        data: GridField,
        solver: AbstractFixedPoint | optx.AbstractRootFinder | None = None,
        *,
        adjoint: optx.AbstractAdjoint | None = None,
        max_steps: int = 256,
    ) -> Solution:
        """The fixed point `u = T(u; data)` and how well it was found, by any solver of `solvers.fixed_point`:
        `Picard(1e-4, average=0.5)`, `Anderson(1e-4)`, `InexactNewton(..)` on `u - T(u; data)`.

        It does not raise: see `result`.
        """
        start = self._start(data)
        return fixed_point(_refined, start, (self, data), solver, adjoint=adjoint, max_steps=max_steps, throw=False)

    def _start(self, data: GridField) -> GridField:
        return data.with_values(jnp.zeros((self.channels, *data.grid.shape), data.dtype))


def _refined(u: GridField, args) -> GridField:
    operator, data = args
    return operator.refine(u, data)
