"""Importing pdejax is quick and changes nothing."""

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CPU = {**os.environ, "JAX_PLATFORMS": "cpu"}


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=CPU, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_import_adds_less_than_half_a_second():
    script = "import time, jax, equinox; t = time.process_time(); import pdejax; print(time.process_time() - t)"
    seconds = [float(run("-c", script)) for _ in range(3)]
    assert statistics.median(seconds) < 0.5, seconds


def test_help_answers_within_a_second():
    # CPU time, so that a busy machine does not decide the outcome
    seconds = []
    for _ in range(3):
        start = cpu_seconds_of_children()
        text = run("-m", "pdejax", "--help")
        seconds.append(cpu_seconds_of_children() - start)
    assert statistics.median(seconds) < 1.0, seconds
    for command in ("run", "evaluate", "data", "report", "info"):
        assert command in text


def test_import_changes_no_global_setting():
    script = """
import json, pkgutil, importlib
import jax, equinox, numpy, optax, diffrax, flax, matplotlib
state = lambda: {
    "jax": {k: repr(v) for k, v in jax.config.values.items()},
    "numpy": {k: repr(v) for k, v in numpy.geterr().items()},
}
before = state()
import pdejax
for info in pkgutil.iter_modules(pdejax.__path__):
    if not info.name.startswith("_"):
        importlib.import_module("pdejax." + info.name)
after = state()
print(json.dumps([[kind, k, before[kind].get(k), v] for kind in ("jax", "numpy") for k, v in after[kind].items()
                  if before[kind].get(k) != v]))
"""
    assert json.loads(run("-c", script)) == []
