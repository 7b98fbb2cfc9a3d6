import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

# How many samples, counted from the first, or which: sample `i` is the same in every selection.
Samples = int | range


def generate(
    sample: Callable[[Array], tuple[Array, ...]],
    samples: Samples,
    *,
    key: Array,
    chunk: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, ...]:
    """Arrays of samples from a function that makes one sample from a key.

    `sample(key)` returns the arrays of one sample, such as `(inputs, targets)`; it is compiled once for `chunk` samples
    at a time (for all modules with equal static fields, so a second call does not compile). Sample `i` uses the key
    folded with `i` and does not depend, but for rounding, on how many are made: `samples` is a number, or the `range`
    of those to make.
    `progress(done, number)` is called after each chunk.

    **Raises** `ValueError` unless `samples` (or a range of step one from zero or later) and `chunk` are positive.
    """
    which = selected(samples)
    if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or chunk < 1:
        raise ValueError(f"chunk must be a whole number >= 1, got {chunk!r}; write chunk=100.")
    chunk = min(chunk, len(which))
    starts = range(which.start, which.stop, chunk)
    # Threads see the precision of the process, not that of a `with jax.enable_x64(...)` around this call.
    make = functools.partial(_made, sample, key, which.stop, chunk, jnp.result_type(float) == np.float64)
    parts = []
    # A CPU is filled by as many chunks at once as it has cores, better than by the threads of one small chunk; on
    # accelerators the next chunk is on its way while one is copied. The first goes alone, so that it compiles once.
    with ThreadPoolExecutor(_workers()) as pool:
        try:
            for part in itertools.chain([make(starts[0])], pool.map(make, starts[1:])):
                parts.append(part)
                if progress is not None:
                    progress(min(len(parts) * chunk, len(which)), len(which))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def selected(samples: Samples) -> range:
    """The indices of the samples to make.

    **Raises** `ValueError` for none, or a range that leaves some out.
    """
    if isinstance(samples, range) and len(samples) and samples.step == 1 and samples.start >= 0:
        return samples
    if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or samples < 1:
        raise ValueError(
            f"samples must be a whole number >= 1, got {samples!r}; write samples=100, or samples=range(100, 200) for "
            "the second hundred."
        )
    return range(samples)


def _made(sample, key, stop: int, chunk: int, wide: bool, start: int) -> list[np.ndarray]:
    # The last chunk is filled up with its last sample, so that every chunk has the compiled shape.
    index = np.minimum(np.arange(start, start + chunk), stop - 1)
    with jax.enable_x64(wide):
        return [np.asarray(array)[: stop - start] for array in _chunk(sample, key, index)]


@eqx.filter_jit
def _chunk(sample, key, index):
    return jax.vmap(lambda i: sample(jax.random.fold_in(key, i)))(index)


def _workers() -> int:
    if jax.default_backend() != "cpu":
        return 2
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)


def chunk_size(nodes: int) -> int:
    """Samples to solve at once: few enough for the cache of a CPU, many enough to fill an accelerator."""
    budget, most = (2**17, 16) if jax.default_backend() == "cpu" else (2**23, 128)
    return max(1, min(budget // nodes, most))


def check_nested(resolution: int, solve_at: int, closed: bool) -> int:
    """The stride that takes the nodes of the solve to those of the data.

    **Raises** `ValueError` with the resolutions there are.
    """
    gaps, wanted = solve_at - int(closed), resolution - int(closed)
    if isinstance(resolution, bool) or not isinstance(resolution, int | np.integer) or wanted < 1 or gaps % wanted:
        nested = [gaps // stride + int(closed) for stride in range(1, gaps) if gaps % stride == 0]
        raise ValueError(
            f"resolution={resolution!r} is not nested in the {solve_at} nodes of the solve; take one of "
            f"{', '.join(map(str, nested[:10]))}, or give solve_at={resolution}."
        )
    return gaps // wanted


def relative_distance(values: Array | np.ndarray, reference: Array | np.ndarray) -> float:
    """Relative L2 distance of node values to reference values at the same nodes."""
    u, v = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    return float(f"{np.linalg.norm(u - v) / np.linalg.norm(v):.3g}")
