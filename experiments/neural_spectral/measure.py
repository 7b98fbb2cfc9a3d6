"""Errors of the operators of configs/neural_spectral and of the exact solution of the stencil, and of each wave.

PYTHONPATH=. python experiments/neural_spectral/measure.py runs/neural_spectral
"""

import json
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import pdejax as pj
from pdejax.training import evaluate, load_model

runs, n = Path(sys.argv[1]), 64
# Not the samples of the runs' own tests.
data = pj.data.nsm_poisson_periodic(64, n, key=jax.random.key(100))
source, truth = np.asarray(data.inputs, float)[:, 0], np.asarray(data.targets, float)[:, 0]
waves = np.fft.fftfreq(n, 1 / n)
shells = np.rint(np.hypot(*np.meshgrid(waves, waves, indexing="ij"))).astype(int).ravel()
energy = lambda u: np.bincount(shells, (np.abs(np.fft.fft2(u)) ** 2).mean(0).ravel())[: n // 2]
error = lambda u: np.linalg.norm((u - truth).reshape(64, -1), axis=1) / np.linalg.norm(truth.reshape(64, -1), axis=1)

# What a perfect training on the stencil would find.
symbol = (2 - 2 * np.cos(2 * np.pi * waves / n)) * n**2
symbol = symbol[:, None] + symbol[None]
symbol[0, 0] = 1.0
exact = np.fft.ifft2(np.fft.fft2(source) / symbol).real
exact -= exact[:, :1, :1]
print(json.dumps({"exact solution of the stencil": float(error(exact).mean())}))

figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.0))
seconds = {}
for k, kind in enumerate(("spectral", "stencil")):
    for path in sorted((runs / kind).glob("seed=*/model.eqx")):
        found = evaluate(load_model(path), data)
        rows = [json.loads(line) for line in (path.parent / "metrics.jsonl").read_text().splitlines()]
        record = {"residual": kind, "run": path.parent.name, "relative L2": float(found.errors["relative_l2"].mean())}
        print(json.dumps({**record, "worst": float(found.errors["relative_l2"].max()), "seconds": rows[-1]["seconds"]}))
        axes[0].semilogy([r["step"] for r in rows], [r["train_loss"] for r in rows], f"C{k}", lw=1)
        u = found.predictions[:, 0].astype(float)
        axes[1].semilogy(np.sqrt(energy(u - truth) / energy(truth))[1:12], f"C{k}", lw=1)
    axes[0].plot([], [], f"C{k}", label=kind)
axes[1].semilogy(np.sqrt(energy(exact - truth) / energy(truth))[1:12], "k:", label="exact solution of the stencil")
axes[0].set(xlabel="step", title="loss (mean square of the residual)")
axes[1].set(xlabel="wave number", title="error of the waves, relative")
axes[1].set_xticks(range(0, 11, 2), range(1, 12, 2))
axes[0].legend(fontsize=7)
axes[1].legend(fontsize=7)
figure.tight_layout()
figure.savefig(Path(__file__).parent / "errors.png", dpi=110)
