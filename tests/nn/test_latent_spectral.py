import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import LatentSpectral, interpolated

KEY = jax.random.key(0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def on_patch(layer, x, weights):
    """The formulas of the block for one patch `(channels, points)`, head by head and token by token."""
    heads, tokens, d = layer.latent.shape
    maps = [np.asarray(m.weight) @ x + np.asarray(m.bias)[:, None] for m in (layer.keys, layer.values, layer.queries)]
    out = np.array(x)
    for h in range(heads):
        own = slice(h * d, (h + 1) * d)
        k, v, q = (m[own].T for m in maps)
        t = np.asarray(layer.latent[h], float)
        shares = np.exp(t @ k.T) * weights
        t = t + (shares / shares.sum(-1, keepdims=True)) @ v
        series = np.asarray(layer.series)[:, own]
        change = np.zeros_like(t)
        for m in range(12):
            change += series[m] * np.cos(np.pi * m / 12 * t)
            if m:
                change += series[11 + m] * np.sin(np.pi * m / 12 * t)
        t = t + change
        out[own] += (softmax(q @ t.T) @ t).T
    return out


def test_block_is_the_formulas_of_the_paper():
    """Two axes that are no multiple of the patch, one with weights that are not uniform."""
    channels, (nx, ny) = 4, (5, 7)
    layer = LatentSpectral(channels, 3, 2, heads=2, tokens=3, key=KEY)
    layer = eqx.tree_at(lambda t: t.series, layer, replace_fn=lambda s: 20 * s)
    x = np.random.default_rng(0).normal(size=(channels, nx, ny))
    wx = np.ones(nx)
    wx[[0, -1]] = 0.5
    expected = np.zeros_like(x)
    for i in (slice(0, 3), slice(3, 5)):
        for j in (slice(0, 3), slice(3, 6), slice(6, 7)):
            part = x[:, i, j]
            weights = np.outer(wx[i], np.ones(part.shape[2])).ravel()
            expected[:, i, j] = on_patch(layer, part.reshape(channels, -1), weights).reshape(part.shape)
    grid = pj.Grid(x=pj.Cosine(nx), y=pj.Fourier(ny))
    found = eqx.filter_jit(layer)(pj.GridField(jnp.asarray(x), grid)).values
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_latent_tokens_are_the_same_on_finer_grids():
    """One patch over the whole interval: its averages are integrals, which a periodic grid takes exactly."""

    def on(n):
        x = 2 * np.pi * np.arange(n) / n
        field = pj.GridField(jnp.asarray(np.stack([np.sin(x), np.cos(2 * x)])), pj.Grid(x=pj.Fourier(n)))
        return eqx.filter_jit(LatentSpectral(2, n, 1, heads=1, key=KEY))(field).values

    np.testing.assert_allclose(on(32), on(64)[:, ::2], atol=1e-10)


def test_interpolation_is_linear():
    """Exact on linear functions, whatever the sizes; beyond the ends as the axes go on."""
    x = np.linspace(0, 1, 9)
    v = x[:, None] * np.arange(6)[None] + 1
    grid = pj.Grid(x=pj.Cosine(9), y=pj.Fourier(6))
    found = interpolated(jnp.asarray(v[None, ::2, ::2]), grid, (9, 6))[0]
    np.testing.assert_allclose(found[:, :5], v[:, :5], atol=1e-14)
    np.testing.assert_allclose(found[:, 5], (v[:, 4] + v[:, 0]) / 2, atol=1e-14)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="write heads=2"):
        LatentSpectral(6, 3, 1, heads=4, key=KEY)
    layer = LatentSpectral(4, 3, 2, heads=2, key=KEY)
    with pytest.raises(ValueError, match="write ndim=1"):
        layer(pj.GridField(jnp.zeros((4, 8)), pj.Grid(x=pj.Fourier(8))))
    with pytest.raises(ValueError, match="write in_channels=3"):
        layer(pj.GridField(jnp.zeros((3, 8, 8)), pj.Grid(x=pj.Fourier(8), y=pj.Fourier(8))))
