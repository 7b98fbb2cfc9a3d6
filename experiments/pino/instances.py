"""Go on training each operator on one unseen initial state, still without labels; a picture of the last one.

PYTHONPATH=. python experiments/pino/instances.py runs/pino/mild/seed=*/model.eqx
"""

import json
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import pdejax as pj
from pdejax.objectives import MildResidual, SobolevSquare, SpectralResidual, TimeMean, mean_square
from pdejax.training import evaluate, fit, load_model

STEPS = 2000
space, time = pj.Fourier(64, length=1.0), pj.Uniform(51)
data = pj.data.read(
    "runs/pino/burgers.h5",
    inputs=pj.data.Take("u", 0),
    targets="u",
    grid=pj.Grid(x=space),
    target_grid=pj.Grid(t=time, x=space),
)[200:]
data = pj.data.Dataset(
    data.inputs.astype("float32"), data.targets.astype("float32"), data.grid, target_grid=data.target_grid
)
burgers = pj.equations.Burgers(viscosity=0.01)
losses = {
    "square": SpectralResidual(burgers, mean_square),
    "dual": SpectralResidual(burgers, TimeMean(SobolevSquare(-1.0))),
    "mild": MildResidual(burgers),
}
optimizer = optax.adam(optax.cosine_decay_schedule(3e-4, STEPS))
one = data[:1]

for path in sys.argv[1:]:
    model = load_model(path)
    for name, loss in losses.items():
        settings = {"loss": loss, "optimizer": optimizer, "steps": STEPS, "batch_size": 1, "key": jax.random.key(0)}
        tuned = fit(model, pj.data.unlabelled(one), **settings).model
        before, after = (evaluate(m, one) for m in (model, tuned))
        errors = [float(e.errors["relative_l2"][0]) for e in (before, after)]
        print(json.dumps({"model": path, "loss": name, "before": errors[0], "after": errors[1]}), flush=True)
    fields = [np.asarray(u)[0, 0] for u in (one.targets, before.predictions, after.predictions)]

truth, *found = fields
figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.9))
top = np.abs(found[0] - truth).max()
for axis, values, title, limit in zip(
    axes,
    (truth, found[0] - truth, found[1] - truth),
    ("truth", "error of the operator", "error after tuning"),
    (np.abs(truth).max(), top, top),
    strict=True,
):
    shown = axis.imshow(values, origin="lower", extent=(0, 1, 0, 1), cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axis)
    axis.set(xlabel="x", ylabel="t", title=title)
figure.tight_layout()
figure.savefig(Path(__file__).parent / "history.png", dpi=100)
