"""Differences on staggered grids: discrete identities, polynomials, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus._staggered import positions
from pdejax.equations import SteadyNavierStokes, Stokes


def cells(n, periodic=False, **place):
    end = pj.Periodic() if periodic else pj.Dirichlet()
    return pj.Uniform(n, lower=end, upper=end, centred=True, **place)


BOX = pj.Grid(x=cells(5, length=1.3, start=-0.2), y=cells(6), z=cells(4, periodic=True))
GRIDS = {
    "plane": pj.Grid(x=cells(6, length=2.0), y=cells(5)),
    "channel": pj.Grid(x=cells(6, periodic=True), y=cells(5)),
    "torus": pj.Grid(x=cells(6, periodic=True), y=cells(5, periodic=True)),
    "box": BOX,
}


def random(grid, channels, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((channels, *grid.shape)))


def solenoidal(grid):
    """Random flow in layers along the first two axes, from the values of a stream function at the corners."""
    psi = np.random.default_rng(1).standard_normal(grid.shape)
    for j in (0, 1):
        if not grid.axes[j].is_periodic:
            psi[(slice(None),) * j + (-1,)] = 0
    shifted = [np.roll(psi, 1, axis=j) for j in (0, 1)]
    (hx, hy), size = (grid.axes[j].length / grid.axes[j].n for j in (0, 1)), len(grid.axes)
    values = [(psi - shifted[1]) / hy, -(psi - shifted[0]) / hx, *np.zeros((size - 1, *grid.shape))]
    return pj.GridField(jnp.asarray(np.stack(values)), grid), psi


@pytest.mark.parametrize("name", GRIDS)
def test_convection_makes_no_energy(name):
    u, psi = solenoidal(GRIDS[name])
    flow = SteadyNavierStokes().flow(u)
    divergence, terms = jax.jit(lambda f: (f.divergence(), jnp.stack([f.convection(i) for i in range(f.ndim)])))(flow)
    assert jnp.max(jnp.abs(divergence)) < 1e-12
    assert jnp.linalg.norm(terms) > 1
    assert abs(jnp.sum(flow.velocity * terms)) < 1e-11 * jnp.linalg.norm(terms)
    if name == "plane":
        assert np.allclose(flow.stream_function().values[0, 1:, 1:], psi, atol=1e-12)


@pytest.mark.parametrize("name", GRIDS)
def test_gradient_and_divergence_are_adjoint_and_the_stokes_operator_is_symmetric(name):
    grid = GRIDS[name]
    u, w = (random(grid, len(grid.axes) + 1, seed) for seed in (1, 2))
    flow = Stokes().flow(pj.GridField(u, grid))
    slopes = jnp.stack([flow.gradient(w[-1], i) for i in range(flow.ndim)])
    assert jnp.allclose(jnp.sum(slopes * flow.velocity), -jnp.sum(w[-1] * flow.divergence()))
    act = jax.jit(lambda v: Stokes(0.3).residual(pj.GridField(v, grid)).values)
    assert jnp.allclose(jnp.sum(w * act(u)), jnp.sum(u * act(w)))


def test_polynomials_are_read_exactly():
    """Quadratic flow between moving walls: at any point of the box, walls and edges included."""
    names, walled = ("x", "y", "z"), pj.Grid(x=BOX.axis("x"), y=BOX.axis("y"), z=cells(4))
    fn = lambda x, y, z: (x * y - z, y * y + x * z, 1 - x * x + 2 * y)
    exact = pj.FunctionField.from_function(fn, names)
    values = [fn(*np.meshgrid(*positions(walled, i), indexing="ij"))[i] for i in range(3)]
    u = pj.GridField(jnp.asarray(np.stack([*values, 0 * values[0]])), walled)
    flow = Stokes(walls={name: (exact, exact) for name in names}).flow(u)
    points = np.random.default_rng(0).uniform(size=(40, 3))
    points[:20] = np.round(points[:20])
    points = jnp.asarray(points * [1.3, 1, 1] - [0.2, 0, 0])
    assert jnp.allclose(jax.jit(lambda f, p: f.at_points(p))(flow, points), exact(points), atol=1e-12)
    assert jnp.allclose(flow.at_centres().values[0], fn(*walled.mesh())[0], atol=1e-12)
    assert jnp.allclose(flow.divergence(), 3 * walled.mesh()[1], atol=1e-12)


def test_waves_are_read_across_the_seam():
    grid = pj.Grid(x=cells(32, periodic=True), y=cells(32, periodic=True))
    wave = lambda x, y: np.sin(2 * np.pi * (x + 2 * y))
    places = [np.meshgrid(*positions(grid, i), indexing="ij") for i in range(2)]
    u = pj.GridField(jnp.asarray(np.stack([*(wave(*p) for p in places), 0 * places[0][0]])), grid)
    points = np.random.default_rng(0).uniform(size=(50, 2))
    assert np.allclose(Stokes().flow(u).at_points(points), wave(*points.T)[:, None], atol=4e-3)


def test_what_does_not_fit_is_refused_with_advice():
    grid = GRIDS["plane"]
    u = pj.GridField(random(grid, 3), grid)
    with pytest.raises(ValueError, match="channels=3"):
        Stokes().residual(pj.GridField(random(grid, 2), grid))
    with pytest.raises(ValueError, match="centred=True"):
        closed = pj.Grid(x=pj.Uniform(5), y=pj.Uniform(5))
        Stokes().residual(pj.GridField(random(closed, 3), closed))
    with pytest.raises(ValueError, match="velocities of walls belong to the equation"):
        lid = pj.Uniform(5, lower=pj.Dirichlet(), upper=pj.Dirichlet(1.0), centred=True)
        Stokes().residual(u.on(grid.replace(y=lid)))
    with pytest.raises(ValueError, match="no walls"):
        Stokes(walls={"z": (None, None)}).residual(u)
    with pytest.raises(ValueError, match="pair"):
        Stokes(walls={"y": 1.0})
    with pytest.raises(ValueError, match="one for each axis"):
        Stokes(walls={"y": (None, (1.0,))}).residual(u)
    with pytest.raises(ValueError, match="positive viscosity"):
        SteadyNavierStokes(-1.0)
    with pytest.raises(TypeError, match="lives on a grid"):
        Stokes().residual(pj.FunctionField.from_function(lambda x, y: (x, y, x), ("x", "y")))
    with pytest.raises(ValueError, match="curl"):
        channel = GRIDS["channel"]
        Stokes().flow(pj.GridField(random(channel, 3), channel)).stream_function()
