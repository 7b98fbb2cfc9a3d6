"""Steady patterns of the Gray-Scott model from rough states made by others."""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.equations._steady_state import SteadyState
from pdejax.solvers import nonlinear as N
from pdejax.solvers.linear import FGMRES

H = 1 / 62
WALLS = pj.Uniform(63, length=63 * H, start=-H / 2, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0), centred=True)
GRID = pj.Grid(x=WALLS, y=WALLS)
REST = SteadyState(pj.equations.GrayScott(diffusivity_u=5e-4, diffusivity_v=2.5e-4, feed=0.04, kill=0.065))
# The Jacobian is indefinite on the way and nearly singular at the end: patterns are moved at little cost.
METHOD = N.NewtonKrylov(
    FGMRES(1e-2, max_steps=200),
    N.ModalAverage(),
    N.ConstantForcing(1e-2),
    N.PseudoTransient(first=100.0, smallest=20.0, slowest=0.5, fastest=1.5),
    rtol=1e-9,
)


@pytest.fixture(scope="module")
def starts(shared_data):
    """Rough steady states (21, 2, 63, 63) and the largest entry of the residual of each."""
    data = np.load(shared_data / "nonlinear" / "grayscott_guesses.npz")
    return np.stack([data["S"], data["A"]], axis=1), data["residual"]


def rest(start):
    """The largest entry of the residual at the end, by the file's own five-point differences, and the state."""
    guess = pj.GridField(jnp.asarray(start), GRID)
    u = pj.solve(pj.SteadyProblem(REST, GRID, channels=2, guess=guess), METHOD, max_steps=250, throw=False).value.values
    wide = np.pad(u, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1] + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2]
    spread = np.array([5e-4, 2.5e-4])[:, None, None] * (around - 4 * wide[:, 1:-1, 1:-1]) / H**2
    made = u[0] * u[1] ** 2
    return np.abs(spread + np.stack([0.04 * (1 - u[0]) - made, made - 0.105 * u[1]])).max(), u


@pytest.mark.slow
def test_a_pattern_comes_to_rest(starts):
    left, u = rest(starts[0][20])
    assert starts[1][20] > 1e-3 and left < 1e-8
    # A pattern, not the trivial state u = 1, v = 0.
    assert u[0].min() < 0.3 and u[1].max() > 0.39


@pytest.mark.slow
def test_at_least_fifteen_of_the_starts_come_to_rest(starts):
    assert sum(rest(start)[0] < 1e-8 for start in starts[0]) >= 15
