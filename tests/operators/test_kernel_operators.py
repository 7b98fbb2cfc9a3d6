import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import nodes, radius_graph
from pdejax.operators import GNO, LNO, MultipoleGNO

KEY = jax.random.key(0)


def waves(points):
    """Two smooth fields on the unit square, `(2, n)`."""
    x, y = np.asarray(points).T
    return jnp.asarray(np.stack([np.sin(np.pi * x) * np.sin(2 * np.pi * y), x * (1 - x) * np.sin(np.pi * y)]))


def square(n: int, kind=pj.Sine) -> pj.Grid:
    return pj.Grid(x=kind(n, length=1.0), y=kind(n, length=1.0))


MODELS = {
    "gno": lambda: GNO(2, 3, 6, 3, 2, radius=0.3, kernel_width=5, key=KEY),
    "multipole": lambda: MultipoleGNO(2, 3, (6, 4), (0.2, 0.35, 0.7), 6, 2, 2, kernel_width=6, key=KEY),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_set_of_weights_on_grids_and_clouds(name):
    model, grid, rng = MODELS[name](), square(13), np.random.default_rng(0)
    field = pj.GridField(waves(nodes(grid)).reshape(2, *grid.shape), grid)
    on_grid = eqx.filter_jit(lambda m: m(field))(model)
    order = rng.permutation(13**2)
    points = nodes(grid)[order]
    # A grid is a cloud: in any order, with the grid's weights.
    weights = square(13, pj.Cosine).weights().reshape(-1)[order]
    found = eqx.filter_jit(lambda m: m.on_points(waves(points), points, grid, weights))(model)
    np.testing.assert_allclose(found, on_grid.values.reshape(3, -1)[:, order], atol=1e-12)
    # 200 random points without weights: near to what the grid gives there, up to the noise of their means.
    points = rng.uniform(size=(200, 2))
    found = eqx.filter_jit(lambda m: m.on_points(waves(points), points, grid))(model)
    there = on_grid(jnp.asarray(points)).T
    scale = float(jnp.sqrt(jnp.mean(there**2)))
    assert float(jnp.sqrt(jnp.mean((found - there) ** 2))) < 0.15 * scale


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in MODELS])
def test_refined_grids_converge(name):
    """At a fixed physical radius: the quadrature of sharp balls is of first order, or a little better in the mean."""
    model, found = MODELS[name](), []
    for n in (9, 17, 33, 65):
        grid = square(n)
        field = pj.GridField(waves(nodes(grid)).astype(jnp.float32).reshape(2, *grid.shape), grid)
        found.append(np.asarray(eqx.filter_jit(lambda m, a: m(a).values)(model, field))[:, :: n // 8, :: n // 8])
    scale = np.std(found[-1], axis=(1, 2), keepdims=True)
    errors = [float(np.max(np.abs(u - found[-1]) / scale)) for u in found[:-1]]
    assert errors[2] < 0.4 * errors[0] and errors[2] < 0.02


def test_graphs_of_equal_sizes_share_a_program():
    model, domain, compiled = MODELS["gno"](), square(3), 0

    @eqx.filter_jit
    def apply(model, values, points, graph):
        nonlocal compiled
        compiled += 1
        return model.on_graph(values, points, graph, domain)

    for seed in range(2):
        points = np.random.default_rng(seed).uniform(size=(30, 2))
        graph = radius_graph(points, 0.3, domain, most=30)
        found = apply(model, waves(points), jnp.asarray(points), graph)
    tight = eqx.filter_jit(lambda m: m.on_points(waves(points), points, domain))(model)
    np.testing.assert_allclose(found, tight, atol=1e-12)
    assert compiled == 1


def test_what_is_far_away_arrives_after_as_many_iterations():
    """Balls reach `depth radius`, levels of a multipole operator further."""
    grid = pj.Grid(x=pj.Chebyshev(33, length=1.0, start=0.0))
    x = grid.axes[0].points
    distance = np.abs(x - x[16])

    def reach(model):
        at_centre = lambda v: model(pj.GridField(v, grid)).values[0, 16]
        return np.asarray(jax.jit(jax.grad(at_centre))(jnp.asarray(np.cos(3 * x))[None]))[0]

    local = reach(GNO(1, 1, 4, 2, 1, radius=0.1, kernel_width=3, key=KEY))
    assert np.all(local[distance > 0.2] == 0) and np.any(local[distance > 0.15])
    assert np.any(reach(MultipoleGNO(1, 1, (5,), (0.1, 0.3), 4, 2, 1, kernel_width=4, key=KEY))[distance > 0.4])


def test_lno_is_its_layers():
    grid = pj.Grid(x=pj.Cosine(7), y=pj.Fourier(6))
    a = pj.GridField(jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 6))), grid)
    model = LNO(2, 3, 2, 4, 2, 2, key=KEY)

    @eqx.filter_jit
    def both(model):
        v = model.around.lift(a)
        v = v.with_values(jax.nn.gelu(model.locals[0](v).values + model.integrals[0](v, a).values))
        v = v.with_values(model.locals[1](v).values + model.integrals[1](v, a).values)
        return model(a).values, model.around.project(v, a).values

    np.testing.assert_allclose(*both(model), atol=1e-12)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="3 radii"):
        MultipoleGNO(1, 1, (8, 4), (0.1, 0.2), 4, 1, 2, key=KEY)
    with pytest.raises(ValueError, match="200 points"):
        MODELS["gno"]().on_points(jnp.zeros((1, 200)), np.random.default_rng(0).uniform(size=(200, 2)), square(3))
