import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import (
    BasisFeatures,
    FourierFeatures,
    ModifiedPerceptron,
    Sensors,
    Siren,
    envelope,
    envelope_at,
    nodes,
    trainable,
)

KEY = jax.random.key(0)
MIXED = pj.Grid(x=pj.Fourier(6, length=3.0, start=1.0), y=pj.Sine(5, length=2.0), z=pj.Chebyshev(4), w=pj.Uniform(5))


def test_features_are_waves_of_the_bases():
    x = np.random.default_rng(0).uniform([1.0, 0.0, -1.0, 0.0], [4.0, 2.0, 1.0, 1.0], (7, 4))
    s = (x - [1.0, 0.0, -1.0, 0.0]) / [3.0, 2.0, 2.0, 1.0]
    found = BasisFeatures(2)(x, MIXED)
    k, parts = np.arange(1, 5), []
    parts += [np.cos(2 * np.pi * np.outer(s[:, 0], k[:2])), np.sin(2 * np.pi * np.outer(s[:, 0], k[:2]))]
    parts += [np.cos(np.pi * np.outer(s[:, 1], k))]
    parts += [np.polynomial.chebyshev.chebvander(2 * s[:, i] - 1, 4)[:, 1:] for i in (2, 3)]
    np.testing.assert_allclose(found, np.concatenate(parts, axis=1), atol=1e-13)
    assert found.shape[1] == BasisFeatures(2).size(4)


def test_features_have_derivatives_at_the_ends():
    corners = jnp.asarray([[1.0, 0.0, -1.0, 0.0], [4.0, 2.0, 1.0, 1.0]])
    slopes = jax.jit(jax.jacobian(lambda x: BasisFeatures(2)(x, MIXED)))(corners)
    assert np.all(np.isfinite(slopes))
    # T_k has the slope k^2 at the right end, and 2 (x - start) / length - 1 the slope 2 on the unit interval.
    np.testing.assert_allclose(slopes[1, 12:, 1, 3], 2 * np.arange(1, 5) ** 2, atol=1e-12)


def test_envelope_at_nodes_and_beside_them():
    grid = pj.Grid(x=pj.Sine(7, length=0.3, start=0.7), y=pj.Cosine(4), z=pj.Sine(5))
    found = np.asarray(envelope_at(nodes(grid), grid)).reshape(grid.shape)
    np.testing.assert_allclose(found, np.broadcast_to(envelope(grid)[0], grid.shape), atol=1e-14)
    assert np.all(found[[0, -1]] == 0) and np.all(found[..., [0, -1]] == 0)
    middle = np.array([[0.76, 0.2, 0.25]])
    np.testing.assert_allclose(envelope_at(middle, grid), np.sin(np.pi * 0.2) * np.sin(np.pi * 0.25), atol=1e-14)


WAVES = {
    pj.Fourier: lambda s: np.sin(s) + np.cos(2 * s),
    pj.Sine: lambda s: np.sin(np.pi * s) + np.sin(2 * np.pi * s),
    pj.Cosine: lambda s: np.cos(np.pi * s) + np.cos(2 * np.pi * s),
    pj.Chebyshev: lambda s: s**3 + s,
    pj.Uniform: lambda s: s**3 + s,
}


@pytest.mark.parametrize("axis", WAVES)
def test_sensors_do_not_see_the_grid(axis):
    sensors = Sensors(2, (5, 6), 2)
    read = eqx.filter_jit(sensors)

    def sampled(grid):
        u, v = (WAVES[axis](x) for x in grid.mesh())
        return pj.GridField(jnp.asarray(np.stack([u * v, -2 * u * v])), grid)

    wanted = sampled(pj.Grid(x=axis(5), y=axis(6))).values.reshape(-1)
    assert wanted.shape == (sensors.size,)
    for shape in ((9, 8), (21, 17)):
        np.testing.assert_allclose(read(sampled(pj.Grid(x=axis(shape[0]), y=axis(shape[1])))), wanted, atol=1e-12)


def test_random_features_are_waves_that_stay():
    layer = FourierFeatures(3, 4, 2.0, key=KEY)
    x = jax.random.normal(KEY, (5, 3))
    phase = 2 * np.pi * np.asarray(x) @ np.asarray(layer.directions.content)
    np.testing.assert_allclose(layer(x), np.concatenate([np.cos(phase), np.sin(phase)], axis=1), atol=1e-12)
    gradient = eqx.filter_grad(lambda layer: jnp.sum(layer(x) ** 3))(layer)
    assert not np.any(gradient.directions.content) and not any(jax.tree.leaves(trainable(layer)))
    # Frequencies of deviation `scale`.
    many = FourierFeatures(50, 200, 2.0, key=KEY).directions.content
    assert abs(float(jnp.std(many)) - 2.0) < 0.06


def test_siren_keeps_its_variance_over_depth():
    model, x = Siren(2, 1, 256, 8, key=KEY), jax.random.uniform(KEY, (300, 2), minval=-1.0, maxval=1.0)

    @eqx.filter_jit
    def variances(model):
        h, found = x, []
        for layer in model.layers[:-1]:
            h = jnp.sin(model.omega * layer(h))
            found.append(jnp.mean(jnp.var(h, axis=0)))
        return jnp.stack(found), model(x), model.layers[-1](h)

    found, out, last = variances(model)
    # Sines of normal numbers of variance one have the variance (1 - exp(-2)) / 2 = 0.43, a little less at finite width.
    np.testing.assert_allclose(found[1:], (1 - np.exp(-2)) / 2, atol=0.08)
    np.testing.assert_allclose(out, last, atol=1e-5)
    bounds = [1 / 2, *[np.sqrt(6 / 256) / 30] * 8]
    largest = [np.max(np.abs(layer.layers.layers[0].weight)) for layer in model.layers]
    sizes = np.divide(largest, bounds)
    assert 0.95 < sizes.min() and sizes.max() <= 1


def test_modified_perceptron_is_its_formula():
    model, x = ModifiedPerceptron(3, 2, 4, 2, key=KEY), np.random.default_rng(0).normal(size=(5, 3))
    affine = lambda part: (
        lambda x: x @ np.asarray(part.layers.layers[0].weight).T + np.asarray(part.layers.layers[0].bias)
    )
    u, v = (np.tanh(affine(encoder)(x)) for encoder in model.encoders)
    h = np.tanh(affine(model.layers[0])(x))
    for layer in model.layers[1:-1]:
        z = np.tanh(affine(layer)(h))
        h = (1 - z) * u + z * v
    np.testing.assert_allclose(eqx.filter_jit(model)(jnp.asarray(x)), affine(model.layers[-1])(h), atol=1e-12)
    assert len(model.layers) == 4
    gradient = eqx.filter_jit(eqx.filter_grad(lambda model: jnp.sum(jnp.sin(model(jnp.asarray(x))))))(model)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))
