"""A training on trajectories: windows, stages, free rollouts in the report."""

import json
from pathlib import Path

import numpy as np
import pytest

from pdejax.experiment._cli import main

CONFIG = """
name: march
seed: 3
variables:
  grid: {_target_: pdejax.grids.Grid, x: {_target_: pdejax.grids.Fourier, n: 16, length: 1.0}}
data:
  train: &waves
    _target_: pdejax.data.Trajectories
    values: {_target_: numpy.load, file: train.npy}
    times: {_target_: numpy.linspace, start: 0.0, stop: 0.5, num: 6}
    grid: "${variables.grid}"
  validation: 2
  test: {<<: *waves, values: {_target_: numpy.load, file: test.npy}}
model:
  _target_: pdejax.training.Rollout
  steps: 3
  history: 2
  model:
    _target_: pdejax.nn.InPrecision
    dtype: bfloat16
    model: {_target_: pdejax.operators.FNO, modes: 3, width: 4, depth: 1}
loss: {_target_: pdejax.objectives.FrameMean, loss: {_target_: pdejax.objectives.RelativeSobolev, s: 1.0}}
augment: {_target_: pdejax.data.Noise, level: 0.01}
optimizer: {_target_: optax.adam, learning_rate: 1e-2}
training: {steps: 30, batch_size: 8, log_every: 5, curriculum: [[0, 1], [10, 2], [20, 3]]}
evaluation: {batch_size: 4}
"""


@pytest.fixture
def march(tmp_path, monkeypatch, jax_settings):
    """Waves that travel a sixteenth of their period per frame."""
    monkeypatch.chdir(tmp_path)
    rng, x, t = np.random.default_rng(0), np.arange(16) / 16, np.arange(6) / 16
    for name, samples in (("train", 10), ("test", 5)):
        amplitude, phase = rng.uniform(1, 2, (samples, 1, 1)), rng.uniform(0, 6, (samples, 1, 1))
        waves = amplitude * np.sin(2 * np.pi * (x - t[:, None]) + phase)
        np.save(tmp_path / f"{name}.npy", waves[:, :, None].astype(np.float32))
    (tmp_path / "march.yaml").write_text(CONFIG)
    return tmp_path


def rows(run):
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_stages_of_growing_rollouts_end_in_a_report(march, capsys):
    assert main(["run", "march.yaml"]) == 0
    run = Path("runs/march")
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["from-0", "from-10", "from-20"]
    log = rows(run)
    assert [row["step"] for row in log] == [5, 10, 15, 20, 25, 30]
    assert all(a["seconds"] < b["seconds"] for a, b in zip(log, log[1:], strict=False))
    (test,) = json.loads((run / "evaluation.json").read_text())["tests"]
    assert len(test["rollout"]["times"]) == 4 and len(test["rollout"]["spectrum"]["truth"]) > 8
    wanted = {"relative_l2", "error_of_the_last_frame", "steps_before_divergence", "largest_energy"}
    assert set(test["metrics"]) >= wanted and len(test["rollout"]["energy"]) == 4
    text = (run / "report.html").read_text()
    assert "Free rollouts" in text and "Error of a free rollout" in text and "Trajectory 2" in text
    assert (run / "figures" / "rollout-0-truth.png").exists() and (run / "figures" / "rollout-spectrum.png").exists()
    assert main(["evaluate", "runs/march", "data.test.values.file=train.npy"]) == 0
    assert "10 samples" in capsys.readouterr().out

    # In pieces, one of which ends within a stage: the same bits.
    for steps in (13, 20, 30):
        resume = ["resume=true"] if steps > 13 else []
        assert main(["run", "march.yaml", "name=pieces", f"training.steps={steps}", *resume]) == 0
    assert [row["train_loss"] for row in rows("runs/pieces") if row["step"] % 5 == 0][-1] == log[-1]["train_loss"]
    weights = [(Path("runs") / name / "model.eqx").read_bytes().split(b"\n", 1)[1] for name in ("march", "pieces")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["training.curriculum=[[10,2]]"], "beginning at 0"),
        (["training.curriculum=[[0,9]]"], "9 steps"),
        (["model.steps=5"], "longer than the 6 frames"),
        (["augment._target_=pdejax.data.Nose"], "'Noise'"),
    ],
)
def test_what_does_not_fit_is_refused(march, capsys, overrides, said):
    assert main(["run", "march.yaml", *overrides]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not Path("runs/march").exists()
