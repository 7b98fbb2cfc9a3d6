"""The grid that a problem needs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm

S, E = pj.solvers, pj.equations


@pytest.mark.parametrize("dealias", [1.0, 3 / 2])
def test_the_grid_is_as_fine_as_the_tolerance_asks_for(dealias):
    grid = pj.Grid(x=pj.Fourier(512, length=1.0))
    # A rough start, whose details diffusion forgets.
    u0 = pj.data.GaussianRandomField(2.0, 5.0, 25.0).sample(grid, key=jax.random.key(0))
    problem = pj.EvolutionProblem(E.Burgers(0.1), u0, t1=0.25)
    method = S.ETDRK4(dt=1 / 128, dealias=dealias)
    full = pj.solve(problem, method).value
    sizes = []
    for rtol in (1e-3, 1e-6):
        coarse = S.sufficient_grid(problem, method, rtol)
        end = pj.solve(dataclasses.replace(problem, u0=u0.resample(coarse)), method).value.resample(grid)
        assert norm(end - full) <= 2 * rtol * norm(full)
        sizes.append(coarse.shape[0])
    assert sizes[0] <= sizes[1] <= 128


def test_the_given_grid_stays_where_nothing_coarser_will_do():
    grid = pj.Grid(x=pj.Fourier(32), y=pj.Uniform(9, lower=pj.Periodic(), upper=pj.Periodic()))
    rough = pj.GridField(jnp.asarray(np.random.default_rng(0).standard_normal((1, 32, 9))), grid)
    problem = pj.EvolutionProblem(E.Advection(1.0), rough, t1=0.1)
    assert S.sufficient_grid(problem, S.ETDRK4(dt=0.1)) is grid


def test_values_must_be_known():
    grid = pj.Grid(x=pj.Fourier(16))
    find = lambda v: S.sufficient_grid(pj.EvolutionProblem(E.Burgers(0.1), pj.GridField(v, grid)), S.ETDRK4(0.1))
    with pytest.raises(ValueError, match="before jit"):
        jax.jit(lambda v: find(v).axes[0].n)(jnp.ones((1, 16)))
    problem = pj.EvolutionProblem(E.Burgers(0.1), pj.GridField(jnp.ones((1, 16)), grid))
    with pytest.raises(ValueError, match="positive tolerance"):
        S.sufficient_grid(problem, S.ETDRK4(0.1), 0.0)
