"""Errors of the runs of configs/deeponet/antiderivative.yaml, and a picture, by
`python experiments/deeponet/antiderivative.py`.
"""

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
    x, means = test.grid.axes[0].points, []
    for name, label in (("antiderivative", "DeepONet"), ("antiderivative-plain", "plain network")):
        models = [load_model(RUNS / name / f"seed={seed}" / "model.eqx") for seed in SEEDS]
        squares = np.stack([(predictions(m, jnp.asarray(inputs), test.grid) - targets) ** 2 for m in models])
        means.append(squares.mean((1, 2, 3)))
        print(f"{label}: mean squared error {means[-1]}, mean {means[-1].mean():.3g}")
        left.semilogy(x, np.sqrt(squares.mean((0, 1, 2))), label=label)
        each = np.sort(np.sqrt(squares.mean((2, 3))).ravel())
        right.semilogx(each, np.linspace(0, 1, len(each)), label=label)
    print(f"plain over DeepONet: {(means[1] / means[0]).round(2)}, of means {means[1].mean() / means[0].mean():.3g}")
    left.set(title="all functions, three seeds", xlabel="y", ylabel="root mean square error")
    right.set(title="function by function", xlabel="root mean square error", ylabel="share with less")
    left.legend()
    figure.savefig(Path(__file__).parent / "antiderivative.png", dpi=80)
