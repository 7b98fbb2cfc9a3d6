"""Order of ETDRK4 for a dispersive equation, `u_t + u u_x = 0.05 u_xx - u_xxx`: pdejax against exponax.

    python experiments/benchmarks/exponax_dispersion.py

A Gaussian on (0, 20), 128 nodes, to t = 1 in 100, 200, 400 and 800 steps, float64. Errors are relative L2 distances to
pdejax with 6400 steps; the order is the slope over all four. The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, rounds=5)

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.calculus import d  # noqa: E402

jax.config.update("jax_enable_x64", True)
N, LENGTH, STEPS = 128, 20.0, (100, 200, 400, 800)
GRID = pj.Grid(x=pj.Fourier(N, length=LENGTH))


class DampedKdV(pj.equations.AbstractEvolution):
    """`u_t + u u_x = 0.05 u_xx - u_xxx`."""

    def linear(self, u):
        return 0.05 * d(u, "x", 2) - d(u, "x", 3)

    def nonlinear(self, u, t):
        return -0.5 * d(u**2, "x")


def ours(steps):
    """Jitted rollout of ours."""

    def run(values):
        method = pj.solvers.ETDRK4(dt=1 / steps, dealias=2 / 3)
        return pj.solve(pj.EvolutionProblem(DampedKdV(), pj.GridField(values, GRID)), method, throw=False).value.values

    return jax.jit(run)


def theirs(steps):
    """Jitted rollout of theirs."""
    stepper = ex.stepper.generic.GeneralConvectionStepper(
        1, LENGTH, N, 1 / steps, linear_coefficients=(0.0, 0.0, 0.05, -1.0), convection_scale=1.0, order=4,
        conservative=True,
    )  # fmt: skip
    return jax.jit(lambda u: ex.RepeatedStepper(stepper, steps).step(u))


def main() -> None:
    u0 = jnp.exp(-((jnp.arange(N) * LENGTH / N - 10) ** 2))[None]
    exact = np.asarray(ours(6400)(u0))
    makers = {"pdejax": ours, "exponax": theirs}
    distance = lambda u: float(np.linalg.norm(np.asarray(u) - exact) / np.linalg.norm(exact))
    errors = {name: [distance(make(n)(u0)) for n in STEPS] for name, make in makers.items()}
    order = {name: rounded(-np.polyfit(np.log(STEPS), np.log(e), 1)[0], 3) for name, e in errors.items()}
    runs = {name: make(STEPS[-1]) for name, make in makers.items()}
    line = race({name: lambda run=run: jax.block_until_ready(run(u0)) for name, run in runs.items()}, chosen)
    errors = {name: [rounded(e, 3) for e in values] for name, values in errors.items()}
    emit("exponax_dispersion", (jax, ex, pj), steps=STEPS, relative_error=errors, observed_order=order, **line)


if __name__ == "__main__":
    main()
