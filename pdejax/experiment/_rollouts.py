"""Testing a trained model by free rollouts: errors over time, and the frames shown in the report."""

from pathlib import Path
from typing import Any

import numpy as np

# Errors of states that are not finite, and larger ones, count as this: means stay numbers.
CAP = 1000.0
FRAMES = 4


def measure_rollouts(model: Any, trajectories: Any, batch_size: int) -> tuple[dict[str, Any], np.ndarray]:
    """Errors by sample and by time, and the predictions kept, `(kept, steps, channels, *n)`."""
    from ..training import evaluate_rollout

    found = evaluate_rollout(model, trajectories, batch_size=batch_size)
    errors, energies = np.minimum(found.errors, CAP), np.minimum(found.energies, CAP)
    samples = {
        "relative_l2": errors.mean(axis=1),
        "error_of_the_last_frame": errors[:, -1],
        "error_over_all_frames": np.minimum(found.whole_errors, CAP),
        "steps_before_divergence": found.stable_steps.astype(float),
        "largest_energy": energies.max(axis=1),
    }
    low, median, high = np.quantile(errors, (0.1, 0.5, 0.9), axis=0)
    curves = {"times": found.times, "mean": errors.mean(axis=0), "p10": low, "median": median, "p90": high}
    curves["energy"] = np.median(energies, axis=0)
    curves["stable"] = (found.stable_steps[:, None] > np.arange(errors.shape[1])).mean(axis=0)
    rollout = {name: values.tolist() for name, values in curves.items()}
    if found.spectra is not None:
        last = {"truth": found.spectra.truth[-1], "prediction": np.minimum(found.spectra.prediction[-1], 1e30)}
        rollout["spectrum"] = {name: values.tolist() for name, values in last.items()}
        rollout["wavenumbers"] = found.spectra.wavenumbers.tolist()
        rollout["spectrum_errors"] = np.minimum(found.spectra.errors, CAP).tolist()
    return {"samples": samples, "rollout": rollout}, found.predictions


def store_rollouts(path: Path, trajectories: Any, predictions: np.ndarray) -> None:
    """Keep some frames of the first samples, or all of them where space has one dimension."""
    grid, steps = trajectories.grid, predictions.shape[1]
    chosen = np.arange(steps) if len(grid.shape) == 1 else np.unique(np.linspace(0, steps - 1, FRAMES).astype(int))
    first = trajectories.frames - steps
    truth = np.asarray(trajectories.values[: len(predictions)])[:, first + chosen]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        truth=truth,
        predictions=predictions[:, chosen],
        times=trajectories.times[first + chosen],
        axis_names=list(grid.names),
        periodic=[bool(getattr(axis, "is_periodic", type(axis).__name__ == "Fourier")) for axis in grid.axes],
        **{f"points_{i}": axis.points for i, axis in enumerate(grid.axes)},
    )
