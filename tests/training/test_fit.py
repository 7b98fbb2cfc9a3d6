import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pdejax as pj
from pdejax.data import Dataset
from pdejax.nn import Normalised, Normaliser, Pointwise
from pdejax.objectives import relative_l2
from pdejax.training import Checkpoints, fit

GRID = pj.Grid(x=pj.Fourier(6, length=1.0))
KEY = jax.random.key(3)
ADAM = optax.adam(1e-2)


class Net(eqx.Module):
    """Two pointwise maps: enough to train, quick to compile."""

    first: Pointwise
    second: Pointwise

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.first, self.second = Pointwise(1, 4, key=a), Pointwise(4, 1, key=b)

    def __call__(self, u):
        v = self.first(u)
        return self.second(v.with_values(jnp.tanh(v.values)))


def dataset(count=10, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, 1, 6)).astype(np.float32)
    return Dataset(x, np.sin(x) + 2, GRID, name="tiny")


def same(a, b):
    return all(np.array_equal(p, q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


train = functools.partial(fit, Net(KEY), dataset(), loss=relative_l2, optimizer=ADAM, batch_size=3, key=KEY)


def test_a_line_search_sees_the_loss_of_the_batch():
    """Steps of L-BFGS never raise the loss on the whole data set, and find what Adam with 1e-2 does not in 30 steps."""
    losses = []
    for optimizer in (optax.lbfgs(), ADAM):
        history = train(optimizer=optimizer, batch_size=10, steps=30, log_every=1).history
        losses.append([row["train_loss"] for row in history])
    found, adam = losses
    assert all(after <= before + 1e-6 for before, after in zip(found[:-1], found[1:], strict=True))
    assert found[-1] < 0.5 * adam[-1]


class Recorder:
    """Progress that notes what it is told, and does something at one step."""

    def __init__(self, at=None, action=None):
        self.calls, self.at, self.action = [], at, action

    def start(self, total):
        self.calls.append(("start", total))

    def update(self, step, metrics, rate):
        self.calls.append((step, metrics["train_loss"]))
        if step == self.at:
            self.action()

    def close(self):
        self.calls.append("close")


def test_loss_falls_and_history_tells_it():
    recorder = Recorder()
    model = Net(KEY)
    before = jax.tree.map(np.array, model)
    result = fit(
        model,
        dataset(),
        loss=relative_l2,
        optimizer=ADAM,
        batch_size=3,
        key=KEY,
        steps=250,
        progress=recorder,
        validation=dataset(4, 1),
        ema=0.9,
    )
    assert result.stopped == "finished" and int(result.state.step) == 250
    assert [row["step"] for row in result.history] == [100, 200, 250]
    assert result.history[-1]["train_loss"] < 0.5 * result.history[0]["train_loss"]
    assert result.history[-1]["epoch"] == pytest.approx(250 / 3)
    assert min(row["validation_loss"] for row in result.history) == pytest.approx(float(result.state.best_loss))
    assert recorder.calls[0] == ("start", 250) and recorder.calls[-1] == "close"
    # The caller's model still has its buffers and its values.
    assert same(before, model)


def test_statistics_and_integers_stay():
    model = Normalised(Net(KEY), Normaliser([0.5], [2.0]), Normaliser([1.0], [3.0]))
    result = fit(model, dataset(), loss=relative_l2, optimizer=optax.adamw(1e-2), batch_size=3, key=KEY, steps=5)
    assert same(result.model.inputs, model.inputs) and same(result.model.targets, model.targets)
    assert len(jax.tree.leaves(result.state.parameters)) == 4


@pytest.mark.parametrize("cuts", ((20,), (7, 16), (1, 2, 40)))
def test_resuming_gives_the_same_bits(tmp_path, cuts):
    whole = train(steps=47, log_every=10, ema=0.9, validation=dataset(4, 1))
    for cut in (*cuts, 47):
        part = train(steps=cut, log_every=10, ema=0.9, validation=dataset(4, 1), checkpoints=Checkpoints(tmp_path))
        assert int(part.state.step) == cut
    assert same(part.state.parameters, whole.state.parameters)
    assert same(part.state.optimizer, whole.state.optimizer)
    assert same(part.state.average, whole.state.average)


def test_nothing_is_compiled_twice():
    """One trace of the loss serves intervals of all lengths, further calls of `fit`, and one more the validation."""
    traces = []

    def loss(prediction, target):
        traces.append(prediction.channels)
        return relative_l2(prediction, target)

    run = functools.partial(fit, Net(KEY), dataset(), loss=loss, optimizer=ADAM, batch_size=3, key=KEY)
    run(steps=11, log_every=4)
    once = len(traces)
    run(steps=20, log_every=7)
    assert len(traces) == once
    run(steps=8, log_every=3, validation=dataset(4, 1))
    more = len(traces)
    run(steps=13, log_every=6, validation=dataset(4, 2))
    assert len(traces) == more


def test_signal_ends_the_interval_and_the_run_goes_on(tmp_path):
    recorder = Recorder(20, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    result = train(steps=60, log_every=10, checkpoints=Checkpoints(tmp_path), progress=recorder)
    assert result.stopped == "interrupted" and int(result.state.step) == 20
    assert signal.getsignal(signal.SIGTERM) == before
    again = train(steps=60, log_every=10, checkpoints=Checkpoints(tmp_path))
    assert again.stopped == "finished"
    assert [row["step"] for row in again.history] == [10, 20, 30, 40, 50, 60]
    assert same(again.state.parameters, train(steps=60).state.parameters)


def test_a_loss_that_is_not_finite_stops_the_run():
    data = dataset()
    data.targets[4] = np.nan
    result = fit(Net(KEY), data, loss=relative_l2, optimizer=ADAM, batch_size=3, key=KEY, steps=50, log_every=20)
    assert result.stopped == "nonfinite"
    assert int(result.state.step) < 4 and np.isnan(result.history[-1]["train_loss"])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(result.model))


def test_learning_rate_is_logged_where_the_optimiser_keeps_it():
    schedule = optax.inject_hyperparams(optax.adam)(learning_rate=optax.linear_schedule(1e-2, 0.0, 10))
    result = fit(
        Net(KEY), dataset(), loss=relative_l2, optimizer=schedule, batch_size=3, key=KEY, steps=10, log_every=5
    )
    assert [row["learning_rate"] for row in result.history] == pytest.approx([6e-3, 1e-3])


def test_patience_counts_intervals():
    # Targets of the validation set that training leads away from.
    away = Dataset(dataset().inputs, -dataset().targets, GRID)
    result = train(steps=500, log_every=5, validation=away, patience=2)
    assert result.stopped == "patience" and int(result.state.step) <= 30
    assert result.model.first.weight is not None


def test_checkpoints_keep_the_newest_and_the_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    state = {"a": jnp.arange(3.0), "b": None}
    for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, None), (5, 4.0)):
        checkpoints.save(step, state, {"at": step}, loss)
    assert (checkpoints.latest_step, checkpoints.best_step) == (5, 2)
    found, extra = Checkpoints(tmp_path).restore(state, 2)
    assert same(found, state) and extra == {"at": 2}
    with pytest.raises(ValueError, match=r"hold .*a.* of shape \(3,\)"):
        checkpoints.restore({"a": jnp.zeros(4), "b": None})


