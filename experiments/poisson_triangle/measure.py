"""Boundary values to harmonic functions on a triangle: an operator against ridge regression.

`python experiments/poisson_triangle/measure.py ../shared/data/operator/poisson_triangle_ls0.5.npz`
"""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optimistix as optx

import pdejax as pj
from pdejax.nn import Perceptron
from pdejax.operators import PODDeepONet, PODModes

MODES, TEST = 12, 20
PENALTIES = 10.0 ** np.arange(-12, 2)


def errors(prediction, truth):
    return np.linalg.norm(prediction - truth, axis=-1) / np.linalg.norm(truth, axis=-1)


def ridge(g, u, new, penalty):
    """Affine ridge regression of nodal values."""
    a = g - g.mean(0)
    dual = np.linalg.solve(a @ a.T + penalty * np.eye(len(a)), u - u.mean(0))
    return u.mean(0) + (new - g.mean(0)) @ a.T @ dual


def trained(g, u, key):
    """Modes of the boundary values to modes of the solutions by an affine branch, which learns the coefficients."""
    line, plane = pj.Grid(s=pj.Uniform(g.shape[1])), pj.Grid(node=pj.Uniform(u.shape[1]))
    read, write = PODModes.of(g[:, None], line, MODES), PODModes.of(u[:, None], plane, MODES)
    inputs = jax.vmap(lambda g: read(pj.GridField(g[None], line)))(jnp.asarray(g))
    targets = jax.vmap(lambda u: write(pj.GridField(u[None], plane)))(jnp.asarray(u))
    start, rest = eqx.partition(Perceptron(MODES, MODES, 1, 0, key=key), eqx.is_inexact_array)
    misfit = lambda p, _: (eqx.combine(p, rest)(inputs) - targets).reshape(-1)
    found = optx.least_squares(misfit, optx.LevenbergMarquardt(1e-14, 1e-14), start, throw=False).value
    model = PODDeepONet(1, write, read, 1, 1, branch=eqx.combine(found, rest), key=key)
    predict = jax.vmap(lambda g: model.at_nodes(pj.GridField(g[None], line)).values[0])
    return lambda g: np.asarray(predict(jnp.asarray(g)))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    data = np.load(sys.argv[1])
    g, u, xy = (np.asarray(data[name], np.float64) for name in ("g", "u", "xy"))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(g))
        train, test = order[TEST:], order[:TEST]
        prediction = trained(g[train], u[train], jax.random.key(seed))(g[test])
        found = [errors(ridge(g[train], u[train], g[test], p), u[test]).mean() for p in PENALTIES]
        own = errors(prediction, u[test])
        named = found[list(PENALTIES).index(1e-3)]
        print(
            f"seed {seed}: operator {own.mean():.2e}, ridge {named:.2e} at penalty 1e-3, {min(found):.2e} at its best"
        )
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    shown = ((u[test[0]], "solution"), (np.abs(prediction - u[test])[0], "error of the operator"))
    for axis, (values, title) in zip(axes, shown, strict=True):
        figure.colorbar(axis.scatter(*xy.T, c=values, s=3), ax=axis)
        axis.set(title=title, aspect="equal")
    figure.savefig(Path(__file__).parent / "solution.png", dpi=90)
