from collections.abc import Callable, Sequence

import numpy as np


def observed_order(error: Callable[[int], float], sizes: Sequence[int]) -> float:
    """Order `p` in `error ~ C size^-p`, by least squares on logarithms over the given sizes (steps or nodes).

    `error(n)` solves with `n` steps or nodes and returns the distance to a solution known otherwise.

    **Raises** `ValueError` for fewer than two sizes, or if an error is zero or not finite.
    """
    if len(sizes) < 2:
        raise ValueError(f"an order needs at least two sizes, got {list(sizes)}; write sizes=(32, 64, 128).")
    errors = np.array([float(error(n)) for n in sizes])
    if not np.all(np.isfinite(errors) & (errors > 0)):
        raise ValueError(
            f"errors must be positive and finite to have an order, got {errors.tolist()} for sizes {list(sizes)}."
        )
    return float(-np.polyfit(np.log(np.asarray(sizes, float)), np.log(errors), 1)[0])
