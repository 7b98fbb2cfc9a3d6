"""The first call: building the stepper, tracing, compiling and running 100 steps of the vorticity equation, 256^2.

    python experiments/benchmarks/exponax_first_call.py [--rounds 5] [--cores N]

Every measurement is a process of its own, the sides taking turns. `first_call` begins when the packages are imported;
what pdejax imports on first use is part of it. `import` is the time of the imports alone. The last line is JSON.
"""

import statistics
import subprocess
import sys

from timing import clock, emit, options, rounded

chosen = options(__doc__, rounds=5, side="", dtype="float32")

SIDES = ("pdejax", "exponax")
SIZE, VISCOSITY, DT, STEPS = 256, 1e-3, 5e-3, 100


def pdejax():
    """Import, then the rollout."""
    import jax
    import jax.numpy as jnp

    import pdejax as pj

    yield clock(chosen.cores)
    axis = pj.Fourier(SIZE, length=6.283185307179586)
    grid = pj.Grid(x=axis, y=axis)
    w = pj.GridField.from_function(lambda x, y: jnp.sin(3 * x) * jnp.cos(y) + jnp.cos(2 * x + y), grid)
    problem = pj.EvolutionProblem(pj.equations.NavierStokesVorticity(VISCOSITY), w, t1=STEPS * DT)
    yield jax.block_until_ready(pj.solve(problem, pj.solvers.ETDRK4(dt=DT, dealias=2 / 3)).value.values)


def exponax():
    """Import, then the rollout."""
    import exponax as ex
    import jax
    import jax.numpy as jnp

    yield clock(chosen.cores)
    x, y = jnp.split(ex.make_grid(2, 6.283185307179586, SIZE), 2)
    w = jnp.sin(3 * x) * jnp.cos(y) + jnp.cos(2 * x + y)
    stepper = ex.stepper.NavierStokesVorticity(2, 6.283185307179586, SIZE, DT, diffusivity=VISCOSITY, order=4)
    rollout = ex.RepeatedStepper(stepper, STEPS)
    yield jax.block_until_ready(jax.jit(lambda u: rollout.step(u))(w))


def main() -> None:
    if chosen.side:
        begin = clock(chosen.cores)
        run = globals()[chosen.side]()
        imported = next(run)
        next(run)
        print(imported - begin, clock(chosen.cores) - imported)
        return
    taken: dict[str, list[list[float]]] = {side: [] for side in SIDES}
    for i in range(chosen.rounds):
        for side in SIDES[:: 1 if i % 2 == 0 else -1]:
            command = [sys.executable, __file__, "--side", side, "--cores", str(chosen.cores)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            taken[side].append([float(word) for word in out.split()])
    median = lambda part: {s: rounded(statistics.median(t[part] for t in taken[s])) for s in SIDES}
    versions = __import__("jax"), __import__("exponax"), __import__("pdejax")
    calls = median(1)
    emit(
        f"exponax_first_call_{chosen.cores}core",
        versions,
        rounds=chosen.rounds,
        unit="cpu_s" if chosen.cores == 1 else "wall_s",
        import_s=median(0),
        first_call_s=calls,
        times_faster_than={"exponax": rounded(calls["exponax"] / calls["pdejax"], 3)},
    )


if __name__ == "__main__":
    main()
