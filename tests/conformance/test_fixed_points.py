"""One row admits a fixed-point iteration: maps that contract, rotate, or have no fixed point; both precisions; jit,
vmap, jvp and reverse gradients. The other side is SciPy, and difference quotients of its solutions.
"""

import inspect
import math

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.optimize

import pdejax as pj

S, RESULTS = pj.solvers, pj.solvers.RESULTS
SLOW = pytest.mark.slow
N = 8
RNG = np.random.default_rng(0)
ORTHOGONAL = np.linalg.qr(RNG.standard_normal((N, N)))[0]
ANGLES = np.array([0.4, 1.0, 2.0, 3.0])
LAPLACIAN = (np.eye(N, k=1) + np.eye(N, k=-1) - 2 * np.eye(N)) * (N + 1) ** 2
# An implicit step of u_t = u_xx - u^3 + f, whose fixed points are the steady states.
STEP = 0.02
INVERSE = np.linalg.inv(np.eye(N) - STEP * LAPLACIAN)


def rotation(angles):
    out = np.zeros((N, N))
    for k, angle in enumerate(angles):
        out[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return out


# The first angle is zero: along those two axes the map is a translation.
STILL = rotation(np.concatenate([[0.0], ANGLES[1:]]))
# Written for numpy and jax alike: `m` is the module.
MAPS = {
    "linear contraction": lambda m, y, p: 0.8 * m.asarray(ORTHOGONAL, p.dtype) @ y + p,
    "tanh layer": lambda m, y, p: m.tanh(0.9 * m.asarray(ORTHOGONAL, p.dtype) @ y + p),
    "reaction-diffusion": lambda m, y, p: m.asarray(INVERSE, p.dtype) @ (y + STEP * (10 * p - y**3)),
    "rotation": lambda m, y, p: m.asarray(rotation(ANGLES), p.dtype) @ y + p,
    "infeasible": lambda m, y, p: m.asarray(STILL, p.dtype) @ y + p,
}
SOLVERS = {
    "picard": lambda rtol: S.Picard(rtol),
    "averaged picard": lambda rtol: S.Picard(rtol, average=0.6, certify=1e-2),
    "anderson": lambda rtol: S.Anderson(rtol),
    "broyden": lambda rtol: S.Broyden(rtol),
    "bad broyden": lambda rtol: S.Broyden(rtol, kind="bad"),
    "halpern": lambda rtol: S.Halpern(rtol, restart=0.5),
    "reversible": lambda rtol: S.Reversible(rtol),
    "newton": lambda rtol: S.InexactNewton(rtol, 0.0, S.FGMRES(1e-2)),
}
DEFAULT = {
    ("picard", "linear contraction", "f8"),
    ("anderson", "tanh layer", "f4"),
    ("broyden", "reaction-diffusion", "f8"),
    ("halpern", "rotation", "f8"),
    ("reversible", "linear contraction", "f4"),
}
FEASIBLE = [name for name in MAPS if name != "infeasible"]
# Undamped Picard iteration turns on the circle for ever, and reversible steps need a contraction.
NOT = {("picard", "rotation"), ("reversible", "rotation")}
ROWS = [(s, m, t) for s in SOLVERS for m in FEASIBLE for t in ("f4", "f8") if (s, m) not in NOT]
ROWS = [pytest.param(*row, marks=() if row in DEFAULT else SLOW) for row in ROWS]


def solve(name, solver, y0, p, adjoint=None, max_steps=2000):
    return S.fixed_point(
        lambda y, p: MAPS[name](jnp, y, p), y0, p, solver, adjoint=adjoint, max_steps=max_steps, throw=False
    )


def exact(name, p):
    found = scipy.optimize.root(lambda y: MAPS[name](np, y, p) - y, np.zeros(N), tol=1e-13)
    assert np.abs(MAPS[name](np, found.x, p) - found.x).max() < 1e-11
    return found.x


def test_every_iteration_has_a_row():
    public = {c for c in vars(S).values() if inspect.isclass(c) and issubclass(c, S.AbstractFixedPoint)}
    assert public - {S.AbstractFixedPoint} == {type(make(1e-3)) for make in SOLVERS.values()} - {S.InexactNewton}


@pytest.mark.parametrize("solver,name,precision", ROWS, ids=lambda x: x)
def test_values_and_derivatives(solver, name, precision):
    rng = np.random.default_rng(1)
    points, way, weights = 0.5 * rng.standard_normal((2, N)), rng.standard_normal(N), rng.standard_normal(N)
    # The second lane is easier: it starts next to its fixed point.
    double = precision == "f8"
    starts = np.stack([np.zeros(N), exact(name, points[1]) + (1e-7 if double else 1e-4)])
    method = SOLVERS[solver](1e-10 if double else 1e-5)
    cast = lambda x: jnp.asarray(x, precision)

    def target(p, y0):
        solution = solve(name, method, y0, p)
        return jnp.vdot(cast(weights), solution.value), solution

    @jax.jit
    def everything(points, starts, way):
        _, pushed, one = jax.jvp(lambda p: target(p, starts[0]), (points[0],), (way,), has_aux=True)
        return one, pushed, jax.vmap(jax.value_and_grad(target, has_aux=True))(points, starts)

    one, pushed, ((_, lanes), slopes) = everything(cast(points), cast(starts), cast(way))
    slopes = np.asarray(slopes)
    assert bool(one.ok) and np.all(lanes.ok), (RESULTS[one.result], lanes.error)
    assert lanes.value.dtype == slopes.dtype == precision
    tolerance = 1e-8 if double else 3e-3
    for got, p in zip(lanes.value, points, strict=True):
        np.testing.assert_allclose(got, exact(name, p), atol=tolerance)
    np.testing.assert_allclose(one.value, lanes.value[0], atol=1e-11 if double else 1e-5)
    steps = lanes.stats["num_steps"]
    assert one.stats["num_steps"] == steps[0] >= steps[1]
    # Methods that look for a root solve linear equations in as many steps from anywhere.
    assert steps[0] > steps[1] or solver in ("newton", "broyden", "bad broyden", "anderson")
    h = 1e-4
    ahead, behind = (exact(name, points[0] + s * h * way) for s in (1, -1))
    quotient = weights @ (ahead - behind) / (2 * h)
    scale = np.linalg.norm(slopes[0]) * np.linalg.norm(way)
    np.testing.assert_allclose(pushed, quotient, atol=(1e-6 if double else 3e-3) * scale)
    np.testing.assert_allclose(slopes[0] @ way, quotient, atol=(1e-6 if double else 3e-3) * scale)


FEW = [s if s in ("averaged picard", "anderson", "broyden") else pytest.param(s, marks=SLOW) for s in SOLVERS]


@pytest.mark.parametrize("solver", FEW)
def test_no_fixed_point_is_no_success(solver):
    p, y0 = jnp.asarray(RNG.standard_normal(N)), jnp.asarray(RNG.standard_normal(N))
    solution = solve("infeasible", SOLVERS[solver](1e-6), y0, p, max_steps=5000)
    assert not solution.ok
    if solver == "averaged picard":
        assert solution.result == RESULTS.infeasible
        np.testing.assert_allclose(solution.stats["displacement"][:2], -p[:2], rtol=1e-2)
    found = solve("rotation", S.Picard(1e-6), y0, p)
    assert found.result == RESULTS.no_progress


@pytest.mark.parametrize("solver", FEW)
def test_one_step_is_no_success(solver):
    # Newton's method does solve linear equations in one step.
    for name in ("tanh layer", "reaction-diffusion", "infeasible"):
        solution = solve(name, SOLVERS[solver](1e-6), jnp.zeros(N), jnp.ones(N), max_steps=1)
        assert not solution.ok and solution.error > 1e-6


DEAR = {"unrolled anderson", "damped phantom", "bicgstab", "one step", "unrolled", "recursive", "refined", "stationary"}
# Error of the gradient that the method promises; J is of norm 0.8, but smaller in the mean.
ADJOINTS = {
    "fgmres": (S.Anderson(1e-11), S.ImplicitAdjoint(), 1e-8),
    "bicgstab": (S.Anderson(1e-11), S.ImplicitAdjoint(linear=lx.BiCGStab(1e-10, 1e-10)), 1e-8),
    "stationary": (S.Picard(1e-11), S.ImplicitAdjoint(linear=S.Stationary(S.Picard(1e-10))), 1e-8),
    "neumann": (S.Anderson(1e-11), S.NeumannAdjoint(terms=12), 1.01 * 0.8**12),
    "phantom": (S.Anderson(1e-11), S.PhantomAdjoint(steps=12), 1.01 * 0.8**12),
    "one step": (S.Anderson(1e-11), S.PhantomAdjoint(), 0.81),
    "damped phantom": (S.Anderson(1e-11), S.PhantomAdjoint(steps=20, damping=0.7), 0.86**20),
    "shared": (S.Broyden(1e-11), S.SharedAdjoint(), 0.5),
    "refined": (S.Broyden(1e-11), S.SharedAdjoint(S.FGMRES(1e-10)), 1e-8),
    "reversible": (S.Reversible(1e-6), S.ReversibleAdjoint(), 1e-4),
    "unrolled": (S.Picard(1e-11), S.UnrolledAdjoint(), 1e-8),
    "unrolled anderson": (S.Anderson(1e-11, window=2), S.UnrolledAdjoint(), 1e-6),
    "recursive": (S.Picard(1e-11), S.RecursiveAdjoint(), 1e-8),
}


@pytest.mark.parametrize(
    "row",
    [pytest.param(r, marks=SLOW) if r in DEAR else r for r in ADJOINTS],
)
def test_gradients_of_every_adjoint(row):
    solver, adjoint, tolerance = ADJOINTS[row]
    rng = np.random.default_rng(2)
    points, weights = jnp.asarray(0.5 * rng.standard_normal((2, N))), jnp.asarray(rng.standard_normal(N))

    def target(p):
        solution = solve("linear contraction", solver, jnp.zeros(N), p, adjoint, max_steps=300)
        # Not linear in the solution, so that its value matters.
        return jnp.sum(weights * solution.value**2), solution

    (_, solution), slopes = jax.jit(jax.vmap(jax.value_and_grad(target, has_aux=True)))(points)
    assert np.all(solution.ok)
    inverse = np.linalg.inv(np.eye(N) - 0.8 * ORTHOGONAL)
    for p, slope in zip(np.asarray(points), slopes, strict=True):
        wanted = inverse.T @ (2 * weights * (inverse @ p))
        assert np.linalg.norm(slope - wanted) < tolerance * np.linalg.norm(wanted)


def test_an_adjoint_that_fails_says_so():
    adjoint = S.ImplicitAdjoint(linear=S.FGMRES(1e-10, max_steps=2))
    target = lambda p, adjoint: jnp.sum(solve("linear contraction", S.Anderson(1e-10), jnp.zeros(N), p, adjoint).value)
    slope = jax.grad(target)(jnp.ones(N), adjoint)
    assert np.all(np.isnan(slope))
    taken = jax.grad(target)(jnp.ones(N), S.ImplicitAdjoint(linear=S.FGMRES(1e-10, max_steps=2), accept=math.inf))
    assert np.all(np.isfinite(taken))
