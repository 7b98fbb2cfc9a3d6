import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray, PyTree

from ..nn import trainable
from ._checkpoints import Checkpoints
from ._signals import StopRequest
from ._state import RunState, copied, key_kind
from ._step import Recipe, Samples, advance, mean_loss


class Progress(Protocol):
    """What `fit` tells about itself: `start`, `update` after each logging interval (once saved), `close` at the end."""

    def start(self, total: int) -> None: ...

    def update(self, step: int, metrics: dict[str, Any], rate: float) -> None: ...

    def close(self) -> None: ...


class FitResult(eqx.Module):
    """The trained model and how its training went.

    `model` has the parameters with the lowest validation loss, or without validation the last ones (their average with
    `ema`). `history` has one dict per logging interval. `stopped` says why the run ended: `"finished"`, `"patience"`,
    `"interrupted"` (by SIGINT or SIGTERM; the state is saved) or `"nonfinite"` (`state.step` is the step whose loss was
    not finite; the model is that before it).
    """

    model: PyTree
    state: RunState
    history: list[dict[str, Any]]
    stopped: str = eqx.field(static=True)


def fit(
    model: PyTree,
    dataset,
    *,
    loss: Callable,
    optimizer: optax.GradientTransformation,
    steps: int,
    batch_size: int,
    key: PRNGKeyArray,
    validation=None,
    augment: Callable | None = None,
    state: RunState | None = None,
    ema: float | None = None,
    log_every: int = 100,
    patience: int | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train `model` on `dataset`: `steps` steps of `optimizer` on the mean over batches of `loss(model(a), u)`.

    The data lie on the device; every logging interval is one compiled loop. Each epoch visits the samples in an order
    of its own (from `key` and the epoch), leaving out the remainder of `samples / batch_size`. With `checkpoints`, the
    run is saved after every interval and goes on from the newest saved state it finds, to the same bits as without a
    break.

    **Arguments:** `model`, field to field, one sample; `loss(prediction, target)` on single fields, scalar; `ema` decay
    of the average of the parameters; `optimizer`; those with a line search (`optax.lbfgs`) take the loss of the batch
    again and want all samples in one; `validation` a data set whose mean loss is taken after every interval;
    `patience` in intervals without a lower validation loss; `progress` see `Progress`.

    `augment(key, a, u) -> (a, u)` changes a training sample whenever it is used, with a key of its own from `key` and
    the step; validation takes the samples as they are. `state` is the state to begin with, that of an earlier call:
    `steps` counts from the first one's start, its optimiser and average go on, and validation begins anew, for another
    loss or horizon (`training.Rollout`: training in stages). Losses without labels read what they need from a data set
    whose targets are its inputs (`data.unlabelled`).

    **Raises** `ValueError` for an empty data set, a batch larger than it, counts below 1, `patience` without
    `validation`, and checkpoints of another model or optimiser.
    """
    counts = {"steps": steps, "batch_size": batch_size, "log_every": log_every}
    _check(dataset, validation, counts if patience is None else {**counts, "patience": patience}, ema, patience)
    parameters, static = eqx.partition(model, trainable(model))
    recipe = Recipe(static, loss, optimizer, batch_size, ema, key_kind(key), augment)
    samples, held_out = Samples.of(dataset), None if validation is None else Samples.of(validation)
    begun = RunState.start(parameters, optimizer.init(parameters), key, ema is not None, validation is not None)
    current = begun if state is None else state.onto(begun)
    history: list[dict[str, Any]] = []
    found = None if checkpoints is None else checkpoints.restore(current)
    if found is not None:
        current, extra = found
        history = list(extra["history"])
    run = _Run(recipe, samples, held_out, history, log_every, patience, checkpoints, progress)
    current, stopped = run.until(steps, current)
    chosen = current.evaluated if held_out is None or not math.isfinite(float(current.best_loss)) else current.best
    return FitResult(eqx.combine(copied(chosen), static), current, history, stopped)


class _Run(eqx.Module):
    recipe: Recipe
    samples: Samples
    held_out: Samples | None
    history: list[dict[str, Any]]
    log_every: int
    patience: int | None
    checkpoints: Checkpoints | None
    progress: Progress | None

    def until(self, steps: int, state: RunState) -> tuple[RunState, str]:
        if self.progress is not None:
            self.progress.start(steps)
        try:
            with StopRequest() as request:
                return self._intervals(steps, state, request)
        finally:
            if self.progress is not None:
                self.progress.close()

    def _intervals(self, steps: int, state: RunState, request: StopRequest) -> tuple[RunState, str]:
        step = int(state.step)
        if step < steps:
            # No step is taken here: the loop is compiled before the clock starts.
            state, _, _ = advance((self.recipe, self.samples, state.step + 0), state)
        while not self._exhausted(state):
            if step >= steps:
                return state, "finished"
            stop, began = min((step // self.log_every + 1) * self.log_every, steps), time.perf_counter()
            state, train_loss, good = advance((self.recipe, self.samples, jnp.asarray(stop, jnp.int32)), state)
            taken, step = int(state.step) - step, int(state.step)
            seconds = time.perf_counter() - began
            state, row = self._validated(state, {"step": step, "train_loss": float(train_loss) if good else math.nan})
            row["seconds"] = seconds + (self.history[-1]["seconds"] if self.history else 0.0)
            row["rate"] = taken / seconds
            self.history.append(row)
            last = step >= steps or request.asked or not good
            self._save(step, state, row, last)
            if self.progress is not None:
                self.progress.update(step, row, row["rate"])
            if not good:
                return state, "nonfinite"
            if request.asked and step < steps:
                self._save(step, state, row, True)
                return state, "interrupted"
        return state, "patience"

    def _exhausted(self, state: RunState) -> bool:
        return self.patience is not None and int(state.waited) >= self.patience

    def _validated(self, state: RunState, row: dict[str, Any]) -> tuple[RunState, dict[str, Any]]:
        row["epoch"] = row["step"] / (len(self.samples) // self.recipe.batch_size)
        # Known only where the optimiser keeps it in its state (optax.inject_hyperparams).
        rates = optax.tree_utils.tree_get_all_with_path(state.optimizer, "learning_rate", filtering=_is_number)
        if rates:
            row["learning_rate"] = float(rates[0][1])
        if self.held_out is None:
            return state, row
        loss = float(mean_loss(self.recipe, state.evaluated, self.held_out))
        row["validation_loss"] = loss
        if loss < float(state.best_loss):
            best, waited = copied(state.evaluated), 0
        else:
            loss, best, waited = float(state.best_loss), state.best, int(state.waited) + 1
        found = (best, jnp.asarray(loss, jnp.float32), jnp.asarray(waited, jnp.int32))
        return eqx.tree_at(lambda s: (s.best, s.best_loss, s.waited), state, found), row

    def _save(self, step: int, state: RunState, row: dict[str, Any], last: bool) -> None:
        if self.checkpoints is None or self.checkpoints.latest_step == step:
            return
        if last or self._exhausted(state) or step - (self.checkpoints.latest_step or 0) >= self.checkpoints.every:
            self.checkpoints.save(step, state, {"history": self.history}, row.get("validation_loss"))


def _is_number(path, value) -> bool:
    return eqx.is_array(value) and value.ndim == 0


def _check(dataset, validation, counts: dict[str, int], ema: float | None, patience: int | None) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"fit needs {name} to be an integer >= 1, got {value!r}; write {name}=100.")
    for name, data in (("dataset", dataset), ("validation", validation)):
        if data is not None and len(data) == 0:
            raise ValueError(f"fit got an empty {name}; give at least one sample.")
    if counts["batch_size"] > len(dataset):
        raise ValueError(
            f"fit cannot draw batches of {counts['batch_size']} from {len(dataset)} samples; "
            f"write batch_size={len(dataset)} or less."
        )
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema is the decay of the average, between 0 and 1, got {ema!r}; write ema=0.999.")
    if patience is not None and validation is None:
        raise ValueError(
            f"patience={patience} counts intervals without a lower validation loss; give validation=dataset too."
        )
