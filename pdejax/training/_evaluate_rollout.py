from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..calculus import energy_spectrum, norm
from ..data import Trajectories
from ..fields import GridField
from ..grids import Chebyshev, Grid
from ..objectives import relative_l2
from ._rollout import march, one_step


class Spectra(eqx.Module):
    """Energy spectra of true and predicted states, means over samples.

    **Shapes:** `wavenumbers` `(shells,)`; `truth` and `prediction` `(steps, shells)`; `errors` `(steps,)`, the relative
    difference `sum_j |E_j(p) - E_j(t)| / sum_j E_j(t)` of the means. Predictions with infinite energy are left out.
    """

    wavenumbers: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    errors: np.ndarray


class RolloutEvaluation(eqx.Module):
    """Errors of a free rollout against trajectories.

    `times` are those of the predicted frames. `errors` `(samples, steps)` are the relative L2 errors of each frame,
    infinite where the state is not finite, and `energies` `(samples, steps)` its energy (mean square) over that of the
    truth; `whole_errors` `(samples,)` divide the norm of the error over all frames by that of the truth over all
    frames. `stable_steps` `(samples,)` counts the steps before a rollout diverges: before the first state with an error
    above 1, more than twice the energy of the truth, or values that are not finite; it is the number of all steps where
    none has. `predictions` `(kept, steps, channels, *n)` are those of the first samples; `spectra` is None on grids
    with a `Chebyshev` axis.
    """

    times: np.ndarray
    errors: np.ndarray
    energies: np.ndarray
    whole_errors: np.ndarray
    stable_steps: np.ndarray
    predictions: np.ndarray
    spectra: Spectra | None


def evaluate_rollout(
    model: Callable[[GridField], GridField],
    trajectories: Trajectories,
    *,
    history: int | None = None,
    batch_size: int = 32,
    keep: int = 3,
) -> RolloutEvaluation:
    """Let a model of one step continue each trajectory freely from its first `history` frames to its last one.

    A `Rollout` or `PushForward` is taken apart, whatever number of steps it was trained for, and brings its history
    with it; that of other models is 1 unless it is given. The trajectories may be on another grid than the one trained
    on. `keep` predictions are kept.

    **Raises** `ValueError` for trajectories with no frame beyond the history, and what the model raises for the grid.
    """
    step, own = one_step(model)
    history, count = own if history is None else history, len(trajectories)
    if trajectories.frames <= history or batch_size < 1:
        raise ValueError(
            f"a rollout from {history} frames needs trajectories of more, got {trajectories.frames}, and "
            f"batch_size >= 1, got {batch_size}; write history={max(1, trajectories.frames - 1)} or less."
        )
    values, size, parts, kept = trajectories.values, min(batch_size, count), [], []
    for begin in range(0, count, size):
        index = np.minimum(np.arange(begin, begin + size), count - 1)
        found, frames = _errors(step, jnp.asarray(values[index]), trajectories.grid, history)
        some = min(size, count - begin)
        parts.append(jax.tree.map(lambda leaf, some=some: np.asarray(leaf)[:some], found))
        if begin < keep:
            kept.append(np.asarray(frames[: min(some, keep - begin)]))
    found = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    errors, energies = (np.where(np.isfinite(found[name]), found[name], np.inf) for name in ("errors", "energy"))
    bad = (errors > 1) | (energies > 2)
    return RolloutEvaluation(
        times=trajectories.times[history:],
        errors=errors,
        energies=energies,
        whole_errors=np.where(np.isfinite(found["whole"]), found["whole"], np.inf),
        stable_steps=np.where(bad.any(axis=1), bad.argmax(axis=1), bad.shape[1]),
        predictions=np.concatenate(kept) if kept else np.zeros((0, *values.shape[1:])),
        spectra=_spectra(trajectories.grid, found) if "truth" in found else None,
    )


@eqx.filter_jit
def _errors(model: PyTree, values: Array, grid: Grid, history: int) -> tuple[dict[str, Array], Array]:
    def one(frames: Array) -> tuple[dict[str, Array], Array]:
        start = GridField(frames[:history].reshape(-1, *grid.shape), grid)
        predicted = march(model, start, frames.shape[0] - history, history)
        found = jax.vmap(compared)(predicted, frames[history:])
        together = lambda states: GridField(states.reshape(-1, *grid.shape), grid)
        return found | {"whole": relative_l2(together(predicted), together(frames[history:]))}, predicted

    def compared(p: Array, t: Array) -> dict[str, Array]:
        prediction, truth = GridField(p, grid), GridField(t, grid)
        found = {"errors": relative_l2(prediction, truth), "energy": (norm(prediction) / norm(truth)) ** 2}
        if not any(isinstance(axis, Chebyshev) for axis in grid.axes):
            found |= {"prediction": energy_spectrum(prediction)[1], "truth": energy_spectrum(truth)[1]}
        return found

    return jax.vmap(one)(values)


def _spectra(grid: Grid, found: dict[str, np.ndarray]) -> Spectra:
    wavenumbers, _ = energy_spectrum(GridField(jnp.zeros((1, *grid.shape)), grid))
    truth, prediction = found["truth"].mean(axis=0), found["prediction"]
    finite = np.isfinite(prediction).all(axis=2, keepdims=True)
    total = np.where(finite, prediction, 0).sum(axis=0)
    mean = np.where(finite.any(axis=0), total / np.maximum(finite.sum(axis=0), 1), np.inf)
    return Spectra(wavenumbers, truth, mean, np.abs(mean - truth).sum(axis=1) / truth.sum(axis=1))
