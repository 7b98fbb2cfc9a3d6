"""Damped Newton steps from far starts, by `python experiments/damped_newton/measure.py`: about a minute on CPU.

The soft maximum `s log sum_i exp((a_i . x - b_i) / s) + r |x|^2 / 2` of 200 affine functions in R^30 (s = 0.05, r =
1e-3), and the 4-Laplacian `int |grad u|^4 / 4 - u` on 31 x 31 nodes. Solved when the gradient has norm 1e-11.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import matplotlib.pyplot as plt
import numpy as np
import optimistix as optx

from pdejax.solvers.linear import PCG
from pdejax.solvers.nonlinear import ConstantForcing, Damped, EnergySearch, FullStep, InexactNewton, TrustRegion

jax.config.update("jax_enable_x64", True)
STEPS, TOLERANCE = 400, 1e-11
RULES = {"damped": Damped(), "full Newton": FullStep(), "energy search": EnergySearch(), "trust region": TrustRegion()}


def soft_maximum(seed, s=0.05, ridge=1e-3):
    a, b = (np.random.default_rng(seed).standard_normal(shape) for shape in ((200, 30), (200,)))
    return lambda x: s * jax.nn.logsumexp((a @ x - b) / s) + ridge * jnp.sum(x**2) / 2


def four_laplacian(u, n=31):
    wide, h = jnp.pad(u.reshape(n, n), 1), 1 / (n + 1)
    # Squared gradient at the centres of cells, from the four sides.
    dx, dy = jnp.diff(wide, axis=0) / h, jnp.diff(wide, axis=1) / h
    square = (dx[:, 1:] ** 2 + dx[:, :-1] ** 2 + dy[1:] ** 2 + dy[:-1] ** 2) / 2
    return jnp.sum(square**2 / 4) * h**2 - jnp.sum(u) * h**2


def follow(name, energy, linear, rule, starts):
    """Prints steps and the last step lengths; returns the norms of the gradients `(steps, starts)`."""
    solver = InexactNewton(0.0, TOLERANCE, linear, forcing=ConstantForcing(1e-6), globalisation=rule)
    fn, tags = (lambda x, args: (jax.grad(energy)(x), None)), frozenset([lx.positive_semidefinite_tag])
    state = eqx.filter_vmap(lambda x: solver.init(fn, x, None, {}, None, None, tags))(starts)
    step = eqx.filter_jit(eqx.filter_vmap(lambda x, state: solver.step(fn, x, None, {}, state, tags)[:2]))
    x, norms, lengths, taken = starts, [state.size], [], np.full(len(starts), -1)
    for i in range(STEPS):
        taken = np.where((taken < 0) & (np.asarray(state.size) <= TOLERANCE), i, taken)
        if not np.any((taken < 0) & ~np.asarray(state.stuck)):
            break
        x, state = step(x, state)
        norms.append(state.size)
        lengths.append(state.memory.alpha if isinstance(rule, Damped) else jnp.ones(len(starts)))
    print(f"{name}: {sum(taken >= 0)}/{len(taken)} solved, steps (-1 if not) {taken.tolist()}")
    if isinstance(rule, Damped):
        last = np.array([[lengths[t - k][i] for i, t in enumerate(taken)] for k in (3, 2, 1)])
        largest = [max(norms[t - k][i] for i, t in enumerate(taken)) for k in (3, 2, 1, 0)]
        print(f"    last three alpha > 0.99: {sum(last.min(0) > 0.99)}, least {last.min(1)}; norms {np.array(largest)}")
    return np.array(norms)


if __name__ == "__main__":
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    draw = np.random.default_rng(100).standard_normal((20, 30)) * np.repeat([0, 1, 10], [1, 9, 10])[:, None]
    bumps = np.random.default_rng(7).standard_normal((20, 961)) * np.repeat([0.1, 10], 10)[:, None]
    for i, (name, rule) in enumerate(RULES.items()):
        for seed in range(3):
            linear = PCG(1e-6) if isinstance(rule, TrustRegion) else lx.Cholesky()
            norms = follow(f"{name}, soft maximum {seed}", soft_maximum(seed), linear, rule, jnp.asarray(draw))
            axes[0].semilogy(norms[:120, 10], f"C{i}", lw=1, label=name if seed == 0 else None)
        norms = follow(f"{name}, 4-Laplacian", four_laplacian, PCG(1e-6), rule, jnp.asarray(bumps))
        axes[1].semilogy(norms[:, [0, 10]], f"C{i}", lw=1)
    for seed in range(3):
        energy = soft_maximum(seed)
        bfgs = lambda x, e=energy: optx.minimise(lambda x, _: e(x), optx.BFGS(0, 1e-11), x, max_steps=600, throw=False)
        out = jax.jit(jax.vmap(lambda x, run=bfgs: (run(x).value, run(x).stats["num_steps"])))(jnp.asarray(draw))
        left = jnp.linalg.norm(jax.vmap(jax.grad(energy))(out[0]), axis=1)
        print(f"BFGS, soft maximum {seed}: gradients at most {left.max():.1e}, steps {out[1].tolist()}")
    for axis, title in zip(axes, ("soft maximum, a start of scale 10", "4-Laplacian, scales 0.1 and 10"), strict=True):
        axis.set(xlabel="steps", ylabel="norm of the gradient", title=title)
    axes[0].legend(fontsize=7)
    figure.savefig(__file__.replace("measure.py", "steps.png"), dpi=110)
