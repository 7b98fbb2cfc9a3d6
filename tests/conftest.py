"""Strict JAX for every test, and the inputs that live outside the repository."""

import gc
import itertools
import os
import random
import time
from pathlib import Path

import jaxlib

# Most of a test's time is compilation, and code of tests need not be fast. XLA ends the process at a flag that it does
# not know, so those without which compilation takes twice as long are for the versions that have them.
FLAGS = ["--xla_backend_optimization_level=0"]
if jaxlib.__version__.startswith("0.10."):
    FLAGS += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

import jax  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).parents[1]

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of data made by others, beside the checkout; tests that need it skip where it is absent."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("needs the shared data folder ../shared/data beside the checkout, which is not there")
    return path


# Linux gives a process 65,530 memory mappings, a compiled program takes about eight, and a mapping that is refused
# ends the process inside of LLVM: long before that, all programs are forgotten.
MAPPINGS, MOST_MAPPINGS = Path("/proc/self/maps"), 30_000


def pytest_runtest_teardown() -> None:
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


# A machine with little time runs the slow tests it can afford: those of some files, others after every change.
SLOW_SECONDS, SLOW_ORDER = float(os.environ.get("SLOW_SECONDS", "inf")), os.environ.get("SLOW_ORDER")
START = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SLOW_ORDER is not None:
        files = [list(group) for _, group in itertools.groupby(items, key=lambda item: item.path)]
        random.Random(SLOW_ORDER).shuffle(files)
        items[:] = itertools.chain.from_iterable(files)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and time.monotonic() - START > SLOW_SECONDS:
        pytest.skip(f"the {SLOW_SECONDS:.0f} seconds for slow tests are over")
    if item.get_closest_marker("gpu") and jax.default_backend() == "cpu":
        pytest.skip("needs an accelerator; jax found only the CPU")
