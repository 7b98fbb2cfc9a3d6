"""Time to a given accuracy at t = 1: pdejax against exponax, each with its best stepper and step.

    python experiments/benchmarks/exponax_time_to_accuracy.py [--case ks|ns2|ac] [--accuracy 1e-4|1e-6] [--cores N]

The initial fields are given on a grid and the solution is wanted on it, to the relative L2 accuracy. Both sides find
the fewest steps of each of their steppers that reach it, and race with the fastest. pdejax steps on the grid that
`solvers.sufficient_grid` finds by itself (resampling to and fro is timed); exponax has nothing of the kind and steps
on the given grid. `exponax, our grid` is told our grid by hand, its best stepper there, dealiased or not as is
better. float32 for 1e-4, float64 for 1e-6. `ks`: Kuramoto-Sivashinsky on (0, 64), 256 nodes, 64 fields; `ns2`:
vorticity, 256^2; `ac`: Allen-Cahn on (0, 2 pi)^2, 256^2, diffusivity 0.01. The last line is JSON.
"""

import time

from timing import emit, options, race, rounded

chosen = options(__doc__, case="ks", accuracy=1e-4, rounds=9)

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import pdejax as pj  # noqa: E402

jax.config.update("jax_enable_x64", True)
S, TAU, rng = pj.solvers, 2 * np.pi, np.random.default_rng(0)
dtype = jnp.float32 if chosen.accuracy > 1e-5 else jnp.float64
LADDER = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)
FINE = {"ks": 1024, "ns2": 320, "ac": 256}  # steps of the reference
OURS = {
    "ETDRK4": lambda dt: S.ETDRK4(dt=dt, dealias=1.0),
    "Krogstad4": lambda dt: S.Krogstad4(dt=dt, dealias=1.0),
    "ExponentialAdamsBashforth(4)": lambda dt: S.ExponentialAdamsBashforth(dt=dt, dealias=1.0, order=4),
}


def waves(n):
    """A random field about wave number 4, of size 1."""
    kx, ky = np.meshgrid(np.fft.fftfreq(n, 1 / n), np.arange(n // 2 + 1), indexing="ij")
    w = np.fft.rfft2(rng.standard_normal((n, n))) * np.exp(-((np.hypot(kx, ky) - 4) ** 2) / 2)
    w = np.fft.irfft2(w * (kx**2 + ky**2 > 0), (n, n))
    return w[None, None] / np.abs(w).max()


def case(name):
    """Grid, equation, initial values `(batch, 1, *shape)`, and their stepper for `(nodes, dt, order, ...)`."""
    if name == "ks":
        length, k = 64.0, np.arange(1, 9)[None, :, None]
        grid = pj.Grid(x=pj.Fourier(256, length=length))
        phase, size = rng.uniform(0, TAU, (64, 8, 1)), rng.standard_normal((64, 8, 1))
        u0 = (size * np.cos(TAU * k * np.arange(256) / 256 + phase)).sum(1)[:, None]
        peer = lambda n, dt, **o: ex.stepper.KuramotoSivashinskyConservative(1, length, n, dt, **o)
        return grid, pj.equations.KuramotoSivashinsky(), u0, peer
    n = 256
    grid = pj.Grid(x=pj.Fourier(n, length=TAU), y=pj.Fourier(n, length=TAU))
    if name == "ns2":
        peer = lambda n, dt, **o: ex.stepper.NavierStokesVorticity(
            2, TAU, n, dt, diffusivity=1e-3, vorticity_convection_scale=-1.0, **o
        )
        return grid, pj.equations.NavierStokesVorticity(1e-3), 5 * waves(n), peer
    peer = lambda n, dt, **o: ex.stepper.reaction.AllenCahn(2, TAU, n, dt, diffusivity=1e-2, **o)
    return grid, pj.equations.AllenCahn(1e-2, 1.0), 0.9 * waves(n), peer


GRID, EQUATION, START, PEER = case(chosen.case)


def ours(method, grid):
    """Batched rollout of ours on another grid, from and to the given one."""

    def one(values):
        u0 = pj.GridField(values, GRID).resample(grid)
        return pj.solve(pj.EvolutionProblem(EQUATION, u0), method, throw=False).value.resample(GRID).values

    return jax.jit(jax.vmap(one))


def theirs(steps, n, **settings):
    """Batched rollout of theirs on `n` nodes per axis, from and to the given grid."""

    def cast(leaf):
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)):
            return leaf
        return leaf.astype(jnp.result_type(dtype, jnp.complex64) if jnp.iscomplexobj(leaf) else dtype)

    rollout = jax.tree.map(cast, ex.RepeatedStepper(PEER(n, 1 / steps, **settings), steps))
    given = START.shape[-1]
    if n == given:
        return jax.jit(jax.vmap(rollout.step))
    move = ex.map_between_resolutions
    return jax.jit(jax.vmap(lambda u: move(rollout.step(move(u, n)), given)))


