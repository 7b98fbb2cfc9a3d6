"""The filter with gains from the field: against its formula, and what it must never do."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.nn import DynamicFilter
from pdejax.operators import StabilisedFNO

KEY = jax.random.key(0)


def field(*n: int, channels: int = 3) -> pj.GridField:
    grid = pj.Grid(**{name: pj.Fourier(size) for name, size in zip("xyz", n, strict=False)})
    return pj.GridField(jax.random.normal(jax.random.key(1), (channels, *n)), grid)


def test_one_dimension_follows_the_formula():
    layer, v = DynamicFilter(3, 3, 4, 1, key=KEY), field(10)
    layer = eqx.tree_at(lambda f: f.bias, layer, jnp.asarray([0.3, -0.2, 0.1]))
    c = np.fft.rfft(np.asarray(v.values), norm="forward")[:, :4]
    mix, bias, own = (np.asarray(leaf) for leaf in (layer.mix, layer.bias, layer.gain))
    a, b = mix[:, 0] + 1j * mix[:, 1]
    w = a @ (c / np.sqrt(np.mean(np.abs(c) ** 2, axis=0)))
    z = b @ (np.asarray(jax.nn.gelu(jnp.asarray(np.abs(w) + bias[:, None]))) * w / np.abs(w))
    gain = 1 / (1 + np.exp(-np.abs(z) - own))
    expected = np.zeros((3, 6), complex)
    expected[:, :4] = gain * np.exp(1j * (np.angle(z) + np.asarray(layer.phase))) * c
    np.testing.assert_allclose(layer(v).values, np.fft.irfft(expected, 10, norm="forward"), atol=1e-8)


@pytest.mark.parametrize("n", [(12,), (10, 8), (6, 8, 10)])
def test_nothing_grows_and_the_grid_does_not_matter(n):
    layer, v = DynamicFilter(3, 3, 2, len(n), key=KEY), field(*n)
    out = layer(v)
    assert norm(out) < norm(v)
    smooth = v.resample(tuple(4 for _ in n))
    coarse, fine = layer(smooth.resample(n)), layer(smooth.resample(tuple(2 * m for m in n)))
    np.testing.assert_allclose(
        fine.values[(slice(None),) + (slice(None, None, 2),) * len(n)], coarse.values, atol=1e-10
    )


def test_every_number_of_the_operator_learns():
    model, a = StabilisedFNO(1, 1, 2, 6, 2, 2, filter=DynamicFilter, key=KEY), field(8, 10, channels=1)
    single = lambda tree: jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_array(leaf) else leaf, tree)
    assert single(model)(a.with_values(a.values.astype(jnp.float32))).dtype == jnp.float32
    found = eqx.filter_grad(lambda m: jnp.sum(m(a).values ** 2))(model)
    for layer in found.layers:
        for leaf in (layer.spectral.gain, layer.spectral.phase, layer.spectral.mix, layer.spectral.bias):
            assert jnp.isfinite(leaf).all() and jnp.abs(leaf).max() > 0


def test_what_has_no_phases_is_refused():
    with pytest.raises(ValueError, match="phases"):
        layer = DynamicFilter(1, 1, 2, 1, key=KEY)
        layer(pj.GridField(jnp.ones((1, 9)), pj.Grid(x=pj.Cosine(9))))
    with pytest.raises(ValueError, match="every axis"):
        DynamicFilter(1, 1, (None, 2), 2, key=KEY)
