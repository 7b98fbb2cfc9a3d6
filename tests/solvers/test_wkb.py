"""WKB: the published orders and optimal truncation against Airy functions, error estimates, transforms, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import airy

from pdejax.solvers import SolveError, WKBResults, wkb

INTERVAL = (1.0, 2.0)


class Line(eqx.Module):
    """`a(x) = slope x`: a parameter inside `a`, and one function object for every slope."""

    slope: jax.Array | float = 1.0

    def __call__(self, x):
        return self.slope * x


def exact(x, epsilon):
    """`phi` and `epsilon phi'` of the wave `Ai + i Bi` at `-x / epsilon^(2/3)`, which solves `a = x`."""
    ai, ai_slope, bi, bi_slope = airy(-np.asarray(x) * epsilon ** (-2 / 3))
    return ai + 1j * bi, -(epsilon ** (1 / 3)) * (ai_slope + 1j * bi_slope)


def start(epsilon):
    return tuple(complex(v) for v in exact(INTERVAL[0], epsilon))


def miss(solution, epsilon):
    """Errors of `phi` and `epsilon phi'`, relative to the largest value."""
    pairs = zip((solution.value, solution.slope), exact(solution.points, epsilon), strict=True)
    return tuple(np.abs(ours - truth).max() / np.abs(truth).max() for ours, truth in pairs)


@pytest.mark.parametrize("order, published", [(1, 3.7e-3), (2, 2.4e-4), (3, 2.7e-5), (4, 4.1e-6)])
def test_fixed_orders_over_a_batch_of_epsilon(order, published):
    epsilons = 2.0 ** -np.arange(4, 8)
    initial = tuple(jnp.asarray(v) for v in exact(INTERVAL[0], epsilons))
    batch = jax.vmap(lambda e, i: wkb(Line(), e, INTERVAL, i, order=order))(jnp.asarray(epsilons), initial)
    members = [jax.tree.map(lambda leaf, k=k: leaf[k], batch) for k in range(len(epsilons))]
    errors, slopes = np.transpose([miss(s, e) for s, e in zip(members, epsilons, strict=True)])
    assert np.isclose(errors[0], published, rtol=0.05)
    assert np.all(np.abs(np.log2(errors[:-1] / errors[1:]) - order) < 0.2)
    assert np.all(errors < batch.error) and np.all(slopes < batch.error) and np.all(batch.error < 5 * errors)


@pytest.mark.parametrize("level, best, published", [(2, 6, 1.1e-3), (3, 11, 4.3e-6), (4, 22, 7.3e-11)])
def test_optimal_truncation(level, best, published):
    epsilon = 2.0**-level
    solution = wkb(Line(), epsilon, INTERVAL, start(epsilon))
    error, slope = miss(solution, epsilon)
    assert abs(int(solution.order) - best) <= 1
    assert np.isclose(error, published, rtol=0.1)
    assert max(error, slope) < solution.error < 10 * error
    assert bool(solution.ok)


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4])
def test_shorter_waves_end_at_rounding(epsilon):
    # phi = sqrt(1 + x^2) cos(k arctan x) solves a = 1 / (1 + x^2)^2; a phase of k costs k rounding errors.
    k = np.sqrt(1 + epsilon**2) / epsilon
    points = np.linspace(-1, 2, 50)
    truth = np.sqrt(1 + points**2) * np.cos(k * np.arctan(points))
    tilt = np.array([np.cos(-k * np.pi / 4), np.sin(-k * np.pi / 4)])
    initial = (np.sqrt(2) * tilt[0], epsilon * (-tilt[0] - k * tilt[1]) / np.sqrt(2))
    solution = wkb(squared_lorentzian, epsilon, (-1.0, 2.0), initial, points)
    error = np.abs(solution.value - truth).max() / np.abs(truth).max()
    assert error < 1e-14 / epsilon and error < solution.error < 1e-13 / epsilon


def squared_lorentzian(x):
    return 1 / (1 + x**2) ** 2


def test_another_coefficient_and_both_directions():
    epsilon, points = 1 / 16, np.linspace(0, 2, 11)
    a = lambda x: jnp.exp(jnp.sin(2 * x)) + jnp.sqrt(1 + x) - jnp.tanh(x) / 3
    rhs = lambda x, y: [y[1] / epsilon, -(np.exp(np.sin(2 * x)) + np.sqrt(1 + x) - np.tanh(x) / 3) * y[0] / epsilon]
    truth = solve_ivp(rhs, (0, 2), [1.0, 0.5], "DOP853", points, rtol=1e-12, atol=1e-13).y
    there = wkb(a, epsilon, (0.0, 2.0), (1.0, 0.5), points)
    assert np.abs(np.stack([there.value, there.slope]) - truth).max() < there.error + 1e-10
    assert there.error < 1e-6
    back = wkb(a, epsilon, (2.0, 0.0), (there.value[-1], there.slope[-1]), points)
    assert np.allclose(back.value, there.value, rtol=0, atol=2 * there.error)


@pytest.mark.slow
def test_gradients_match_differences():
    points = jnp.array([1.3, 1.9])

    @jax.jit
    def energy(slope, epsilon, initial):
        closed_over = wkb(lambda x: slope * jnp.exp(x) / x, epsilon, INTERVAL, initial, points, order=3, nodes=24)
        return jnp.sum(closed_over.value**2) + closed_over.slope[0]

    leaves, shape = jax.tree.flatten((0.8, 0.1, (1.0, 0.3)))
    gradient = jax.tree.leaves(jax.jit(jax.grad(energy, (0, 1, 2)))(*jax.tree.unflatten(shape, leaves)))
    for k, slope in enumerate(gradient):
        moved = lambda h, k=k: energy(*jax.tree.unflatten(shape, [v + h * (i == k) for i, v in enumerate(leaves)]))
        assert np.isclose(slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6)


def test_single_precision():
    epsilon = 2.0**-5
    initial = tuple(jnp.asarray(v, jnp.complex64) for v in start(epsilon))
    solution = wkb(Line(jnp.float32(1)), jnp.float32(epsilon), INTERVAL, initial)
    assert (solution.value.dtype, solution.error.dtype) == (jnp.complex64, jnp.float32)
    assert miss(solution, epsilon)[0] < solution.error < 1e-4


def test_a_second_call_does_not_compile(caplog):
    solve = lambda slope, epsilon: wkb(Line(jnp.asarray(slope)), epsilon, INTERVAL, (1.0, 0.0), order=1)
    solve(1.0, 0.1)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        solve(2.0, 0.05).value.block_until_ready()
    assert not [r for r in caplog.records if "_solve" in r.getMessage() and "Compiling" in r.getMessage()]


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"epsilon": -0.1}, ValueError, "finite number > 0, got -0.1"),
        ({"epsilon": jnp.array([0.1, 0.2])}, ValueError, r"\(2,\).*jax.vmap"),
        ({"interval": (1.0, 1.0)}, ValueError, "two different finite ends"),
        ({"initial": (np.nan, 0.0)}, ValueError, "finite values"),
        ({"initial": 1.0}, ValueError, "a pair"),
        ({"order": 0}, ValueError, "integer >= 1"),
        ({"nodes": 4}, ValueError, "at least 8"),
        ({"interval": (-0.5, 2.0)}, ValueError, r"a\(-0.5\) = -0.5"),
        ({"a": lambda x: 1 + jnp.abs(x - 1.5)}, TypeError, "'abs'"),
        ({"a": lambda x: 1 + x.astype(int).astype(float)}, TypeError, "'convert_element_type'"),
        ({"a": lambda x: jnp.stack([x, x])}, TypeError, r"float64\[2\]"),
        ({"a": lambda x: 1 + 1 / (1 + 1e4 * (x - 1.5) ** 2), "epsilon": 0.001}, SolveError, "more nodes"),
        ({"points": jnp.array([2.5])}, SolveError, "outside the interval"),
        ({"points": jnp.array([np.nan])}, SolveError, "outside the interval"),
        ({"epsilon": 5.0}, SolveError, "no correct digit"),
    ],
)
def test_refusals(changes, error, message):
    settings = {
        "a": Line(jnp.asarray(1.0)),
        "epsilon": 0.1,
        "interval": INTERVAL,
        "initial": (1.0, 0.0),
        "order": 1,
    } | changes
    with pytest.raises(error, match=message):
        wkb(**settings)


def test_failures_under_a_transform_are_told_by_the_result():
    offsets = jnp.array([0.0, 1.5])
    batch = jax.vmap(lambda c: wkb(lambda x: x - c, 0.05, INTERVAL, (1.0, 0.0), order=1, throw=False))(offsets)
    assert batch.ok.tolist() == [True, False]
    assert jax.tree.map(lambda leaf: leaf[1], batch).result == WKBResults.not_positive
