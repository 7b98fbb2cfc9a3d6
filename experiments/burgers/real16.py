"""Errors of the runs of configs/burgers/real16.yaml at each of the 16 later times, and a picture of one test sample.

python experiments/burgers/real16.py runs/burgers-real16 ../shared/data/operator/burgers_train_16.npz
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import pdejax as pj
from pdejax.training import load_model

runs, file = map(Path, sys.argv[1:])
grid = pj.Grid(x=pj.Fourier(16, length=1.0))
data = pj.data.read(file, grid=grid)[720:]
truth = np.asarray(data.targets)[:, 1:]
errors = []
for model in map(load_model, sorted(runs.glob("*/model.eqx"))):
    found = np.asarray(jax.vmap(lambda v, m=model: m(pj.GridField(v, grid)).values)(jnp.asarray(data.inputs)))[:, 1:]
    errors.append(np.mean(np.linalg.norm(found - truth, axis=2) / np.linalg.norm(truth, axis=2), axis=0))
digits = lambda values: [round(float(v), 5) for v in values]
print(json.dumps({"mean": digits(e.mean() for e in errors), "last": digits(e[-1] for e in errors)}))

figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.8))
for e in errors:
    axes[0].plot(np.arange(1, 17) / 16, e)
axes[0].set(xlabel="t", ylabel="mean relative L2 error", ylim=(0, None), title="80 unseen samples, three seeds")
x = np.arange(16) / 16
for k in (0, 5, 10, 15):
    axes[1].plot(x, truth[0, k], label=f"t = {(k + 1) / 16:g}")
    axes[1].plot(x, found[0, k], "k.", markersize=4)
axes[1].set(xlabel="x", title="one sample; dots: model")
axes[1].legend(fontsize=7)
figure.tight_layout()
figure.savefig(Path(__file__).parent / "real16.png", dpi=110)
