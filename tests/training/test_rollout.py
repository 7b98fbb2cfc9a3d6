"""Autoregressive training: rollouts against plain loops, gradients, divergence, stages and augmentation."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pdejax as pj
from pdejax.data import Dataset, InTurn, Noise, Sometimes, Trajectories
from pdejax.nn import InPrecision, Normalised, Pointwise, Residual
from pdejax.objectives import FrameMean, relative_l2
from pdejax.operators import FNO
from pdejax.training import (
    Checkpoints,
    PushForward,
    Rollout,
    evaluate_rollout,
    fit,
    load_model,
    normalised,
    rollout,
    save_model,
)

GRID = pj.Grid(x=pj.Fourier(8, length=1.0))
KEY = jax.random.key(5)
COMMON = {"loss": relative_l2, "optimizer": optax.adam(1e-2), "batch_size": 4, "key": KEY}


class Net(eqx.Module):
    """Next state of a window of two states with two channels each."""

    layer: Pointwise

    def __init__(self):
        self.layer = Pointwise(4, 2, key=KEY)

    def __call__(self, a):
        v = self.layer(a)
        return v.with_values(jnp.tanh(v.values))


class Factor(eqx.Module):
    """The newest state times a number."""

    factor: jax.Array

    def __call__(self, a):
        return a.with_values(a.values[-1:] * self.factor)


BEGIN = Rollout(Factor(jnp.asarray(0.3)), 2)


def start(channels=4, grid=GRID):
    return pj.GridField(jnp.asarray(np.random.default_rng(1).normal(size=(channels, *grid.shape))), grid)


def decay(factors, frames=6):
    """Trajectories `u_n = factor^n u_0`."""
    wave = np.sin(2 * np.pi * GRID.axes[0].points)[None]
    values = [[factor**n * wave for n in range(frames)] for factor in factors]
    return Trajectories(np.array(values), np.arange(frames) / 10, GRID, name="decay")


def test_rollout_is_a_loop_over_windows():
    net, a = Net(), start()
    states = [a.values[:2], a.values[2:]]
    for _ in range(3):
        states.append(net(a.with_values(jnp.concatenate(states[-2:]))).values)
    expected = np.concatenate(states[2:])
    np.testing.assert_allclose(Rollout(net, 3, 2)(a).values, expected, rtol=1e-14)
    np.testing.assert_allclose(PushForward(net, 3, 2)(a).values, expected, rtol=1e-14)
    trajectory = rollout(net, a, 3, history=2)
    np.testing.assert_allclose(trajectory.values, expected.reshape(3, 2, 8), rtol=1e-14)


@pytest.mark.parametrize("steps", (1, 3))
def test_push_forward_has_the_gradient_of_the_last_step(steps):
    net, a, target = Net(), start(), start(2)
    window = jnp.concatenate([a.values, Rollout(net, 3, 2)(a).values])[2 * (steps - 1) :][:4]

    @jax.jit
    @jax.grad
    def pushed(net):
        return relative_l2(target.with_values(PushForward(net, steps, 2)(a).values[-2:]), target)

    alone = jax.grad(lambda net: relative_l2(net(a.with_values(window)), target))(net)
    unrolled = jax.grad(lambda net: relative_l2(a.with_values(Rollout(net, steps, 2)(a).values[-2:]), target))(net)
    np.testing.assert_allclose(pushed(net).layer.weight, alone.layer.weight, rtol=1e-12)
    assert np.allclose(unrolled.layer.weight, alone.layer.weight, rtol=1e-3) == (steps == 1)


def test_normalisers_go_inside_and_models_are_saved(tmp_path):
    """A rollout of a normalised step: units of the states, on another grid too, and through a file."""
    values = np.random.default_rng(0).normal(size=(3, 6, 2, 8)) * np.array([[2.0], [3.0]]) + np.array([[1.0], [0.0]])
    windows = Trajectories(values, np.arange(6), GRID).windows(2, 2)
    model = normalised(Rollout(Net(), 2, 2), windows)
    states = windows.inputs.reshape(-1, 2, 8)
    mean, std = (getattr(states, name)(axis=(0, 2))[:, None] for name in ("mean", "std"))
    fine = start(grid=pj.Grid(x=pj.Fourier(12, length=1.0)))
    both = lambda v: np.concatenate([v, v])
    step = lambda w: std * Net()(w.with_values((w.values - both(mean)) / both(std))).values + mean
    first = step(fine)
    second = step(fine.with_values(jnp.concatenate([fine.values[2:], first])))
    np.testing.assert_allclose(model(fine).values, jnp.concatenate([first, second]), rtol=1e-12)
    config = {"_target_": "pdejax.training.Rollout", "model": {"_target_": "pdejax.nn.Pointwise"}, "steps": 2}
    saved = normalised(Rollout(InPrecision(Pointwise(1, 1, key=KEY), "bfloat16"), 2), decay([0.5]).windows(1, 2))
    save_model(tmp_path / "model.eqx", saved, config)
    loaded = load_model(tmp_path / "model.eqx")
    assert isinstance(loaded.model, Normalised) and loaded.steps == 2
    np.testing.assert_array_equal(loaded(start(1)).values, saved(start(1)).values)


def test_wrong_windows_are_told():
    with pytest.raises(ValueError, match="cannot have 5 channels"):
        Rollout(Net(), 2, 2)(start(5))
    with pytest.raises(ValueError, match="out_channels=4"):
        Rollout(Net(), 2)(start(4))
    with pytest.raises(ValueError, match="steps=1"):
        PushForward(Net(), 0)
    with pytest.raises(ValueError, match="history=5 or less"):
        evaluate_rollout(Factor(jnp.asarray(2.0)), decay([1.0]), history=6)


def test_divergence_and_errors_in_closed_form():
    """Truths decay or grow by their factors, the model by 1.2: errors are known for every step."""
    factors, n = np.array([1.2, 1.0, 0.9, 1e-3]), np.arange(1, 6)
    found = evaluate_rollout(Rollout(Factor(jnp.asarray(1.2)), 1), decay(factors), batch_size=3, keep=2)
    errors = np.abs((1.2 / factors[:, None]) ** n - 1)
    np.testing.assert_allclose(found.errors, errors, rtol=1e-10, atol=1e-12)
    energy = (1.2 / factors[:, None]) ** (2 * n)
    np.testing.assert_allclose(found.energies, energy, rtol=1e-10)
    bad = (errors > 1) | (energy > 2)
    assert list(found.stable_steps) == [int(np.argmax(row)) if row.any() else 5 for row in bad] == [5, 1, 1, 0]
    whole = np.sqrt(np.sum((1.2**n - 1) ** 2) / 5)
    np.testing.assert_allclose(found.whole_errors[1], whole, rtol=1e-10)
    np.testing.assert_allclose(found.times, n / 10)
    assert found.predictions.shape == (2, 5, 1, 8)
    # A wave of one period has all its energy, a quarter, in the first shell.
    np.testing.assert_allclose(found.spectra.truth[:, 1], np.mean(factors[:, None] ** (2 * n), axis=0) / 4, rtol=1e-10)
    np.testing.assert_allclose(found.spectra.wavenumbers[1], 2 * np.pi)


def test_an_exploding_rollout_is_counted_not_hidden():
    found = evaluate_rollout(Factor(jnp.asarray(1e200)), decay([1.0, 0.5]))
    assert np.all(np.isinf(found.errors[:, 1:])) and list(found.stable_steps) == [0, 0]
    assert np.all(np.isinf(found.whole_errors)) and np.all(np.isinf(found.spectra.errors[1:]))


def test_unrolled_training_learns_the_step():
    """u_{n+1} = 0.8 u_n from windows of five frames, noise on the input."""
    data = decay([0.8] * 6).windows(1, 3)
    model = Rollout(Residual(Factor(jnp.asarray(0.3))), 3)
    loss = FrameMean(relative_l2)
    result = fit(
        model, data, loss=loss, optimizer=optax.adam(0.05), steps=150, batch_size=6, key=KEY, augment=Noise(0.01)
    )
    assert float(result.model.model.model.factor) == pytest.approx(-0.2, abs=0.02)


def test_augmented_runs_resume_to_the_same_bits(tmp_path):
    augment = Sometimes(InTurn([Noise(0.1), Noise(0.2)]), 0.7)
    train = functools.partial(fit, BEGIN, decay([0.8, 0.7, 0.9]).windows(1, 2), log_every=4, **COMMON)
    factor = lambda result: result.state.parameters.model.factor
    whole = factor(train(steps=13, augment=augment))
    for cut in (3, 10, 13):
        part = train(steps=cut, augment=augment, checkpoints=Checkpoints(tmp_path))
    assert np.array_equal(factor(part), whole) and not np.array_equal(whole, factor(train(steps=13)))


def test_stages_go_on_from_the_state_of_the_stage_before():
    """Two stages of one length are the run without a break; validation begins anew."""
    data = decay([0.8, 0.7, 0.9])
    windows = data.windows(1, 2)
    whole = fit(BEGIN, windows, steps=20, ema=0.9, **COMMON)
    first = fit(BEGIN, windows, steps=9, ema=0.9, **COMMON)
    second = fit(BEGIN, windows, steps=20, ema=0.9, state=first.state, **COMMON)
    assert int(first.state.step) == 9 and int(second.state.step) == 20
    for a, b in zip(jax.tree.leaves(second.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(a, b)
    far = data.windows(1, 4)
    grown = fit(Rollout(BEGIN.model, 4), far, steps=30, state=first.state, validation=far, **COMMON)
    assert int(grown.state.step) == 30 and float(grown.state.best_loss) < 1
    with pytest.raises(ValueError, match="another model"):
        fit(Net(), Dataset(np.ones((4, 4, 8)), np.ones((4, 2, 8)), GRID), steps=30, state=first.state, **COMMON)


@pytest.mark.slow
def test_a_small_operator_trains_in_mixed_precision():
    grid = pj.Grid(x=pj.Fourier(16))
    x = grid.axes[0].points
    phases = np.random.default_rng(0).uniform(0, 6, (16, 1, 1))
    data = Dataset(np.sin(x + phases).astype(np.float32), np.cos(x + phases).astype(np.float32), grid)
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), FNO(1, 1, 3, 8, 2, 1, key=KEY))
    seen = []

    class Watch(eqx.Module):
        model: FNO

        def __call__(self, a):
            seen.append(a.dtype)
            return self.model(a)

    result = fit(
        InPrecision(Watch(model), "bfloat16"),
        data,
        loss=relative_l2,
        optimizer=optax.adam(1e-2),
        steps=60,
        batch_size=8,
        key=KEY,
        log_every=20,
    )
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.3 * losses[0]
    assert set(seen) == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves(result.state.parameters)} == {jnp.dtype("float32")}
    a = pj.GridField(data.inputs[0], grid)
    assert result.model(a).dtype == jnp.float32
