"""Gradient of a deep equilibrium layer, `z = tanh(z W' + x U' + b)`, width 256, batch 64: against jaxopt, optimistix.

    python experiments/benchmarks/deq.py [--hard 1] [--cores N] [--rounds N]

The gradient of mean(z^2) with respect to (W, U, b), relative residual 1e-5, float32. `--hard 1`: W is 0.99 times an
orthogonal matrix, and the injection is weak. There `pdejax` iterates on `z + (T(z) - z) M'` with
`M = (I - 0.97 W)^-1`, which has the same fixed points; the peers are given that map as well (`..., preconditioned`),
and `pdejax, plain` takes the map as it is. On the easy map `pdejax` sums as many terms of the Neumann series of the
adjoint as an error of 1e-4 needs, its residual measured, and `pdejax, residual` iterates on it. Errors are relative
L2 distances to a fixed point and gradient in float64, for the gradient the largest of the three arrays; `flag`: what
the side itself says about convergence. Needs jaxopt 0.8.5. The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, hard=0, rounds=15)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jaxopt  # noqa: E402
import lineax as lx  # noqa: E402
import numpy as np  # noqa: E402
import optimistix as optx  # noqa: E402

import pdejax as pj  # noqa: E402
from pdejax.solvers import Anderson, ImplicitAdjoint, Neumann, Picard, Stationary  # noqa: E402

N, BATCH, TOL = 256, 64, 1e-5
SMALL = TOL * float(np.sqrt(BATCH * N)) / 4  # jaxopt's tolerance is absolute


def data():
    """Parameters (W, U, b) and inputs in double precision."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((N, N))
    w = 0.99 * np.linalg.qr(rng.standard_normal((N, N)))[0] if chosen.hard else 0.9 * w / np.linalg.norm(w, 2)
    u = rng.standard_normal((N, N)) / 16 * (0.02 if chosen.hard else 1)
    b = (0.01 if chosen.hard else 0.1) * rng.standard_normal(N)
    return (w, u, b), rng.standard_normal((BATCH, N))


EXACT, INPUT = data()
X, START = jnp.asarray(INPUT, "float32"), jnp.zeros((BATCH, N), "float32")


def plain(z, p):
    """The map `T`."""
    return jnp.tanh(z @ p[0].T + X @ p[1].T + p[2])


def preconditioned(z, q):
    """Its preconditioned form; `q` is `prepared(p)`."""
    p, m = q
    return z + (plain(z, p) - z) @ m.T


def prepared(p):
    """Parameters and `M`, once a solve."""
    return p, jnp.linalg.inv(jnp.eye(N, dtype="float32") - 0.97 * jax.lax.stop_gradient(p[0]))


def ours(fn, solver, linear):
    """The fixed point and the flag of ours; a gradient whose linear system is solved worse than 1e-3 is refused."""

    def solve(args):
        adjoint = ImplicitAdjoint(linear=linear, accept=1e-3)
        solution = pj.solvers.fixed_point(fn, START, args, solver, adjoint=adjoint, max_steps=1500, throw=False)
        return solution.value, solution.ok

    return solve


def theirs(solver):
    """The fixed point of a solver of jaxopt, and whether its residual says so."""

    def solve(args):
        out = solver.run(START, args)
        return out.params, out.state.error <= solver.tol

    return solve


def optimistix(args):
    """Their damped Picard with GMRES for the adjoint; the default would form a dense matrix of 16384^2."""
    adjoint = optx.ImplicitAdjoint(lx.GMRES(rtol=TOL, atol=TOL / 10, restart=20, stagnation_iters=20))
    solver = optx.FixedPointIteration(rtol=TOL, atol=TOL)
    out = optx.fixed_point(plain, solver, START, args, adjoint=adjoint, max_steps=1000, throw=False)
    return out.value, out.result == optx.RESULTS.successful


def sides():
    """Every side as a function of the parameters."""
    peers = {"jaxopt picard": lambda fn: jaxopt.FixedPointIteration(fn, maxiter=1000, tol=SMALL)}
    peers["jaxopt anderson"] = lambda fn: jaxopt.AndersonAcceleration(
        fn, history_size=5, mixing_frequency=1, ridge=1e-6, maxiter=300, tol=SMALL
    )
    rivals = {name: theirs(peer(plain)) for name, peer in peers.items()} | {"optimistix picard": optimistix}
    picard = ours(plain, Picard(TOL), Stationary(Picard(TOL / 2), 2000))
    if not chosen.hard:
        return {"pdejax": ours(plain, Picard(TOL), Neumann(8)), "pdejax, residual": picard, **rivals}
    anderson = Anderson(TOL, window=3)
    mapped = {"pdejax": ours(preconditioned, anderson, Stationary(anderson))}
    mapped |= {f"{name}, preconditioned": theirs(peer(preconditioned)) for name, peer in peers.items()}
    composed = {name: lambda p, solve=solve: solve(prepared(p)) for name, solve in mapped.items()}
    return {**composed, "pdejax, plain": picard, **rivals}


def reference():
    """Fixed point and gradient in double precision, by 3000 iterations each."""
    (w, u, b), z = EXACT, np.zeros((BATCH, N))
    for _ in range(3000):
        z = np.tanh(z @ w.T + INPUT @ u.T + b)
    slope, right, adjoint = 1 - z**2, 2 * z / z.size, np.zeros_like(z)
    for _ in range(3000):
        adjoint = (adjoint * slope) @ w + right
    d = adjoint * slope
    return z, (d.T @ z, d.T @ INPUT, d.sum(0))


def main() -> None:
    p = tuple(jnp.asarray(a, "float32") for a in EXACT)
    z, gradient = reference()
    apart = lambda a, b: float(np.linalg.norm(np.asarray(a, float) - b) / np.linalg.norm(b))
    timed, accuracy = {}, {}
    for name, solve in sides().items():
        descend = jax.jit(jax.grad(lambda p, solve=solve: jnp.mean(solve(p)[0] ** 2)))
        value, flag = jax.jit(solve)(p)
        found = max(apart(a, b) for a, b in zip(descend(p), gradient, strict=True))
        accuracy[name] = {"forward": rounded(apart(value, z), 2), "gradient": rounded(found, 2), "flag": bool(flag)}
        timed[name] = lambda descend=descend: jax.block_until_ready(descend(p))
    line = race(timed, chosen)
    good = {
        name: line["times_faster_than"][name]
        for name, a in accuracy.items()
        if not name.startswith("pdejax") and not name.endswith("preconditioned")
        if max(a["forward"], a["gradient"]) <= 1e-4
    }
    case = "hard" if chosen.hard else "easy"
    best = min(good.items(), key=lambda x: x[1])
    emit(f"deq_{case}_{chosen.cores}core", (jax, optx, lx), accuracy=accuracy, best_peer=best, bound=1.7, **line)


if __name__ == "__main__":
    main()
