"""A tiny training that every test of the runner can afford."""

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture
def jax_settings():
    """jax's settings as they were: the runner sets precision and cache for its process."""
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_compilation_cache_dir")
    names += ("jax_persistent_cache_min_compile_time_secs",)
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    # the open cache outlives the setting: without this, all tests that follow would write to it
    compilation_cache.reset_cache()


CONFIG = """
name: tiny
seed: 3
variables:
  grid: {_target_: pdejax.grids.Grid, x: {_target_: pdejax.grids.Fourier, n: 16, length: 1.0}}
data:
  root: .
  train: {_target_: pdejax.data.read, path: "${data.root}/train.npz", grid: "${variables.grid}"}
  validation: 4
  test: {_target_: pdejax.data.read, path: "${data.root}/test.npz", grid: "${variables.grid}"}
model: {_target_: pdejax.operators.FNO, modes: 3, width: 4, depth: 2}
loss: pdejax.objectives.relative_l2
optimizer: {_target_: optax.adam, learning_rate: 1e-2}
training: {steps: 40, batch_size: 8, log_every: 5}
evaluation: {batch_size: 8}
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch, jax_settings):
    """A working directory with `tiny.yaml` and data: u -> u' of random waves, on 16 and on 32 points."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, samples, n in (("train", 24, 16), ("test", 9, 16), ("fine", 9, 32)):
        x = np.arange(n) / n
        a, b = rng.uniform(1, 2, size=(2, samples, 1))
        wave, slope = a * np.sin(2 * np.pi * x) + b, a * np.cos(2 * np.pi * x)
        np.savez(tmp_path / f"{name}.npz", x=wave.astype(np.float32), y=slope.astype(np.float32))
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path
