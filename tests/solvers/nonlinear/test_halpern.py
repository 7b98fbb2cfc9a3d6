"""Halpern's iteration: its bound, maps without a fixed point, restarts, and the variance-reduced one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax.solvers import RESULTS, Halpern, Picard, SolveError, fixed_point
from pdejax.solvers.nonlinear._variance_reduced import variance_reduced_halpern


def rotations(angles):
    """Rotations of planes, averaged with the identity, and the random orthogonal basis of these planes."""
    n = 2 * len(angles)
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    c, s = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    return q @ (np.eye(n) + np.block([[c, -s], [s, c]])) @ q.T / 2, q


def test_bound_holds_along_the_way():
    """`||z_k - T(z_k)|| <= 2 ||z_0 - z*|| / (k + 1)`, and the residuals are those of the formula in numpy."""
    matrix, _ = rotations(np.geomspace(1e-2, 3, 10))
    goal, start = np.random.default_rng(1).standard_normal((2, 20))
    history = Halpern(1e-30, certify=None, history=300, patience=10**6)
    far = np.linalg.norm(start - goal)

    @jax.jit
    def relative(start):
        turned = lambda z, _: jnp.asarray(goal) + jnp.asarray(matrix) @ (z - goal)
        out = fixed_point(turned, start, None, history, max_steps=300, throw=False)
        return out.stats["residual_history"], out.result

    found, result = relative(jnp.asarray(start))
    z, bounds, norms = start.copy(), [], []
    for k in range(300):
        image = goal + matrix @ (z - goal)
        norms.append(np.linalg.norm(image - z) / np.linalg.norm(image))
        bounds.append(2 * far / (k + 1) / np.linalg.norm(image))
        z = start / (k + 2) + (1 - 1 / (k + 2)) * image
    np.testing.assert_allclose(found, norms, rtol=1e-8)
    assert np.all(np.asarray(norms) <= bounds) and result == RESULTS.nonlinear_max_steps_reached


def moving(angles, shift):
    """Rotations of all planes but the first, in which there is a translation."""
    matrix, q = rotations(np.concatenate([[0.0], angles]))
    way = shift * q[:, 0]
    return lambda z, _: jnp.asarray(matrix) @ z + jnp.asarray(way), -way


@pytest.mark.parametrize("solver", [Halpern(1e-6), Picard(1e-6, certify=0.05)], ids=["Halpern", "Picard"])
def test_infeasible_verdict_and_displacement(solver):
    """`y - T(y)` has the least norm where it is minus the translation: the rotations move nothing at their centre."""
    fn, exact = moving(np.geomspace(0.1, 1, 5), 0.3)
    start = jnp.asarray(np.random.default_rng(2).standard_normal(12))
    out = fixed_point(fn, start, None, solver, max_steps=20000, throw=False)
    assert out.result == RESULTS.infeasible and out.stats["num_steps"] < 20000
    assert np.linalg.norm(out.stats["displacement"] - exact) < 0.05 * np.linalg.norm(exact)
    with pytest.raises(SolveError, match="no fixed point"):
        fixed_point(fn, start, None, solver, max_steps=20000)


def test_slow_maps_with_a_fixed_point_are_not_called_infeasible():
    """Rotations by a hundredth, and contractions by 0.99 and 0.999, in one batch; the verdict errs where the steps made
    cannot tell a map from a translation: contraction by 1 - 1e-5.
    """
    turn, _ = rotations(np.array([1e-2]))
    maps = jnp.asarray(np.stack([turn, 0.99 * np.eye(2), 0.999 * np.eye(2), (1 - 1e-5) * np.eye(2)]))
    solver = Halpern(0.0, atol=2e-2)

    @jax.jit
    @jax.vmap
    def solve(m, start):
        return fixed_point(lambda z, _: m @ z, start * jnp.ones(2), None, solver, max_steps=20000, throw=False)

    slow = jnp.asarray([False, False, False, True])
    out = solve(maps, jnp.where(slow, 1e6, 1e2))
    assert jnp.all((out.result == RESULTS.successful) == ~slow)
    assert jnp.all((out.result == RESULTS.infeasible) == slow)


def test_restart_gives_contractions_a_linear_rate():
    """Evaluations until the residual is below 1e-2 and below 1e-3."""
    matrix = jnp.asarray(0.9 * rotations(np.geomspace(0.1, 1, 4))[0])
    for restart in (None, 0.5):
        solver = Halpern(0.0, atol=1e-3, restart=restart, history=4000)
        out = fixed_point(lambda z, _: 1 + matrix @ (z - 1), jnp.zeros(8), None, solver, max_steps=4000)
        first = np.argmax(np.asarray(out.stats["residual_history"]) < 10 * out.error)
        ratio = int(out.stats["num_steps"]) / (first + 1)
        assert ratio < 2.5 if restart else ratio > 8


def components(n=30, d=6):
    """Affine, skew and positive definite."""
    rng = np.random.default_rng(0)
    g, s = rng.standard_normal((2, n, d, d)) / np.sqrt(d)
    return jnp.asarray(g @ g.transpose(0, 2, 1) + s - s.transpose(0, 2, 1)), jnp.asarray(rng.standard_normal((n, d)))


A, B = components()


def component(i, x):
    return A[i] @ x - B[i]


def reduced(key=0, **settings):
    settings = {"step": 0.4, "atol": 1e-3, "max_calls": 10**5, "throw": False} | settings
    return variance_reduced_halpern(component, 30, jnp.zeros(6), key=jax.random.key(key), **settings)


def test_variance_reduced_against_numpy():
    out = jax.jit(jax.vmap(reduced))(jnp.arange(3))
    a, b = np.asarray(A).mean(0), np.asarray(B).mean(0)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(out.value) @ a.T - b, axis=1), out.error, rtol=1e-6)
    assert np.all(out.error <= 1e-3) and np.abs(np.asarray(out.value) - np.linalg.solve(a, b)).max() < 3e-3
    steps, calls = out.stats["num_steps"], out.stats["num_components"]
    assert np.all(calls < 20 * steps) and len(set(map(int, calls))) == 3


def test_variance_reduced_failures():
    short = reduced(max_calls=100)
    assert short.result == RESULTS.nonlinear_max_steps_reached and short.stats["num_components"] <= 100
    assert reduced(step=100.0).result == RESULTS.nonfinite
    with pytest.raises(SolveError, match="maximum number of steps"):
        reduced(max_calls=100, throw=True)
    with pytest.raises(ValueError, match="write 1 / L"):
        reduced(step=0.0)
    with pytest.raises(ValueError, match="count=100"):
        reduced(max_calls=20)
