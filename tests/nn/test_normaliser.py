import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import Normalised, Normaliser, Pointwise, trainable

GRID = pj.Grid(x=pj.Fourier(6), y=pj.Fourier(8))


def test_normaliser_of_samples_and_its_inverse():
    values = np.random.default_rng(0).normal(3.0, 2.0, (5, 2, 6, 8)).astype(np.float32)
    normaliser = Normaliser.of(values, GRID)
    u = pj.GridField(jnp.asarray(values[0]), GRID)
    v = normaliser(u)
    assert v.dtype == jnp.float32
    np.testing.assert_allclose(normaliser.inverse(v).values, u.values, rtol=1e-6)
    every = jax.vmap(lambda x: normaliser(pj.GridField(x, GRID)).values)(jnp.asarray(values))
    np.testing.assert_allclose(every.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(every.std((0, 2, 3)), 1, rtol=1e-5)


def test_constant_channel_and_sine_axes():
    assert np.all(Normaliser.of(np.full((2, 1, 6, 8), 7.0), GRID).std == 1)
    sine = Normaliser.of(np.full((2, 1, 9), 7.0), pj.Grid(x=pj.Sine(9)))
    assert (sine.mean, sine.std) == (0, 7)


def test_statistics_are_not_trained():
    model = Normalised(
        Pointwise(2, 3, key=jax.random.key(0)), Normaliser([0.0, 1.0], [1.0, 2.0]), Normaliser([0.0] * 3, [1.0] * 3)
    )
    parameters, _ = eqx.partition(model, trainable(model))
    assert len(jax.tree.leaves(parameters)) == 2
    u = pj.GridField(jnp.ones((2, 6, 8)), GRID)
    gradient = eqx.filter_grad(lambda m: jnp.sum(m(u).values))(model)
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves((gradient.inputs, gradient.targets)))
    assert np.all(np.asarray(gradient.model.bias) != 0)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="one mean and one std"):
        Normaliser([0.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="in_channels"):
        Pointwise(2, 3, key=jax.random.key(0))(pj.GridField(jnp.ones((1, 6, 8)), GRID))
    with pytest.raises(ValueError, match="channels"):
        Normaliser([0.0], [1.0])(pj.GridField(jnp.ones((2, 6, 8)), GRID))
