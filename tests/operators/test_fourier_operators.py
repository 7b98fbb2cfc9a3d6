"""What the operators made of spectral convolutions claim beyond the conformance suite."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import ContractingModes, Pointwise, SpectralConv, trainable
from pdejax.operators import (
    FNO,
    ClosureOperator,
    FactorisedFNO,
    MixtureOfOperators,
    NearestPrototype,
    NeuralSpectralOperator,
    SpatiotemporalFNO,
    StabilisedFNO,
)

KEY = jax.random.key(0)


def size(make):
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter_eval_shape(make)))


def test_parameter_counts():
    assert size(lambda: SpatiotemporalFNO(10, 10, (12, 12, 5), 20, 4, 2, key=KEY)) == 9_250_333
    # A matrix per mode and axis, not per pair of modes.
    factorised = lambda modes: size(lambda: FactorisedFNO(1, 1, modes, 8, 4, 2, key=KEY))
    assert factorised(8) - factorised(4) == 4 * 2 * (2 * 8 * 8 * 4)


def test_frames_in_and_out_may_be_as_many_as_one_likes():
    """No array of the spatiotemporal operator knows their number, and a fresh source adds nothing."""
    model = SpatiotemporalFNO(4, 3, (2, 2), 6, 2, 1, latent=4, key=KEY)
    grid = pj.Grid(x=pj.Fourier(8))
    frames = jax.random.normal(KEY, (7, 8))
    assert model.on_frames(frames, grid, 9).shape == (9, 8)
    still = eqx.tree_at(lambda m: m.last.weight, model, replace_fn=jnp.zeros_like)
    np.testing.assert_array_equal(still.on_frames(frames, grid, 3), jnp.repeat(frames[-1:], 3, axis=0))
    lit = eqx.tree_at(lambda m: m.source.weight, still, replace_fn=lambda w: w.at[0, 0, 0, 0, 0].set(0.5))
    np.testing.assert_allclose(lit.on_frames(frames, grid, 3), frames[-1:] + 0.5 * jnp.ones((3, 1)), atol=1e-12)


def test_more_output_modes_do_not_change_the_operator():
    model = SpatiotemporalFNO(4, 3, (3, 2, 2), 6, 2, 2, latent=4, key=KEY)
    model = eqx.tree_at(lambda m: m.source.weight, model, replace_fn=lambda w: jax.random.normal(KEY, w.shape))
    grid = pj.Grid(x=pj.Fourier(16), y=pj.Fourier(18))
    frames = jax.random.normal(KEY, (4, 16, 18))
    finer = model.with_output_modes((7, 8, 3))
    assert finer.last.modes == (7, 8, 3) and finer.source.weight.shape == (2, 1, 1, 14, 16, 3)
    np.testing.assert_allclose(finer.on_frames(frames, grid, 5), model.on_frames(frames, grid, 5), atol=1e-12)
    with pytest.raises(ValueError, match="adds modes"):
        model.with_output_modes((2, 2, 2))


def test_contracting_modes_enlarge_nothing():
    layer = SpectralConv(3, 3, 4, 2, weights=ContractingModes, key=KEY)
    grid = pj.Grid(x=pj.Fourier(12), y=pj.Fourier(12))
    matrix = jax.jacobian(lambda v: layer.on_values(v, grid))(jnp.zeros((3, 12, 12))).reshape(3 * 144, 3 * 144)
    assert 0.3 < np.linalg.norm(matrix, 2) < 1
    corner = jnp.asarray(np.cos(3 * np.add.outer(grid.axes[0].points, grid.axes[1].points)))[None].repeat(3, 0)
    np.testing.assert_allclose(layer.on_values(corner, grid), 0, atol=1e-12)


def test_stabilised_operator_does_not_depend_on_the_scale_of_its_matrices():
    """A hundred and a thousand times larger pointwise matrices are both brought back to norm one."""
    model = StabilisedFNO(1, 1, 2, 6, 1, 1, key=KEY)
    is_matrix = lambda part: isinstance(part, Pointwise)
    grown = lambda part, by: eqx.tree_at(lambda p: p.weight, part, by * part.weight) if is_matrix(part) else part
    u, v = (jax.tree.map(lambda part, by=by: grown(part, by), model, is_leaf=is_matrix) for by in (100, 1000))
    a = pj.GridField.from_function(jnp.sin, pj.Grid(x=pj.Fourier(8)))
    np.testing.assert_allclose(u(a).values, v(a).values, rtol=1e-9)


def test_closure_commutes_with_translations_and_closes_an_equation():
    closure = ClosureOperator(1, 1, 3, 8, 2, 1, key=KEY)
    grid = pj.Grid(x=pj.Uniform(12, 12, lower=pj.Periodic(), upper=pj.Periodic()))
    u = pj.GridField(jax.random.normal(KEY, (1, 12)), grid)
    shifted = closure(u.with_values(jnp.roll(u.values, 5, -1))).values
    np.testing.assert_allclose(shifted, jnp.roll(closure(u).values, 5, -1), atol=1e-12)
    lattice = pj.equations.Lorenz96(forcing=10.0)
    closed = pj.equations.Closed(lattice, closure)
    found = closed.tendency(u, 0.0).values
    np.testing.assert_allclose(found, lattice.tendency(u, 0.0).values + closure(u).values, atol=1e-12)
    problem = pj.EvolutionProblem(closed, u, t0=0.0, t1=0.01)
    moved = pj.solve(problem, pj.solvers.RK4(dt=0.005)).value
    np.testing.assert_allclose(moved.values, u.values + 0.01 * found, atol=5e-3)
    with pytest.raises(ValueError, match="Sine"):
        closure(pj.GridField(jnp.zeros((1, 9)), pj.Grid(x=pj.Sine(9))))


def test_neural_spectral_output_has_the_modes_of_its_nodes():
    model = NeuralSpectralOperator(1, 1, 7, 6, 1, 1, key=KEY)
    wave = lambda n: pj.GridField.from_function(lambda x: jnp.sin(x) + jnp.cos(3 * x), pj.Grid(x=pj.Fourier(n)))
    coarse, fine = model(wave(8)), model(wave(40))
    np.testing.assert_allclose(coarse.values, fine.values[:, ::5], atol=1e-12)
    assert np.all(np.abs(fine.coefficients[0, 4:]) < 1e-12) and np.abs(fine.coefficients[0, 3]) > 1e-7


def test_mixture_sends_each_field_to_the_nearest_prototype():
    grid = pj.Grid(x=pj.Fourier(16))
    rng = np.random.default_rng(0)
    waves = np.stack([np.sin(grid.axes[0].points), np.cos(2 * grid.axes[0].points)])
    kind = np.arange(20) % 2
    values = (waves[kind] + 0.1 * rng.normal(size=(20, 16)))[:, None]
    router = NearestPrototype.of(values, grid, 2, 8)
    places = np.asarray([router(pj.GridField(jnp.asarray(v), grid)) for v in values])
    assert len({*places[kind == 0]}) == len({*places[kind == 1]}) == 1 and places[0] != places[1]
    model = MixtureOfOperators(functools.partial(FNO, 1, 1, 2, 4, 1, 1), router, 2, key=KEY)
    for v, place in zip(values[:2], places, strict=False):
        a = pj.GridField(jnp.asarray(v), grid)
        np.testing.assert_allclose(model(a).values, model.expert(int(place))(a).values, atol=1e-12)
        alike = MixtureOfOperators.copies(model.expert(1), router, 2)
        np.testing.assert_allclose(alike(a).values, model.expert(1)(a).values, atol=1e-12)
    assert not jax.tree.leaves(eqx.filter(model.router, trainable(model.router)))
    with pytest.raises(ValueError, match="at least as many samples"):
        NearestPrototype.of(values[:1], grid, 2, 8)
