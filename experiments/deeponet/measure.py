"""Errors of the runs of configs/deeponet, and a picture, by `python experiments/deeponet/measure.py`."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from pdejax import GridField
from pdejax.data import antiderivative
from pdejax.training import load_model

RUNS, SEEDS = Path("runs/deeponet"), (0, 1, 2)


@eqx.filter_jit
def predictions(model, inputs, grid):
    return jax.vmap(lambda a: model(GridField(a, grid)).values)(inputs)


if __name__ == "__main__":
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    with jax.enable_x64():
        # Functions that no run has seen.
        test = antiderivative(1000, 100, key=jax.random.key(2026))
    inputs, targets = (np.asarray(values, np.float32) for values in (test.inputs, test.targets))
    x, means = test.grid.axes[0].points, {}
    for name, label in (("antiderivative", "DeepONet"), ("antiderivative-plain", "plain network")):
        models = [load_model(RUNS / name / f"seed={seed}" / "model.eqx") for seed in SEEDS]
        squares = np.stack([(predictions(m, jnp.asarray(inputs), test.grid) - targets) ** 2 for m in models])
        means[name] = squares.mean((1, 2, 3))
        print(f"{label}: test MSE {means[name]}, mean {means[name].mean():.3g}")
        left.semilogy(x, np.sqrt(squares.mean((0, 1, 2))), label=label)
    plain, ours = means["antiderivative-plain"], means["antiderivative"]
    print(f"plain over DeepONet: {(plain / ours).round(2)}, of the means {plain.mean() / ours.mean():.3g}")
    left.set(title="antiderivative", xlabel="y", ylabel="root mean square error")
    left.legend()
    found = {}
    for name in ("deeponet", "multi_onet", "pod"):
        tests = [json.loads((RUNS / name / f"seed={seed}" / "evaluation.json").read_text())["tests"] for seed in SEEDS]
        found[name] = np.array([test[0]["errors"]["relative_l2"] for test in tests])
        each = found[name].mean(1)
        print(f"Burgers, {name}: {each.round(5)} mean {each.mean():.5f}")
    print("MultiONet over DeepONet:", (found["multi_onet"].mean(1) / found["deeponet"].mean(1)).round(3))
    right.boxplot([errors.ravel() for errors in found.values()], tick_labels=["DeepONet", "MultiONet", "POD-DeepONet"])
    right.set(title="Burgers, 200 unseen samples, 3 seeds", ylabel="relative L2 error", yscale="log")
    figure.savefig(Path(__file__).parent / "errors.png", dpi=80)
