"""Rollouts of 100 to 1000 ETDRK4 steps: pdejax against exponax, the same steps on the same grids.

    python experiments/benchmarks/exponax_rollouts.py [--case ns2|ns3|ks] [--dtype float32|float64] [--cores N]

`ns2`: vorticity in the plane, 256^2, 100 steps; `user` is the same equation as a user would write it, in ten lines and
without any identity. `ns3`: velocity in space, 64^3, 20 steps. `ks`: Kuramoto-Sivashinsky, 256 nodes, a batch of 64,
1000 steps. Both sides keep two thirds of the modes. Errors are relative L2 distances to a rollout of ours in float64
with a quarter of the step (to t = 5 for ks, where chaos has not yet taken over). The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, case="ns2", dtype="float32")

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.calculus import advect, curl, inverse_laplacian, laplacian  # noqa: E402

jax.config.update("jax_enable_x64", True)
dtype, rng = jnp.dtype(chosen.dtype), np.random.default_rng(0)
TAU = 2 * np.pi


class Vorticity(pj.equations.AbstractEvolution):
    """`w_t + v . grad w = nu lap w`, as in a textbook."""

    viscosity: float

    def linear(self, u):
        return self.viscosity * laplacian(u)

    def nonlinear(self, u, t):
        return -advect(curl(-inverse_laplacian(u)), u)


def ours(equation, dims, n, length, dt, batch=False):
    """A jitted rollout over `steps` steps of ours."""
    grid = pj.Grid(**{name: pj.Fourier(n, length=length) for name in "xyz"[:dims]})

    def rollout(values, t1, dt):
        problem = pj.EvolutionProblem(equation, pj.GridField(values, grid), t1=t1)
        return pj.solve(problem, pj.solvers.ETDRK4(dt=dt, dealias=2 / 3), throw=False).value.values

    def run(steps, finer=1):
        one = lambda values: rollout(values, steps * dt, dt / finer)
        return jax.jit(jax.vmap(one) if batch else one)

    return run


def theirs(stepper, batch=False):
    """A jitted rollout of an exponax stepper, its tables cast to the dtype of the data."""

    def cast(leaf):
        if not hasattr(leaf, "dtype"):
            return leaf
        wanted = jnp.zeros((), dtype if not jnp.iscomplexobj(leaf) else jnp.result_type(dtype, jnp.complex64)).dtype
        return leaf.astype(wanted) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

    def run(steps):
        repeated = jax.tree.map(cast, ex.RepeatedStepper(stepper, steps))
        return jax.jit(jax.vmap(repeated.step) if batch else lambda u: repeated.step(u))

    return run


def vorticity(n):
    """A random vorticity about wave number 4, of size 5."""
    kx, ky = np.meshgrid(np.fft.fftfreq(n, 1 / n), np.arange(n // 2 + 1), indexing="ij")
    w = np.fft.rfft2(rng.standard_normal((n, n))) * np.exp(-((np.hypot(kx, ky) - 4) ** 2) / 2)
    w = np.fft.irfft2(w * (kx**2 + ky**2 > 0), (n, n))
    return 5 * w[None] / np.abs(w).max()


def velocity(n):
    """A random velocity without divergence, of size 1."""
    grid = pj.Grid(**{name: pj.Fourier(n, length=TAU) for name in "xyz"})
    k2 = sum(np.square(k) for k in np.meshgrid(*grid.modes(), indexing="ij"))
    rough = pj.GridField(jnp.asarray(rng.standard_normal((3, n, n, n))), grid)
    smooth = pj.calculus.project(rough.with_coefficients(rough.coefficients * np.exp(-k2 / 8)))
    return np.asarray(smooth.values / jnp.max(jnp.abs(smooth.values)))


def case(name):
    """Initial values, number of steps, steps for the accuracy, our rollouts, and theirs."""
    if name == "ns2":
        n, nu, dt = 256, 1e-3, 5e-3
        # Their vorticity turns the other way unless told so.
        peer = ex.stepper.NavierStokesVorticity(2, TAU, n, dt, diffusivity=nu, order=4, vorticity_convection_scale=-1.0)
        text = {"pdejax": pj.equations.NavierStokesVorticity(nu), "user": Vorticity(nu)}
        return vorticity(n), 100, 100, {k: ours(e, 2, n, TAU, dt) for k, e in text.items()}, theirs(peer)
    if name == "ns3":
        n, nu, dt = 64, 1e-2, 1e-2
        peer = ex.stepper.NavierStokesVelocity(3, TAU, n, dt, diffusivity=nu, order=4)
        return velocity(n), 20, 20, {"pdejax": ours(pj.equations.NavierStokes(nu), 3, n, TAU, dt)}, theirs(peer)
    n, length, dt, batch = 256, 64.0, 0.1, 64
    peer = ex.stepper.KuramotoSivashinskyConservative(1, length, n, dt, order=4)
    x, k = np.arange(n) * length / n, np.arange(1, 9)[None, :, None]
    phase, size = rng.uniform(0, TAU, (batch, 8, 1)), rng.standard_normal((batch, 8, 1))
    u0 = (size * np.cos(TAU * k * x / length + phase)).sum(1)[:, None]
    run = ours(pj.equations.KuramotoSivashinsky(), 1, n, length, dt, batch=True)
    return u0, 1000, 50, {"pdejax": run}, theirs(peer, batch=True)


def main() -> None:
    u0, steps, short, our, their = case(chosen.case)
    v = jnp.asarray(u0, dtype)
    runs = {**{name: run(steps) for name, run in our.items()}, "exponax": their(steps)}
    sides = {name: lambda run=run: jax.block_until_ready(run(v)) for name, run in runs.items()}
    line = race(sides, chosen)
    exact = np.asarray(our["pdejax"](short, 4)(jnp.asarray(u0)))
    distance = lambda run: rounded(np.linalg.norm(np.asarray(run(v), float) - exact) / np.linalg.norm(exact), 3)
    errors = {**{name: distance(run(short)) for name, run in our.items()}, "exponax": distance(their(short))}
    name = f"exponax_{chosen.case}_{chosen.dtype}_{chosen.cores}core"
    emit(name, (jax, ex, pj), steps=steps, shape=list(u0.shape), relative_error=errors, **line)


if __name__ == "__main__":
    main()
