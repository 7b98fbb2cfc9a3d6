"""What the compiler says about memory, and what checkpoints do to it."""

import jax.numpy as jnp
import pytest

import pdejax as pj

S = pj.solvers


def problem(n=64, steps=100):
    axis = pj.Fourier(n)
    u0 = pj.GridField(jnp.zeros((1, n, n), jnp.float32), pj.Grid(x=axis, y=axis))
    return pj.EvolutionProblem(pj.equations.NavierStokesVorticity(1e-2), u0, t1=1.0), S.ETDRK4(1 / steps, dealias=2 / 3)


@pytest.mark.slow
def test_checkpoints_take_the_memory_that_they_promise():
    adjoints = {"unrolled": S.UnrolledAdjoint(), "steps": None, "two": S.CheckpointedAdjoint(levels=2)}
    found = {name: S.memory_estimate(*problem(), adjoint=adjoint) for name, adjoint in adjoints.items()}
    state = 43 * 22 * 8  # bytes of the modes that are kept
    assert found["steps"].gradient_temporaries > 100 * state
    assert found["steps"].gradient_temporaries < found["unrolled"].gradient_temporaries / 10
    assert found["two"].gradient_temporaries < found["steps"].gradient_temporaries
    assert all(estimate.solution == 4 * 64**2 for estimate in found.values())
    assert "gradient" in str(found["two"]) and "KiB" in str(found["two"])


@pytest.mark.slow
def test_the_gradient_of_a_hundred_steps_fits_in_the_cache_of_a_processor():
    default = S.memory_estimate(*problem(256))
    nested = S.memory_estimate(*problem(256), adjoint=S.CheckpointedAdjoint(levels=2))
    assert default.gradient_temporaries <= 32 * 2**20
    assert nested.gradient_temporaries <= 12 * 2**20


def test_steady_problems_have_an_estimate_too():
    grid = pj.Grid(x=pj.Uniform(33, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0)))
    estimate = S.memory_estimate(pj.SteadyProblem(pj.equations.Darcy(1.0, 1.0), grid))
    assert estimate.solution == 8 * 33 and estimate.gradient_temporaries > 0
