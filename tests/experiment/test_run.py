"""Whole runs: train, refuse, resume, evaluate, sweep, solve."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pdejax.experiment._cli import main

ROOT = Path(__file__).parents[2]


def command(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, "-m", "pdejax", *arguments], env=environment, **pipes)


def finish(process):
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def weights(run):
    return (Path(run) / "model.eqx").read_bytes().split(b"\n", 1)[1]


def losses(run):
    rows = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["train_loss"], row["validation_loss"]) for row in rows]


def test_a_run_writes_what_it_promises_and_is_not_overwritten(tiny, capsys):
    assert main(["run", "tiny.yaml"]) == 0
    run = Path("runs/tiny")
    promised = ["config.yaml", "metrics.jsonl", "metrics.csv", "model.eqx", "evaluation.json", "report.html", "run.log"]
    assert not [name for name in [*promised, "checkpoints", "figures/losses.png"] if not (run / name).exists()]
    test = json.loads((run / "evaluation.json").read_text())["tests"][0]
    assert test["samples"] == 9 and test["metrics"]["relative_l2"]["mean"] < 1
    assert len((run / "metrics.csv").read_text().splitlines()) == len(losses(run)) + 1
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(["run", "tiny.yaml"]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert main(["run", "tiny.yaml", "resume=true"]) == 0
    assert "needs no more steps" in capsys.readouterr().out
    assert main(["run", "tiny.yaml", "resume=true", "seed=4"]) == 2
    assert "seed=3" in capsys.readouterr().err

    # The same run, tested on a finer grid, without touching its own evaluation.
    kept = (run / "evaluation.json").read_bytes()
    assert main(["evaluate", "runs/tiny", "data.test.path=fine.npz"]) == 0
    (other,) = (run / "evaluations").glob("*.json")
    fine = json.loads(other.read_text())["tests"][0]
    assert fine["shape"] == [32] and (run / "evaluation.json").read_bytes() == kept
    assert "32" in (run / "report.html").read_text()
    assert main(["evaluate", "runs/tiny", "data.test.path=nowhere.npz"]) == 2
    assert "nowhere.npz" in capsys.readouterr().err
    assert main(["info", "runs/tiny"]) == 0 and "relative L2 error" in capsys.readouterr().out
    assert main(["report", "runs/tiny"]) == 0

    assert main(["run", "tiny.yaml", "overwrite=true", "training.steps=5"]) == 0
    assert [row[0] for row in losses(run)][-1] == 5 and not (run / "evaluations").exists()


@pytest.mark.slow
def test_a_killed_run_is_resumed_bitwise(tiny):
    settings = ["tiny.yaml", "training.steps=160", "training.log_every=10", "training.ema=0.9"]
    whole, stopped = (
        command("run", *settings, "name=whole"),
        command("run", *settings, "name=stopped", "training.keep=3"),
    )
    for number in (signal.SIGINT, signal.SIGKILL):
        written = 0
        while written < 3 and stopped.poll() is None:
            log = Path("runs/stopped/metrics.jsonl")
            written = len(log.read_text().splitlines()) if log.exists() else 0
            time.sleep(0.01)
        stopped.send_signal(number)
        status, out = finish(stopped)
        if number == signal.SIGINT:
            assert status == 130, out
            (again,) = re.findall(r"pdejax (run .* resume=true)", out)
        assert json.loads(Path("runs/stopped/run.json").read_text())["step"] < 160
        stopped = command(*shlex.split(again))
    assert finish(stopped)[0] == 0 and finish(whole)[0] == 0
    assert losses("runs/stopped") == losses("runs/whole")
    assert weights("runs/stopped") == weights("runs/whole")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.widht=3"], "'width'"),
        (["data.train.path=nowhere.npz"], "nowhere.npz"),
        (["optimizer._target_=optax.adm"], "'adam'"),
        (["loss=pdejax.objectives.relative_l3"], "'relative_l2'"),
        (["data.train.path=bad.npz"], "sample 2"),
        (["model.modes=30"], "modes"),
    ],
)
def test_a_wrong_part_is_refused_before_anything_is_written(tiny, capsys, overrides, said):
    values = np.ones((5, 16), np.float32)
    np.savez("bad.npz", x=values, y=np.where(np.arange(5)[:, None] == 2, np.nan, values))
    assert main(["run", "tiny.yaml", *overrides]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not Path("runs/tiny").exists()


@pytest.mark.slow
def test_a_sweep_makes_one_run_per_value(tiny):
    assert main(["run", "tiny.yaml", "training.steps=5", "--multirun", "seed=0,1", "model.width=2"]) == 0
    runs = {path.name for path in Path("runs/tiny").iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert runs == {"seed=0", "seed=1"}
    assert "seed=1" in Path("runs/tiny/comparison.html").read_text()
    assert weights("runs/tiny/seed=0") != weights("runs/tiny/seed=1")


def test_a_dry_run_writes_nothing(tiny, capsys):
    assert main(["run", "tiny.yaml", "--dry-run"]) == 0
    assert "trainable parameters" in capsys.readouterr().out and not Path("runs/tiny").exists()


def test_an_equation_is_solved_from_a_config(tiny, capsys):
    config = ROOT / "configs" / "solve" / "burgers.yaml"
    small = ["problem.u0.grid.x.n=32", "save_at=6", "method.dt=1e-2", "problem.equation.viscosity=0.05"]
    assert main(["run", str(config), *small]) == 0
    text = Path("runs/solve-burgers/report.html").read_text()
    assert "Profiles of u" in text and "ETDRK4" in text and not re.search(r"https?://", text)
    assert main(["run", str(config), *small]) == 2


def test_a_data_set_is_written_once(tiny, capsys):
    config = ROOT / "configs" / "data" / "burgers_2pi_nu0_1.yaml"
    small = ["dataset.samples=2", "dataset.resolution=32", "dataset.solve_at=64", "output=out/b.h5"]
    assert main(["data", str(config), *small]) == 0
    from pdejax.data import read_well

    assert len(read_well("out/b.h5")) == 2
    assert main(["data", str(config), *small]) == 2
    assert "overwrite=true" in capsys.readouterr().err


def test_a_steady_equation_is_solved_by_the_default_method(tiny):
    config = ROOT / "configs" / "solve" / "poisson.yaml"
    assert main(["run", str(config), "variables.grid.x.n=17", "variables.grid.y.n=18"]) == 0
    text = Path("runs/solve-poisson/report.html").read_text()
    assert "relative residual" in text and "source" in text


@pytest.mark.parametrize(
    ("config", "small"),
    [
        (
            "quickstart",
            ["variables.resolution=9", "variables.fine=17", "model.modes=3", "data.transfer.twice.samples=2"],
        ),
        pytest.param(
            "burgers/fno",
            ["variables.resolution=16", "variables.fine=32", "model.modes=3", "data.transfer.fine.samples=2"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_config_that_generates_its_data_builds(tiny, capsys, config, small):
    sizes = ["data.train.samples=21", "data.validation=1", "data.test.samples=2", "model.width=4"]
    assert main(["run", str(ROOT / "configs" / f"{config}.yaml"), "--dry-run", *sizes, *small]) == 0
    assert "20 samples" in capsys.readouterr().out


def test_the_benchmark_config_builds_on_the_shared_data(tiny, capsys, shared_data):
    config = ROOT / "configs" / "darcy" / "real16.yaml"
    assert main(["run", str(config), "--dry-run", f"data.root={shared_data / 'operator'}"]) == 0
    out = capsys.readouterr().out
    assert "50 samples of darcy_test_16 on 16 x 16" in out


def test_a_directory_another_process_writes_is_refused(tiny, capsys):
    process = command("run", "tiny.yaml", "training.steps=100000", "training.log_every=100000")
    while not Path("runs/tiny/config.yaml").exists() and process.poll() is None:
        time.sleep(0.05)
    assert main(["run", "tiny.yaml", "resume=true"]) == 2
    assert f"process {process.pid}" in capsys.readouterr().err
    process.kill()
    finish(process)