def fastest(makers, distance, values):
    """The name, steps and function of the fastest rollout that is accurate; makers take the number of steps."""
    best = (float("inf"), "none", 0, None)
    for name, make in makers.items():
        for steps in LADDER:
            run = make(steps)
            if distance(run(values)) <= chosen.accuracy:
                taken = []
                for _ in range(5):
                    start = time.process_time()
                    jax.block_until_ready(run(values))
                    taken.append(time.process_time() - start)
                best = min(best, (min(taken), name, steps, run), key=lambda b: b[0])
                break
    return best[1:]


def main() -> None:
    wide, values = jnp.asarray(START), jnp.asarray(START, dtype)
    exact = np.asarray(ours(S.ETDRK4(dt=1 / FINE[chosen.case], dealias=3 / 2), GRID)(wide))
    distance = lambda u: float(np.linalg.norm(np.asarray(u, float) - exact) / np.linalg.norm(exact))

    # A batch needs what its most demanding field needs.
    start, grid = time.perf_counter(), GRID.with_shape((8,) * len(GRID.shape))
    for field in START[:4]:
        problem = pj.EvolutionProblem(EQUATION, pj.GridField(jnp.asarray(field), GRID))
        found = S.sufficient_grid(problem, S.ETDRK4(dt=1 / 64, dealias=1.0), chosen.accuracy / 2)
        grid = max(grid, found, key=lambda g: g.shape)
    seconds = time.perf_counter() - start
    n, given = grid.shape[0], GRID.shape[0]
    mine = {k: lambda steps, m=m: ours(m(1 / steps), grid) for k, m in OURS.items()}
    plain = {f"order {p}": lambda steps, p=p: theirs(steps, given, order=p) for p in (2, 3, 4)}
    told = {
        f"order {p}, dealiasing {f:g}": lambda steps, p=p, f=f: theirs(steps, n, order=p, dealiasing_fraction=f)
        for p in (3, 4)
        for f in (2 / 3, 1.0)
    }
    best = {
        side: fastest(makers, distance, values)
        for side, makers in {"pdejax": mine, "exponax": plain, "exponax, our grid": told}.items()
    }
    sides = {s: lambda f=f: jax.block_until_ready(f(values)) for s, (_, _, f) in best.items() if f is not None}
    line = race(sides, chosen)
    emit(
        f"exponax_time_to_accuracy_{chosen.case}_{chosen.accuracy:g}_{chosen.cores}core",
        (jax, ex, pj),
        accuracy=chosen.accuracy,
        given_grid=list(GRID.shape),
        our_grid=list(grid.shape),
        seconds_to_choose_it=rounded(seconds, 3),
        best={s: f"{name}, {steps} steps" if f else "not reached" for s, (name, steps, f) in best.items()},
        relative_error={side: rounded(distance(f(values)), 3) for side, (_, _, f) in best.items() if f is not None},
        reference_agreement=rounded(distance(theirs_fine()), 3),
        **line,
    )


def theirs_fine():
    """The reference by the peer, in float64."""
    steps = FINE[chosen.case]
    rollout = ex.RepeatedStepper(PEER(GRID.shape[0], 1 / steps, order=4), steps)
    return jax.jit(jax.vmap(rollout.step))(jnp.asarray(START))


if __name__ == "__main__":
    main()
