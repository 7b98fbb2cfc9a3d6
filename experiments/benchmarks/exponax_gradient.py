"""Value and gradient through 100 ETDRK4 steps of the vorticity equation, 256^2: pdejax against exponax.

    python experiments/benchmarks/exponax_gradient.py [--dtype float32|float64] [--cores N]

The gradient of the mean square of the last vorticity with respect to the first, by reverse mode. `pdejax` keeps the
state of each step (the default of `solve`), `two levels` is `CheckpointedAdjoint(levels=2)`, `exponax` is its plain
`jax.grad`, and `exponax, checkpointed` the same with `jax.checkpoint` around each step. Memory is the temporaries that
XLA reports for the executable. Errors are relative L2 distances to the gradient in float64. The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, dtype="float32", rounds=5)

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import pdejax as pj  # noqa: E402

jax.config.update("jax_enable_x64", True)
N, TAU, NU, DT, STEPS = 256, 2 * np.pi, 1e-3, 5e-3, 100
dtype = jnp.dtype(chosen.dtype)


def ours(adjoint):
    """The mean square after all steps of ours."""
    axis = pj.Fourier(N, length=TAU)
    equation, grid = pj.equations.NavierStokesVorticity(NU), pj.Grid(x=axis, y=axis)

    def loss(w):
        problem = pj.EvolutionProblem(equation, pj.GridField(w, grid), t1=STEPS * DT)
        method = pj.solvers.ETDRK4(dt=DT, dealias=2 / 3)
        return jnp.mean(pj.solve(problem, method, adjoint=adjoint, throw=False).value.values ** 2)

    return loss


def theirs(checkpointed):
    """The same of theirs, with tables in the dtype of the data."""
    # Their vorticity turns the other way unless told so.
    stepper = ex.stepper.NavierStokesVorticity(2, TAU, N, DT, diffusivity=NU, order=4, vorticity_convection_scale=-1.0)

    def cast(leaf):
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)):
            return leaf
        return leaf.astype(jnp.result_type(dtype, jnp.complex64) if jnp.iscomplexobj(leaf) else dtype)

    stepper = jax.tree.map(cast, stepper)
    step = jax.checkpoint(lambda v: stepper.step_fourier(v))

    def plain(w):
        return jnp.mean(ex.RepeatedStepper(stepper, STEPS).step(w) ** 2)

    def kept(w):
        v = jax.lax.scan(lambda v, _: (step(v), None), ex.fft(w, num_spatial_dims=2), None, length=STEPS)[0]
        return jnp.mean(ex.ifft(v, num_spatial_dims=2, num_points=N) ** 2)

    return kept if checkpointed else plain


def vorticity():
    """A random vorticity about wave number 4, of size 5."""
    kx, ky = np.meshgrid(np.fft.fftfreq(N, 1 / N), np.arange(N // 2 + 1), indexing="ij")
    noise = np.fft.rfft2(np.random.default_rng(0).standard_normal((N, N)))
    w = np.fft.irfft2(noise * np.exp(-((np.hypot(kx, ky) - 4) ** 2) / 2) * (kx**2 + ky**2 > 0), (N, N))
    return 5 * w[None] / np.abs(w).max()


def main() -> None:
    w = jnp.asarray(vorticity(), dtype)
    losses = {
        "pdejax": ours(None),
        "two levels": ours(pj.solvers.CheckpointedAdjoint(levels=2)),
        "exponax": theirs(False),
        "exponax, checkpointed": theirs(True),
    }
    compiled = {name: jax.jit(jax.value_and_grad(loss)).lower(w).compile() for name, loss in losses.items()}
    memory = {name: rounded(c.memory_analysis().temp_size_in_bytes / 2**20) for name, c in compiled.items()}
    sides = {name: lambda c=c: jax.block_until_ready(c(w)) for name, c in compiled.items()}
    line = race(sides, chosen)
    del line["first_call_s"]  # Compiled before.
    exact = np.asarray(jax.jit(jax.grad(losses["pdejax"]))(jnp.asarray(vorticity())))
    norm = np.linalg.norm(exact)
    errors = {k: rounded(np.linalg.norm(np.asarray(c(w)[1], float) - exact) / norm, 3) for k, c in compiled.items()}
    median = line["median_s"]
    emit(
        f"exponax_gradient_{chosen.dtype}_{chosen.cores}core",
        (jax, ex, pj),
        temporaries_MiB=memory,
        relative_error=errors,
        two_levels_time_vs_exponax=rounded(median["two levels"] / median["exponax"], 3),
        **line,
    )


if __name__ == "__main__":
    main()
