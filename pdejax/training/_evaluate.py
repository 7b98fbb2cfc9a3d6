from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..fields import GridField
from ..grids import Grid
from ..objectives import relative_h1, relative_l2
from ._step import Samples


class Evaluation(eqx.Module):
    """Errors of a model on a data set, sample by sample.

    `errors` maps `"relative_l2"`, `"relative_h1"` and `"max_error"` (largest absolute difference) to arrays
    `(samples,)`; `predictions` has shape `(samples, out_channels, *n)`.
    """

    errors: dict[str, np.ndarray]
    predictions: np.ndarray


def evaluate(model: Callable[[GridField], GridField], dataset, *, batch_size: int = 32) -> Evaluation:
    """Errors of `model` on every sample of a data set, which may be on another grid than the one trained on.

    The batches have one shape (the last is filled up), so a further call with a model, a batch and grids of the same
    structure compiles nothing.

    **Raises** `ValueError` for an empty data set or a batch size below 1, and what the model raises for the grid.
    """
    if len(dataset) == 0:
        raise ValueError("evaluate got an empty dataset; give at least one sample.")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"evaluate needs batch_size to be an integer >= 1, got {batch_size!r}; write batch_size=32.")
    samples, count = Samples.of(dataset), len(dataset)
    size = min(batch_size, count)
    parts = []
    for begin in range(0, count, size):
        index = np.minimum(np.arange(begin, begin + size), count - 1)
        errors, predictions = _errors(
            model, samples.inputs[index], samples.targets[index], samples.grid, samples.target_grid
        )
        keep = min(size, count - begin)
        parts.append(jax.tree.map(lambda leaf, keep=keep: np.asarray(leaf)[:keep], (errors, predictions)))
    errors, predictions = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return Evaluation(errors, predictions)


@eqx.filter_jit
def _errors(
    model: PyTree, inputs: Array, targets: Array, grid: Grid, target_grid: Grid
) -> tuple[dict[str, Array], Array]:
    def one(a, u):
        prediction, target = model(GridField(a, grid)), GridField(u, target_grid)
        difference = jnp.max(jnp.abs(prediction.values - target.values))
        errors = {
            "relative_l2": relative_l2(prediction, target),
            "relative_h1": relative_h1(prediction, target),
            "max_error": difference,
        }
        return errors, prediction.values

    return jax.vmap(one)(inputs, targets)
