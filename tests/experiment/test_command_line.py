"""The command line: speed of help, refusals without a traceback."""

import subprocess
import sys
import time

import pytest

from pdejax.experiment._cli import main


def test_help_is_fast_and_imports_neither_jax_nor_hydra():
    code = "import sys; from pdejax.experiment._cli import parser; parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert "argparse" in loaded and not {"jax", "hydra", "matplotlib", "numpy"} & set(loaded)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        answer = subprocess.run([sys.executable, "-m", "pdejax", "--help"], capture_output=True, text=True)
        times.append(time.perf_counter() - began)
    assert answer.returncode == 0 and "multirun" in answer.stdout
    assert min(times) < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.yaml"], "no config file nowhere.yaml"),
        (["run", "nowhere.yaml", "--multirun", "seed=0,1"], "no config file nowhere.yaml"),
        (["info", "nowhere"], "no run directory nowhere"),
        (["report", "."], "is not a run directory"),
        (["evaluate", "nowhere", "data.test.path=x"], "no run directory nowhere"),
    ],
)
def test_a_refusal_is_a_sentence_and_status_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    stderr = capsys.readouterr().err
    assert said in stderr and "Traceback" not in stderr and len(stderr.strip().splitlines()) == 1


def test_overrides_may_follow_options_and_unknown_options_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["run", "x.yaml", "--mutirun", "seed=0,1"])
    assert "--mutirun" in capsys.readouterr().err


def test_info_tells_versions_and_devices(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "jax" in out and "devices" in out
