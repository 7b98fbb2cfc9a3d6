"""Burgers' equation from four waves, by `python experiments/mixture/data.py`: runs/mixture/{train,test}.npz.

`u_t + u u_x = 0.01 u_xx` on the periodic unit interval, `u(., 0)` to `u(., 1)` on 64 nodes, solved on 256. The initial
states are drawn uniformly from the sphere `||u||_1 = 4` of the span of `cos 2 pi k x` and `sin 2 pi k x`, k = 1, 2.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pdejax import Fourier, Grid, GridField
from pdejax.equations import Burgers
from pdejax.solvers import ETDRK4, EvolutionProblem, solve

RADIUS, NODES, FINE = 4.0, 64, 256
GRID = Grid(x=Fourier(FINE, length=1.0))


def start(key):
    """One state; the waves are orthogonal in H^1 with norms `sqrt((1 + (2 pi k)^2) / 2)`."""
    c = jax.random.normal(key, (2, 2))
    k = 2 * np.pi * np.arange(1, 3)
    phases = k[:, None] * GRID.axis("x").points
    waves = np.stack([np.cos(phases), np.sin(phases)]) / np.sqrt((1 + k**2) / 2)[:, None]
    return jnp.einsum("ij,ijx->x", RADIUS * c / jnp.linalg.norm(c), waves)[None]


@jax.jit
def pair(key):
    a = start(key)
    end = solve(EvolutionProblem(Burgers(viscosity=1e-2), GridField(a, GRID), t0=0.0, t1=1.0), ETDRK4(dt=2e-3)).value
    return a[:, :: FINE // NODES], end.values[:, :: FINE // NODES]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    folder = Path("runs/mixture")
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, samples) in enumerate({"train": 16000, "test": 2000}.items()):
        keys = jax.random.split(jax.random.key(seed), samples)
        x, y = jax.lax.map(pair, keys, batch_size=500)
        np.savez(folder / f"{name}.npz", x=np.asarray(x, np.float32), y=np.asarray(y, np.float32))
        print(name, x.shape, "largest at the end", float(jnp.abs(y).max()), flush=True)
