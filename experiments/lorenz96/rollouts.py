"""Forecasts, statistics and longer rings with the closures of configs/lorenz96/closure.yaml, beside a cubic polynomial.

python experiments/lorenz96/rollouts.py runs/lorenz96/train.h5 runs/lorenz96/closure runs/lorenz96/few
"""

import json
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import pdejax as pj
from pdejax.data import read_well
from pdejax.equations import Closed, Lorenz96
from pdejax.nn import lengthened
from pdejax.solvers import RK4
from pdejax.training import load_model

file, *folders = map(Path, sys.argv[1:])
train, test, wide = (read_well(path) for path in (file, file.with_name("test.h5"), file.with_name("test72.h5")))
forcing = train.metadata["parameters"]["forcing"]
x, g = (train.values[:, :, c].ravel() for c in (0, 1))
cubic = np.polynomial.Polynomial.fit(x, g, 3).convert().coef
polynomial = lambda u: u.with_values(sum(float(c) * u.values**k for k, c in enumerate(cubic)))
runs = [path for folder in folders for path in sorted(folder.glob("*/model.eqx"))]
nets = {f"{path.parent.parent.name}, {path.parent.name}": load_model(path) for path in runs}
closures = {"none": lambda u: 0.0 * u, "cubic": polynomial} | nets


@eqx.filter_jit
def forecast(closure, starts, end, every):
    n = starts.shape[-1]
    grid = pj.Grid(x=pj.Uniform(n, n, lower=pj.Periodic(), upper=pj.Periodic()))
    times, model = tuple(np.round(np.arange(0, end + every / 2, every), 9)), Closed(Lorenz96(forcing), closure)
    problem = lambda u: pj.EvolutionProblem(model, pj.GridField(u, grid), t0=0.0, t1=times[-1])
    return jax.vmap(lambda u: pj.solve(problem(u), RK4(dt=5e-3), save_at=times).value.values)(starts)


def r2(closure, data):
    given, wanted = jnp.asarray(data.values[:, :, :1], jnp.float32), data.values[:, :, 1:]
    found = jax.vmap(jax.vmap(lambda v: closure(pj.GridField(v, data.grid)).values))(given)
    return float(1 - np.mean((found - wanted) ** 2) / np.var(wanted))


starts, truth = jnp.asarray(test.values[:, 0, :1], jnp.float32), test.values[:, :, 0]
late, rows, curves, states = jnp.asarray(train.values[:20, -1, :1], jnp.float32), {}, {}, {"two scales": x}
for name, closure in closures.items():
    found = np.asarray(forecast(closure, starts, 2.0, 0.1))[:, :, 0]
    curves[name] = np.sqrt(np.mean((found - truth) ** 2, axis=2)).mean(axis=0)
    states[name] = np.asarray(forecast(closure, late, 10.0, 0.05))[:, 100:].ravel()
    rows[name] = {"rmse(1)": curves[name][10], "rmse(2)": curves[name][20], "mean": states[name].mean()}
    rows[name] |= {"variance": states[name].var(), "r2(36)": r2(closure, test), "r2(72)": r2(closure, wide)}
    if name in nets:
        rows[name] |= {"r2(72), lengthened": r2(lengthened(closure, 2), wide)}
rows["two scales"] = {"mean": x.mean(), "variance": x.var()}
for name, row in rows.items():
    print(name, json.dumps({key: round(float(value), 4) for key, value in row.items()}))

figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.0))
shade = {"none": "0.6", "cubic": "C1", "two scales": "k"}
shade |= {name: f"C{(0, 2)[folders.index(path.parent.parent)]}" for name, path in zip(nets, runs, strict=True)}
label = lambda name: name.split(",")[0] if name not in nets or name.endswith("0") else None
for name, curve in curves.items():
    axes[0].plot(np.arange(21) / 10, curve, color=shade[name], label=label(name))
axes[0].set(xlabel="t", ylabel="RMSE of X", title="mean over 100 starts, 36 sites")
axes[0].legend(fontsize=7)
for name, values in states.items():
    axes[1].hist(values, np.linspace(-10, 16, 53), density=True, histtype="step", color=shade[name], label=label(name))
axes[1].set(xlabel="X", title="density of X in the long run")
figure.tight_layout()
figure.savefig(Path(__file__).parent / "rmse.png", dpi=110)