def test_checkpoint_of_another_model_is_told(tmp_path):
    train(steps=2, checkpoints=Checkpoints(tmp_path))
    with pytest.raises(ValueError, match="hold no parameters.weight"):
        fit(
            Pointwise(1, 1, key=KEY),
            dataset(),
            loss=relative_l2,
            optimizer=ADAM,
            batch_size=3,
            key=KEY,
            steps=4,
            checkpoints=Checkpoints(tmp_path),
        )


def test_bad_input_is_told(tmp_path):
    with pytest.raises(ValueError, match="batch_size=10 or less"):
        fit(Net(KEY), dataset(), loss=relative_l2, optimizer=ADAM, batch_size=30, key=KEY, steps=1)
    for name, value in (("steps", 0), ("log_every", 0), ("ema", 1.0), ("patience", 3)):
        with pytest.raises(ValueError, match=name):
            train(**{"steps": 5, name: value})
    with pytest.raises(ValueError, match="keep"):
        Checkpoints(tmp_path, keep=0)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import jax
jax.config.update("jax_enable_x64", True)
from test_fit import Checkpoints, train
class Say:
    def start(self, total): pass
    def update(self, step, metrics, rate): print(step, flush=True)
    def close(self): pass
train(steps=100000, log_every=7, checkpoints=Checkpoints({directory!r}), progress=Say())
"""


def test_killed_run_resumes_to_the_same_bits(tmp_path):
    """A process is killed at a random moment, while or between saving, and its run finished from what is on disk."""
    script = SCRIPT.format(tests=str(Path(__file__).parent), directory=str(tmp_path))
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True)
    for _ in range(3):
        assert process.stdout.readline(), "the run ended before it could be killed"
    time.sleep(np.random.default_rng().uniform(0, 0.3))
    process.kill()
    process.wait()
    process.stdout.close()
    reached = Checkpoints(tmp_path).latest_step
    assert reached >= 21 and reached % 7 == 0
    resumed = train(steps=reached + 25, checkpoints=Checkpoints(tmp_path))
    assert same(resumed.state.parameters, train(steps=reached + 25).state.parameters)
