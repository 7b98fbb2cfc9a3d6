"""The mild form of evolution equations: a Picard iteration on a whole history."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.equations import Burgers, Diffusion, FisherKPP
from pdejax.grids import Grid
from pdejax.objectives import relative_l2
from pdejax.solvers import ETDRK4, EvolutionProblem, mild_image, solve

WALLS = pj.Uniform(17, lower=pj.Dirichlet(1.0), upper=pj.Dirichlet(0.0))
CASES = {
    "periodic": (Burgers(0.05), pj.Grid(x=pj.Fourier(32, length=1.0)), lambda x: jnp.sin(2 * jnp.pi * x)),
    "even": (FisherKPP(0.01, 2.0), pj.Grid(x=pj.Cosine(17)), lambda x: 0.5 + 0.4 * jnp.cos(jnp.pi * x)),
    "given values": (FisherKPP(0.01, 2.0), pj.Grid(x=WALLS), lambda x: jnp.exp(-5 * x) * (1 - x)),
    "plane": (
        FisherKPP(0.1, 2.0),
        pj.Grid(x=pj.Sine(9), y=pj.Fourier(8, length=1.0)),
        lambda x, y: jnp.sin(jnp.pi * x) * (1 + 0.5 * jnp.cos(2 * jnp.pi * y)),
    ),
}


def history(equation, start, frames, end=0.5):
    """What ETDRK4 makes of it, as a field on time and space."""
    times = pj.Uniform(frames, end)
    problem = EvolutionProblem(equation, start, t0=0.0, t1=end)
    found = solve(problem, ETDRK4(dt=end / 240), save_at=tuple(times.points.tolist())).value
    values = jnp.moveaxis(found.values, 0, 1)
    grid = Grid(t=times, **dict(zip(start.grid.names, start.grid.axes, strict=True)))
    return pj.GridField(values, grid)


@pytest.mark.parametrize("case", CASES)
def test_solutions_are_their_own_images_to_second_order(case):
    equation, grid, initial = CASES[case]
    start = pj.GridField.from_function(initial, grid)
    changes = [relative_l2(mild_image(equation, u, start), u) for u in (history(equation, start, n) for n in (13, 25))]
    assert changes[1] < 1e-3
    assert 3.5 < changes[0] / changes[1] < 4.5


def test_without_a_nonlinear_part_any_history_has_the_solution_for_its_image():
    grid = pj.Grid(x=pj.Sine(17), y=pj.Fourier(8, length=1.0))
    start = pj.GridField.from_function(lambda x, y: jnp.sin(jnp.pi * x) * jnp.cos(2 * jnp.pi * y), grid)
    times = pj.Uniform(6, 0.3)
    noise = jax.random.normal(jax.random.key(0), (1, 6, 17, 8))
    found = mild_image(
        Diffusion(0.1), pj.GridField(noise, pj.Grid(t=times, x=pj.Sine(17), y=pj.Fourier(8, length=1.0))), start
    )
    decay = jnp.exp(-0.1 * 5 * jnp.pi**2 * times.points)
    assert found.dtype == noise.dtype
    np.testing.assert_allclose(found.values, decay[None, :, None, None] * start.values[:, None], atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_iterated_it_solves_the_logistic_equation(dtype):
    times, space = pj.Uniform(41), pj.Fourier(4)
    start = pj.GridField(jnp.full((1, 4), 0.2, dtype), pj.Grid(x=space))
    u = pj.GridField(jnp.full((1, 41, 4), 0.2, dtype), pj.Grid(t=times, x=space))
    for _ in range(14):
        u = mild_image(FisherKPP(0.1, 2.0), u, start)
    exact = 1 / (1 + 4 * np.exp(-2 * times.points))
    assert u.dtype == dtype
    np.testing.assert_allclose(u.values[0, :, 1], exact, rtol=2e-4)


def test_times_must_be_those_of_a_history():
    grid = pj.Grid(x=pj.Fourier(8, length=1.0))
    start = pj.GridField(jnp.ones((1, 8)), grid)
    for time in (pj.Chebyshev(5), pj.Uniform(5, centred=True)):
        u = pj.GridField(jnp.ones((1, 5, 8)), pj.Grid(t=time, x=pj.Fourier(8, length=1.0)))
        with pytest.raises(ValueError, match="evenly spaced times"):
            mild_image(Diffusion(0.1), u, start)
    with pytest.raises(ValueError, match="history on"):
        mild_image(Diffusion(0.1), start, start)
    u = pj.GridField(jnp.ones((1, 5, 12)), pj.Grid(t=pj.Uniform(5), x=pj.Fourier(12, length=1.0)))
    with pytest.raises(ValueError, match="resample"):
        mild_image(Diffusion(0.1), u, start)


def test_growth_of_modes_is_not_in_the_exponential():
    """The image of nothing is what the linear part leaves of the start, at most all of it."""
    space, times = pj.Fourier(8, length=1.0), pj.Uniform(6)
    start = pj.GridField.from_function(lambda x: jnp.cos(2 * jnp.pi * x), pj.Grid(x=space))
    nothing = pj.GridField(jnp.zeros((1, 6, 8)), pj.Grid(t=times, x=space))
    for growth in (50.0, 0.1):
        found = mild_image(FisherKPP(0.01, growth), nothing, start)
        rate = min(growth - 0.04 * np.pi**2, 0.0)
        np.testing.assert_allclose(found.values[0, :, 0], np.exp(rate * times.points), rtol=1e-12)
