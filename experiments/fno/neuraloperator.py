"""FNO against that of neuraloperator on the 16 x 16 Darcy data, with the same steps, batches, schedule and loss.

`python experiments/fno/neuraloperator.py ../shared/data/operator`; needs neuraloperator 2.0.0 and torch. Width 32, 4
layers, 8 waves an axis (ours 7, all that 16 nodes have but the last), a quarter of padding where it is on. The metric
is the mean relative L2 error on the 50 test samples after the last step.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import neuralop
import numpy as np
import optax
import torch

import pdejax as pj
from pdejax.data import Dataset
from pdejax.nn import FarEnds, Normalised, Normaliser
from pdejax.objectives import relative_l2
from pdejax.operators import FNO
from pdejax.training import fit

STEPS, BATCH, PEAK, DECAY = 1500, 20, 2e-3, 1e-4
GRID = pj.Grid(x=pj.Fourier(16, length=1.0), y=pj.Fourier(16, length=1.0))
SCHEDULE = optax.warmup_cosine_decay_schedule(0.0, PEAK, STEPS // 10, STEPS)


def ours(train, test, seed):
    data, key = Dataset(*train, GRID), jax.random.key(seed)
    bare = FarEnds(FNO(1, 1, 7, 32, 4, 2, padding=0.25, key=key))
    model = Normalised(bare, Normaliser.of(data.inputs, GRID), Normaliser.of(data.targets, GRID))
    method = optax.adamw(SCHEDULE, weight_decay=DECAY)
    fitted = fit(
        model, data, optimizer=method, loss=relative_l2, steps=STEPS, batch_size=BATCH, key=jax.random.key(seed)
    )
    predict = jax.vmap(lambda a: fitted.model(pj.GridField(a, GRID)).values)
    return np.asarray(predict(jnp.asarray(test[0])))


def peer(train, test, seed, padding):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    moments = [(v.mean(), v.std()) for v in train]
    x, y = (torch.from_numpy((v - m) / s) for v, (m, s) in zip(train, moments, strict=True))
    sizes = {"in_channels": 1, "out_channels": 1, "hidden_channels": 32, "n_layers": 4, "domain_padding": padding}
    net = neuralop.models.FNO(n_modes=(16, 16), **sizes)
    method = torch.optim.AdamW(net.parameters(), 1.0, weight_decay=DECAY)
    rates = torch.optim.lr_scheduler.LambdaLR(method, lambda step: float(SCHEDULE(step)))
    (_, _), (mean, scale) = moments
    order = np.concatenate([rng.permutation(len(x)) for _ in range(STEPS * BATCH // len(x) + 1)])
    for step in range(STEPS):
        index = order[step * BATCH : (step + 1) * BATCH]
        wanted = (y[index] * scale + mean).flatten(1)
        misfit = (net(x[index]) * scale + mean).flatten(1) - wanted
        method.zero_grad()
        (misfit.norm(dim=1) / wanted.norm(dim=1)).mean().backward()
        method.step()
        rates.step()
    with torch.no_grad():
        out = net(torch.from_numpy((test[0] - moments[0][0]) / moments[0][1])) * scale + mean
    return out.numpy()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    read = lambda name: [np.asarray(np.load(folder / name)[k], np.float32)[:, None] for k in ("x", "y")]
    train, test = read("darcy_train_16.npz"), read("darcy_test_16.npz")
    norm = lambda v: np.linalg.norm(v.reshape(len(v), -1), axis=1)
    for seed in range(3):
        sides = {"pdejax": ours(train, test, seed)}
        sides |= {f"neuraloperator, padding {p}": peer(train, test, seed, p) for p in (None, 0.25)}
        errors = {name: float((norm(out - test[1]) / norm(test[1])).mean()) for name, out in sides.items()}
        print(f"seed {seed}:", ", ".join(f"{name} {error:.4f}" for name, error in errors.items()), flush=True)
