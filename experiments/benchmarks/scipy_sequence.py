"""A sequence of 64 nonsymmetric systems: GCRO-DR against restarted GMRES (lineax, SciPy) and SciPy's direct solver.

    python experiments/benchmarks/scipy_sequence.py [--systems 64] [--restart 80] [--recycled 40] [--cores N]

Convection-diffusion on 100 x 100 unknowns, zero Dirichlet values, first-order upwind, a wind that turns by 0.01 and
grows by 0.5 from system to system; sources are one smooth function plus noise of its own for each system. No
preconditioner, float64, `||b - A x|| <= 1e-8 ||b||`. `gcrodr` is one `lax.scan` over all systems, nothing assembled;
`lineax` is `lineax.GMRES` in a scan over the same stencil with the loosest tolerances that reach 1e-8 (it stops on more
than the residual: `atol` only, in the 2-norm); `scipy_splu` factorises each system. Products with the matrix are
counted for all: ours and SciPy's by step, lineax's as restart cycles times (restart + 1). `residual` is the largest
relative residual and `error` the largest relative L2 distance to the direct solution, over the systems.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, systems=64, restart=80, recycled=40, rounds=3)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import lineax as lx  # noqa: E402
import numpy as np  # noqa: E402
import optimistix as optx  # noqa: E402
import scipy  # noqa: E402
import scipy.sparse as sp  # noqa: E402
import scipy.sparse.linalg as spla  # noqa: E402

from pdejax.solvers.linear import GCRODR  # noqa: E402

jax.config.update("jax_enable_x64", True)
N, RTOL = 100, 1e-8
H = 1 / (N + 1)


def apply(wind, u):
    """The stencil; the wind blows towards larger x and y."""
    u = jnp.pad(u, 1)
    x, west, south = u[1:-1, 1:-1], u[:-2, 1:-1], u[1:-1, :-2]
    return (4 * x - west - u[2:, 1:-1] - south - u[1:-1, 2:]) / H**2 + (
        wind[0] * (x - west) + wind[1] * (x - south)
    ) / H


def matrix(wind):
    """The same, assembled by SciPy."""
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)) / H**2
    upwind, eye = sp.diags_array([-1.0, 1.0], offsets=[-1, 0], shape=(N, N)) / H, sp.eye_array(N)
    return sp.csc_array(sp.kron(line + wind[0] * upwind, eye) + sp.kron(eye, line + wind[1] * upwind))


def main() -> None:
    count, x = np.arange(chosen.systems), np.linspace(H, 1 - H, N)
    angle, speed = 0.3 + 0.01 * count, 40 + 0.5 * count
    winds = np.stack([speed * np.cos(angle), speed * np.sin(angle)], axis=1)
    smooth = np.sin(np.pi * x)[:, None] * np.exp(x)
    rights = smooth + 0.05 * np.random.default_rng(0).standard_normal((chosen.systems, N, N))
    matrices = [matrix(wind) for wind in winds]
    structure = jax.ShapeDtypeStruct((N, N), jnp.float64)
    ours = GCRODR(RTOL, restart=chosen.restart, recycled=chosen.recycled)

    def recycled(recycle, system):
        out, recycle = ours.solve(
            lx.FunctionLinearOperator(lambda u: apply(system[0], u), structure), system[1], recycle
        )
        return recycle, (out.value, out.stats["num_matvecs"])

    def fresh(restart, carry, system):
        # lineax asks for |r_i| <= atol + rtol |b_i| and as much of the step: `atol` alone is a bound on the 2-norm.
        peer = lx.GMRES(rtol=0.0, atol=RTOL, norm=optx.two_norm, restart=restart, stagnation_iters=1000, max_steps=5000)
        operator = lx.FunctionLinearOperator(lambda u: apply(system[0], u), structure)
        size = jnp.linalg.norm(system[1])
        out = lx.linear_solve(operator, system[1] / size, peer, throw=False)
        return carry, (out.value * size, (out.stats["num_steps"] - 1) * (restart + 1))

    scan = lambda step: jax.jit(lambda start, systems: jax.lax.scan(step, start, systems)[1])
    systems = (jnp.asarray(winds), jnp.asarray(rights))
    restarts = sorted({20, 50, chosen.restart})
    chain = scan(recycled)
    peers = {restart: scan(lambda c, s, restart=restart: fresh(restart, c, s)) for restart in restarts}

    def scipy_gmres(restart):
        steps = []
        for a, b in zip(matrices, rights, strict=True):
            spla.gmres(
                a, b.ravel(), rtol=RTOL, restart=restart, maxiter=1000, callback=steps.append, callback_type="pr_norm"
            )
        return len(steps)

    direct = lambda: np.stack([spla.splu(a).solve(b.ravel()) for a, b in zip(matrices, rights, strict=True)])
    start = ours.empty(structure)
    sides = {
        "gcrodr": lambda: jax.block_until_ready(chain(start, systems)),
        **{f"lineax_gmres_{r}": lambda r=r: jax.block_until_ready(peers[r](0, systems)) for r in restarts},
        "scipy_splu": direct,
    }
    line, exact = race(sides, chosen), direct()
    products, residual, error = {}, {}, {}
    for name, run in {
        "gcrodr": lambda: chain(start, systems),
        **{f"lineax_gmres_{r}": lambda r=r: peers[r](0, systems) for r in restarts},
    }.items():
        values, counts = (np.asarray(a) for a in run())
        values, products[name] = values.reshape(chosen.systems, -1), int(counts.sum())
        pairs = list(zip(matrices, rights.reshape(chosen.systems, -1), values, strict=True))
        residual[name] = rounded(max(np.linalg.norm(b - a @ u) / np.linalg.norm(b) for a, b, u in pairs), 3)
        error[name] = rounded((np.linalg.norm(values - exact, axis=1) / np.linalg.norm(exact, axis=1)).max(), 3)
    products |= {f"scipy_gmres_{restart}": scipy_gmres(restart) for restart in restarts}
    ratios = {name: rounded(products["gcrodr"] / n, 3) for name, n in products.items() if name != "gcrodr"}
    facts = dict(systems=chosen.systems, unknowns=N * N, restart=chosen.restart, recycled=chosen.recycled)
    name = f"scipy_sequence_{chosen.cores}core"
    emit(name, (jax, lx, scipy), **facts, products=products, ratio=ratios, residual=residual, error=error, **line)


if __name__ == "__main__":
    main()
