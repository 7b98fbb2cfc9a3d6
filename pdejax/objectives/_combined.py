from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField

Loss = Callable[[GridField, GridField], Array]


class FrameMean(eqx.Module):
    """Mean over time of a loss of each frame, for outputs whose channels are states one after the other.

    With `relative_l2` each frame has its own ratio and all count alike; `relative_l2` alone divides the error of all
    frames by the norm of all, where decaying states weigh less and less.

    **Arguments:** `channels` of one state; how many frames there are is read from the fields.

    **Raises** `ValueError` if the channels of the fields are not whole states.
    """

    loss: Loss
    channels: int = eqx.field(static=True, default=1)

    def __call__(self, prediction: GridField, target: GridField) -> Array:
        count = target.channels
        if self.channels < 1 or count % self.channels or prediction.channels != count:
            raise ValueError(
                f"FrameMean with channels={self.channels} got {prediction.channels} predicted channels for {count}: "
                "both are as many states; write channels=1 for scalar states, and equal steps of model and data."
            )

        def one(p: Array, t: Array) -> Array:
            return self.loss(prediction.with_values(p), target.with_values(t))

        split = lambda u: u.values.reshape(-1, self.channels, *u.grid.shape)
        return jnp.mean(jax.vmap(one)(split(prediction), split(target)))


class WeightedSum(eqx.Module):
    """Sum of losses with weights, `sum_i w_i L_i(p, t)`; the weights are constants of the training.

    **Raises** `ValueError` for unequal numbers of losses and weights.
    """

    losses: tuple[Loss, ...]
    weights: np.ndarray

    def __init__(self, losses: Sequence[Loss], weights: Sequence[float]):
        if len(losses) != len(weights) or not losses:
            raise ValueError(
                f"a WeightedSum has one weight for each loss, got {len(losses)} losses and {len(weights)} weights; "
                "write WeightedSum([relative_l2, relative_h1], [1.0, 0.1])."
            )
        self.losses, self.weights = tuple(losses), np.asarray(weights, np.float64)

    def __call__(self, prediction: GridField, target: GridField) -> Array:
        values = jnp.stack([loss(prediction, target) for loss in self.losses])
        return jnp.sum(jnp.asarray(self.weights, values.dtype) * values)
