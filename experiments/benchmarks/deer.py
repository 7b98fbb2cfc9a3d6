"""A recurrent network over a long sequence: DEER against the sequential scan, values and gradients, float32.

    python experiments/benchmarks/deer.py [--length 10000] [--width 2] [--batch 1] [--cores N]

A GRU with two inputs. `times_faster_than` is that of DEER: on a CPU it is below one, since the scan does less work and
nothing is gained from steps that do not depend on each other; the script is the same on an accelerator, where it needs
`JAX_PLATFORMS` to name it and `--cores` above one (wall seconds). The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, length=10_000, width=2, batch=1, rounds=15)

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.solvers.time.parallel import DEER, evaluate  # noqa: E402


def main() -> None:
    cell = eqx.nn.GRUCell(2, chosen.width, key=jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (chosen.batch, chosen.length, 2))
    h0 = jnp.zeros(chosen.width)

    def parallel(cell, xs):
        return evaluate(lambda h, x: cell(x, h), h0, xs, DEER(), throw=False)

    def scan(cell, xs):
        return jax.lax.scan(lambda h, x: (cell(x, h),) * 2, h0, xs)[1]

    values = {"DEER": lambda cell, xs: parallel(cell, xs).value, "scan": scan}
    batched = {name: eqx.filter_jit(jax.vmap(run, in_axes=(None, 0))) for name, run in values.items()}
    loss = lambda run: lambda cell: jnp.mean(jax.vmap(run, in_axes=(None, 0))(cell, xs) ** 2)
    slopes = {name: eqx.filter_jit(eqx.filter_grad(loss(run))) for name, run in values.items()}
    ours, theirs = batched["DEER"](cell, xs), batched["scan"](cell, xs)
    outcome = jax.vmap(parallel, in_axes=(None, 0))(cell, xs)
    ready = lambda run, *args: lambda: jax.block_until_ready(run(*args))
    device = jax.devices()[0]
    emit(
        f"deer_{chosen.length}_{chosen.width}_{chosen.batch}_{device.platform}",
        (jax, eqx, pj),
        device=device.device_kind,
        sweeps=int(jnp.max(outcome.stats["num_steps"])),
        converged=bool(jnp.all(outcome.ok)),
        largest_deviation=rounded(jnp.max(jnp.abs(ours - theirs))),
        values=race({name: ready(run, cell, xs) for name, run in batched.items()}, chosen),
        gradients=race({name: ready(run, cell) for name, run in slopes.items()}, chosen),
    )


if __name__ == "__main__":
    main()
