from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..data import Dataset
from ..fields import GridField
from ..nn import Normalised, Normaliser


class Rollout(eqx.Module):
    """An autoregressive model applied again and again: a window of states to the `steps` states after it.

    `model` takes the `history` newest states, channels one after the other, the oldest first, and gives the next one;
    the window moves on by it. With a loss on `Trajectories.windows(history, horizon=steps)` this is unrolled training,
    with the gradient through all steps. To train in stages of growing length, call `fit` again with the same model in
    a longer `Rollout` and the `state` of the stage before (`training.of_length`; in a config `training.curriculum`).
    The field `model` of a trained one is the model of one step.

    **Shapes:** field `(history * channels, *n)` to field `(steps * channels, *n)`, on the same grid.

    **Raises** `ValueError` for counts below one and a model that does not return one state.

    Source: the loss over a rollout of Li et al. 2021, Fourier neural operator, section 5.3.
    """

    model: Callable[[GridField], GridField]
    steps: int = eqx.field(static=True)
    history: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        _check("Rollout", self.steps, self.history)

    def __call__(self, a: GridField) -> GridField:
        frames = march(self.model, a, self.steps, self.history)
        return a.with_values(_joined(frames))


class PushForward(eqx.Module):
    """A `Rollout` without gradients from state to state: each step begins from a state that is a constant to it.

    The model learns to correct the errors it makes, without differentiating through how it made them. The gradient of
    the last frame's loss is that of the last step alone, which is the push-forward or stability loss; the first frame's
    is the loss of one step, so that a loss of all frames, best `objectives.FrameMean`, is the sum that the authors
    train with. As that needs what one step knows, begin with few steps (`training.curriculum`).

    **Shapes:** field `(history * channels, *n)` to field `(steps * channels, *n)`, on the same grid.

    **Raises** what `Rollout` raises.

    Source: Brandstetter, Worrall & Welling 2022, Message passing neural PDE solvers, section 3.1. Deviation: the number
    of steps is fixed, not drawn, and the frames between the first and the last count too.
    """

    model: Callable[[GridField], GridField]
    steps: int = eqx.field(static=True)
    history: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        _check("PushForward", self.steps, self.history)

    def __call__(self, a: GridField) -> GridField:
        frames = march(self.model, a, self.steps, self.history, jax.lax.stop_gradient)
        return a.with_values(_joined(frames))


@eqx.filter_jit
def rollout(model: Callable[[GridField], GridField], start: GridField, steps: int, *, history: int = 1) -> GridField:
    """The `steps` states that a model of one step makes of a window of states: a field with a leading time axis.

    `start` holds `history` states, channels one after the other, the oldest first; it is not among the results. One
    compiled loop, whatever `steps`; for a batch write `jax.vmap(lambda u: rollout(model, u, steps))(starts)`.

    **Raises** `ValueError` for a model that does not return one state.
    """
    return jax.vmap(start.with_values)(march(model, start, steps, history))


def march(
    model: Callable[[GridField], GridField],
    start: GridField,
    steps: int,
    history: int,
    link: Callable[[Array], Array] = lambda window: window,
) -> Array:
    """States `(steps, channels, *n)` after the window `start`; `link` is applied to each window on its way in."""
    channels = start.channels // history
    if channels * history != start.channels:
        raise ValueError(
            f"a window of history={history} states cannot have {start.channels} channels; "
            f"write history=1, or give the newest {history} states one after the other."
        )

    def step(window: Array, _: None) -> tuple[Array, Array]:
        state = model(start.with_values(link(window))).values
        if state.shape[0] != channels:
            raise ValueError(
                f"an autoregressive model of {history} states with {channels} channels returns one of them and this "
                f"returned {state.shape[0]} channels; write in_channels={start.channels}, out_channels={channels}."
            )
        return jnp.concatenate([window[channels:], state]), state

    return jax.lax.scan(step, start.values, None, length=steps)[1]


def one_step(model: Callable[[GridField], GridField]) -> tuple[Callable[[GridField], GridField], int]:
    """The model of one step in a `Rollout` or `PushForward` and its number of states; else itself and 1."""
    return (model.model, model.history) if isinstance(model, Rollout | PushForward) else (model, 1)


def normalised(model: Callable[[GridField], GridField], dataset: Dataset) -> Callable[[GridField], GridField]:
    """A model between normalisers with the statistics of a data set.

    In a `Rollout` or `PushForward` each step is, for the states that go round keep their own units, and one mean and
    deviation per channel of a state serves all of them, coming and going.
    """
    inputs, targets = dataset.inputs, dataset.targets
    if not isinstance(model, Rollout | PushForward):
        return Normalised(model, Normaliser.of(inputs, dataset.grid), Normaliser.of(targets, dataset.target_grid))
    states = np.asarray(inputs).reshape(-1, inputs.shape[1] // model.history, *inputs.shape[2:])
    one = Normaliser.of(states, dataset.grid)
    window = Normaliser(np.tile(one.mean, model.history), np.tile(one.std, model.history))
    return type(model)(Normalised(model.model, window, one), model.steps, model.history)


def of_length(model: Rollout | PushForward, dataset: Dataset, steps: int) -> tuple[Rollout | PushForward, Dataset]:
    """The same model rolled out over fewer steps, and the first ones of the targets: a stage of a training that grows.

    **Raises** `ValueError` for more steps than the data have.
    """
    channels = dataset.in_channels // model.history
    if not 1 <= steps <= dataset.out_channels // channels:
        raise ValueError(
            f"a stage of {steps} steps needs targets of as many states and there are "
            f"{dataset.out_channels // channels}; write the longest stage as steps= of the model."
        )
    facts, cut = dataset.metadata, dataset.targets[:, : steps * channels]
    shorter = Dataset(dataset.inputs, cut, dataset.grid, name=dataset.name, metadata=facts)
    return type(model)(model.model, steps, model.history), shorter


def _joined(frames: Array) -> Array:
    return frames.reshape(-1, *frames.shape[2:])


def _check(name: str, steps: int, history: int) -> None:
    for what, count in (("steps", steps), ("history", history)):
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} needs {what} to be an integer >= 1, got {count!r}; write {what}=1.")
