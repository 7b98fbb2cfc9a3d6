"""The table of the page on neural operators: `python docs/operators.py`, on one core.

Errors and sizes are those of the sweeps of `configs/zoo.yaml`, which come first; the seconds of CPU of a training step
(gradient of 16 samples, 29 x 29 points, float32) are measured here.
"""

import json
import os
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import pdejax as pj
from pdejax.nn import trainable
from pdejax.training import load_model

RUNS, TASKS = Path("runs/zoo"), ("darcy", "burgers", "elliptic")
GRID, BATCH = pj.Grid(x=pj.Uniform(29), y=pj.Uniform(29)), 16


def errors(run: Path) -> tuple[float, float]:
    """Mean relative L2 error on the test samples, and the same on twice the nodes."""
    tests = json.loads((run / "evaluation.json").read_text())["tests"]
    return tuple(test["metrics"]["relative_l2"]["mean"] for test in tests[:2])


def step_milliseconds(run: Path) -> float:
    """Median CPU time of a gradient."""
    model = load_model(run / "model.eqx")
    parameters, rest = eqx.partition(model, trainable(model))
    a = jax.random.normal(jax.random.key(0), (BATCH, 1, *GRID.shape), jnp.float32)

    def loss(parameters, a):
        apply = lambda a: eqx.combine(parameters, rest)(pj.GridField(a, GRID)).values
        return jnp.mean(jax.vmap(apply)(a) ** 2)

    gradient = jax.jit(jax.grad(loss))
    seconds = []
    for _ in range(6):
        begin = time.process_time()
        jax.block_until_ready(gradient(parameters, a))
        seconds.append(time.process_time() - begin)
    return 1e3 * float(np.median(seconds[1:]))


def rows(tasks: tuple[str, ...]) -> list[tuple]:
    """One row an architecture, the best on the first task first."""
    found = []
    for run in sorted((RUNS / tasks[0]).glob("*model=*")):
        name = run.name.partition("model=")[2]
        facts = json.loads((run / "run.json").read_text())
        each = [errors(RUNS / task / run.name) for task in tasks]
        found.append((name, facts["parameters"], each, step_milliseconds(run)))
    return sorted(found, key=lambda row: row[2][0][0])


def table() -> None:
    """The table of the page, of the tasks that have run."""
    tasks = tuple(task for task in TASKS if (RUNS / task).exists())
    titles = "".join(f" {task}, % | on twice |" for task in tasks)
    print(f"| `zoo@model=` | parameters | ms a step |{titles}\n|---|--:|--:|{'--:|--:|' * len(tasks)}")
    for name, parameters, each, milliseconds in rows(tasks):
        cells = " | ".join(f"{100 * here:.2g} | {twice / here:.2f}" for here, twice in each)
        print(f"| `{name}` | {parameters:,} | {milliseconds:.0f} | {cells} |", flush=True)


if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    table()
