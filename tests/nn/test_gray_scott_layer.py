"""Steady patterns of the Gray-Scott model as an implicit layer whose parameters are the rates of the reaction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.fields import Eigenbasis
from pdejax.grids import scale
from pdejax.solvers import FGMRES, ConstantForcing, ImplicitAdjoint, InexactNewton, PseudoTransient

SPACING = 1 / 62
WALLS = pj.Uniform(
    63, length=63 * SPACING, start=-SPACING / 2, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0), centred=True
)
GRID = pj.Grid(x=WALLS, y=WALLS)
SPREAD, DT = np.array([5e-4, 2.5e-4])[:, None, None], 20.0


class Step(eqx.Module):
    """A step of `DT` in time, diffusion implicit and reaction explicit: it rests where the equation rests."""

    feed: jax.Array
    kill: jax.Array

    def __call__(self, u, _):
        basis = Eigenbasis(GRID)
        change = pj.equations.GrayScott(*SPREAD.ravel(), self.feed, self.kill).tendency(u, 0.0)
        damped = scale(basis.forward(change), DT / (1 - DT * SPREAD * basis.laplacian(True)))
        return u.with_values(u.values + basis.backward(damped, True).values)


LAYER = pj.nn.FixedPoint(
    Step(jnp.asarray(0.04), jnp.asarray(0.065)),
    InexactNewton(
        1e-12,
        0.0,
        FGMRES(1e-2, max_steps=200, restart=50),
        forcing=ConstantForcing(1e-2),
        globalisation=PseudoTransient(first=5.0, smallest=1.0, slowest=0.5, fastest=1.5),
    ),
    ImplicitAdjoint(linear=FGMRES(1e-9, max_steps=500, restart=50), accept=1e-6),
    max_steps=100,
)


@eqx.filter_jit
def amount(layer, start):
    """How much of the second species there is, in the mean square, and the solve."""
    solution = layer.solve(None, start)
    return jnp.mean(solution.value.values[1] ** 2), solution


@pytest.mark.slow
def test_gradient_with_respect_to_the_rates(shared_data):
    data = np.load(shared_data / "nonlinear" / "grayscott_guesses.npz")
    start = pj.GridField(jnp.stack([data["S"][20], data["A"][20]]), GRID)
    (_, solution), gradient = eqx.filter_value_and_grad(amount, has_aux=True)(LAYER, start)
    assert solution.ok and solution.error < 1e-11
    # A pattern, not the trivial state u = 1, v = 0.
    assert solution.value.values[0].min() < 0.3 and solution.value.values[1].max() > 0.39
    h = 1e-5
    for where in (lambda layer: layer.body.feed, lambda layer: layer.body.kill):
        ends = [amount(eqx.tree_at(where, LAYER, where(LAYER) + s), solution.value) for s in (h, -h)]
        assert all(end.ok for _, end in ends)
        difference = (ends[0][0] - ends[1][0]) / (2 * h)
        np.testing.assert_allclose(where(gradient), difference, rtol=1e-5)
