"""What every benchmark shares: pinning before the numerical libraries start, interleaved rounds, one JSON line last."""

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def options(doc: str, **defaults) -> argparse.Namespace:
    """Parse `--cores`, `--rounds` and the given defaults, and pin the process. Call it before importing jax.

    With one core the figures are CPU seconds, robust on a shared machine; with more they are wall seconds.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"cores": 1, "rounds": 7, **defaults}.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    chosen = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-chosen.cores :])
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(chosen.cores)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    return chosen


def clock(cores: int) -> float:
    """CPU seconds of the process on one core, wall seconds on more."""
    return time.process_time() if cores == 1 else time.perf_counter()


def race(sides: dict[str, Callable[[], object]], chosen: argparse.Namespace) -> dict:
    """Run all sides in alternating order; medians, and how many times faster the first side is than each other.

    Each side is a function without arguments that returns when its result is ready; its first call is timed apart.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    first = {}
    for name, run in sides.items():
        start = clock(chosen.cores)
        run()
        first[name] = clock(chosen.cores) - start
    for i in range(chosen.rounds):
        for name in list(sides)[:: 1 if i % 2 == 0 else -1]:
            gc.collect()
            start = clock(chosen.cores)
            sides[name]()
            seconds[name].append(clock(chosen.cores) - start)
    ours, *others = sides
    ratios = {
        name: statistics.median(b / a for a, b in zip(seconds[ours], seconds[name], strict=True)) for name in others
    }
    return {
        "cores": chosen.cores,
        "unit": "cpu_s" if chosen.cores == 1 else "wall_s",
        "rounds": chosen.rounds,
        "median_s": {name: rounded(statistics.median(taken)) for name, taken in seconds.items()},
        "first_call_s": {name: rounded(value) for name, value in first.items()},
        "times_faster_than": {name: rounded(value, 3) for name, value in ratios.items()},
    }


def rounded(value: float, digits: int = 4) -> float:
    """The number to so many digits."""
    return float(f"{float(value):.{digits}g}")


def emit(name: str, modules: tuple, **line) -> None:
    """Print the JSON line, and keep it under `results/`."""
    line = {"bench": name, **line, "versions": {m.__name__: m.__version__ for m in modules}}
    line["python"] = platform.python_version()
    text = json.dumps(line)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text, flush=True)
