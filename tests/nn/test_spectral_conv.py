from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import CPModes, SpectralConv, TuckerModes, depthwise_modes

KEY = jax.random.key(0)
F, S, C, T = pj.Fourier, pj.Sine, pj.Cosine, pj.Chebyshev
MIXES = [(F,), (S,), (T,), (F, F), (S, C), (F, S), (F, F, F), (F, S, F), (F, F, T)]


def grid_of(kinds, sizes):
    return pj.Grid(**{name: kind(n) for name, kind, n in zip("xyz", kinds, sizes, strict=False)})


def random_field(grid, channels, seed=0):
    return pj.GridField(jnp.asarray(np.random.default_rng(seed).normal(size=(channels, *grid.shape))), grid)


def low_field(grid, channels, modes, seed=0):
    """A field of the basis functions that a layer with `modes` keeps (and the grid resolves well)."""
    rng, out = np.random.default_rng(seed), np.zeros((channels, *grid.shape))
    for c in range(channels):
        for _ in range(4):
            term = np.ones(())
            for axis, m in zip(grid.axes, modes, strict=True):
                k, s = rng.integers(1, m), (axis.points - axis.start) / axis.length
                phase = rng.uniform(0, 6)
                wave = {F: np.cos(2 * np.pi * k * s + phase), S: np.sin(np.pi * k * s), C: np.cos(np.pi * k * s)}
                term = np.multiply.outer(term, wave.get(type(axis), np.cos(k * np.arccos(np.clip(2 * s - 1, -1, 1)))))
            out[c] += rng.normal() * term
    return pj.GridField(jnp.asarray(out), grid)


@pytest.mark.parametrize("kinds", MIXES)
def test_same_answer_on_nested_grids(kinds):
    modes = (2, 3, 4)[: len(kinds)]
    layer = SpectralConv(2, 5, modes, len(kinds), key=KEY)
    coarse = grid_of(kinds, (9, 10, 12))
    apply = eqx.filter_jit(lambda layer, v: layer(v))
    v, w = (apply(layer, low_field(grid, 2, modes)) for grid in (coarse, coarse.refined()))
    assert v.values.shape == (5, *coarse.shape)
    every_second = (slice(None), *(slice(None, None, 2),) * len(kinds))
    np.testing.assert_allclose(v.values, w.values[every_second], atol=1e-12)


@pytest.mark.parametrize("kinds", MIXES)
def test_every_weight_is_used(kinds):
    """All entries but two sets that multiply nothing: the sine of wave number 0, the imaginary part of the mean."""
    modes = (3, 2, 2)[: len(kinds)]
    layer = SpectralConv(2, 3, modes, len(kinds), key=KEY)
    v = random_field(grid_of(kinds, (9, 8, 7)), 2)
    gradient = jax.jit(jax.grad(lambda layer, v: jnp.sum(jnp.sin(layer(v).values))))(layer, v).weight
    used = np.prod([1 - 1 / (2 * m) for kind, m in zip(kinds, modes, strict=True) if kind is S])
    if F in kinds:
        used *= 1 - 1 / np.prod([2 * m for kind, m in zip(kinds, modes, strict=True) if kind is F])
    assert np.mean(np.abs(gradient) > 1e-12) == pytest.approx(used)


def test_fourier_layer_is_the_convolution_of_the_paper():
    n, m = (10, 12), (3, 4)
    layer = SpectralConv(2, 3, m, 2, key=KEY)
    grid = pj.Grid(x=F(n[0]), y=F(n[1]))
    v = random_field(grid, 2)
    c = np.fft.rfft2(np.asarray(v.values), norm="forward")
    rows = np.r_[0 : m[0], -m[0] : 0]
    re, im = np.asarray(layer.weight)
    weight = re + 1j * im
    waves = [
        np.exp(2j * np.pi * np.outer(np.arange(size) / size, k))
        for size, k in zip(n, (rows, np.arange(m[1])), strict=True)
    ]
    mixed = np.einsum("oikl,ikl->okl", weight, c[:, rows, : m[1]]) * np.where(np.arange(m[1]) == 0, 1, 2)
    expected = np.einsum("okl,xk,yl->oxy", mixed, *waves).real
    np.testing.assert_allclose(layer(v).values, expected, atol=1e-12)


def test_sine_layer_scales_coefficients_and_vanishes_at_the_ends():
    layer = SpectralConv(1, 1, 3, 1, key=KEY)
    v = pj.GridField.from_function(lambda x: jnp.sin(2 * jnp.pi * x), pj.Grid(x=S(9)))
    out = layer(v)
    # Wave number 2 is entry (real part of mode 1): interleaved pairs.
    np.testing.assert_allclose(out.values, float(layer.weight[0, 0, 0, 1]) * v.values, atol=1e-14)
    assert np.all(np.asarray(out.values)[:, [0, -1]] == 0)


def test_padding_is_zero_continuation_over_a_fraction_of_the_domain():
    layer = SpectralConv(2, 2, 3, 1, padding=0.5, key=KEY)
    plain = eqx.tree_at(lambda t: t.weight, SpectralConv(2, 2, 3, 1, key=KEY), layer.weight)
    v = random_field(pj.Grid(x=F(8, length=2.0)), 2)
    longer = pj.GridField(jnp.pad(v.values, ((0, 0), (0, 4))), pj.Grid(x=F(12, length=3.0)))
    np.testing.assert_allclose(layer(v).values, plain(longer).values[:, :8], atol=1e-13)


@pytest.mark.parametrize("n", (8, 9))
def test_smallest_grid_and_the_nyquist_row(n):
    layer = SpectralConv(2, 2, 4, 2, key=KEY)
    grid = pj.Grid(x=F(n), y=F(n))
    v = random_field(grid, 2)
    apply = eqx.filter_jit(lambda layer, v: layer(v).values)
    fine = apply(layer, eqx.filter_jit(lambda v: v.resample(grid.refined()))(v))
    np.testing.assert_allclose(apply(layer, v), fine[:, ::2, ::2], atol=1e-12)


def test_bad_input_is_told():
    layer = SpectralConv(2, 2, 4, 2, key=KEY)
    with pytest.raises(ValueError, match="write modes=3 or less"):
        layer(random_field(pj.Grid(x=F(8), y=F(7)), 2))
    with pytest.raises(ValueError, match="needs 9 nodes on the Sine axis 'y' and got n=8"):
        layer(random_field(pj.Grid(x=F(8), y=S(8)), 2))
    with pytest.raises(ValueError, match="write in_channels=3"):
        layer(random_field(pj.Grid(x=F(8), y=F(8)), 3))
    with pytest.raises(ValueError, match="write ndim=1"):
        layer(random_field(pj.Grid(x=F(8)), 2))
    with pytest.raises(ValueError, match="Uniform"):
        layer(random_field(pj.Grid(x=F(8), y=pj.Uniform(9)), 2))
    with pytest.raises(ValueError, match="padding=0"):
        SpectralConv(2, 2, 2, 1, padding=0.2, key=KEY)(random_field(pj.Grid(x=C(9)), 2))
    with pytest.raises(ValueError, match="modes"):
        SpectralConv(2, 2, (4, 4, 4), 2, key=KEY)
    with pytest.raises(ValueError, match="padding"):
        SpectralConv(2, 2, 4, 2, padding=-0.1, key=KEY)


def test_many_modes_take_the_fast_transform_and_mean_the_same(monkeypatch):
    """The two ways to the coefficients, on an even axis at its Nyquist mode, an odd one and one with spare nodes."""
    for grid, modes in ((pj.Grid(x=F(8), y=F(10)), (4, 4)), (pj.Grid(x=F(9), y=F(7)), (4, 3)), (pj.Grid(x=F(8)), 3)):
        layer = SpectralConv(2, 3, modes, len(grid.axes), key=KEY)
        v = random_field(grid, 2)
        products = layer(v).values
        monkeypatch.setattr("pdejax.nn._truncated_transform._FEW", 1)
        np.testing.assert_allclose(layer(v).values, products, atol=1e-13)
        monkeypatch.undo()


def test_axes_left_out_are_treated_point_by_point():
    """The layer along one axis is the layer of that axis alone on every line."""
    layer = SpectralConv(2, 3, (None, 3), 2, key=KEY)
    line = eqx.tree_at(lambda t: t.weight, SpectralConv(2, 3, 3, 1, key=KEY), layer.weight)
    v = random_field(pj.Grid(x=pj.Uniform(5), y=F(8)), 2)
    expected = jnp.stack([line.on_values(v.values[:, i], pj.Grid(y=F(8))) for i in range(5)], axis=1)
    np.testing.assert_allclose(layer(v).values, expected, atol=1e-14)
    middle = SpectralConv(2, 3, (3, None, 2), 3, key=KEY)
    assert middle(random_field(grid_of((F, F, S), (6, 4, 7)), 2)).values.shape == (3, 6, 4, 7)


@pytest.mark.parametrize("kinds", [(F,), (F, F), (S, F), (T,)])
def test_output_on_another_grid_is_the_output_resampled(kinds):
    layer = SpectralConv(2, 3, 2, len(kinds), key=KEY)
    v, fine = random_field(grid_of(kinds, (7, 8)), 2), grid_of(kinds, (13, 12))
    np.testing.assert_allclose(layer(v, fine).values, layer(v).resample(fine).values, atol=1e-12)


def test_depthwise_weights_keep_channels_apart():
    layer = SpectralConv(3, 3, (2, 3), 2, weights=depthwise_modes, key=KEY)
    v = random_field(grid_of((F, F), (6, 8)), 3)
    full = jnp.zeros((2, 3, 3, 4, 3)).at[:, np.arange(3), np.arange(3)].set(layer.weight[:, :, 0])
    dense = eqx.tree_at(lambda t: t.weight, SpectralConv(3, 3, (2, 3), 2, key=KEY), full)
    np.testing.assert_allclose(layer(v).values, dense(v).values, atol=1e-14)
    real = random_field(grid_of((S, T), (6, 8)), 3)
    np.testing.assert_allclose(layer(real).values, dense(real).values, atol=1e-14)
    with pytest.raises(ValueError, match="out_channels=3"):
        SpectralConv(3, 2, 2, 1, weights=depthwise_modes, key=KEY)


@pytest.mark.parametrize("weights", (partial(TuckerModes, rank=0.2), partial(CPModes, rank=3)))
def test_low_rank_weights_are_products_of_factors(weights):
    made = weights(4, 5, (6, 3), key=KEY)
    full = np.asarray(made())
    assert full.shape == (2, 5, 4, 6, 3)
    size = sum(leaf.size for leaf in jax.tree.leaves(made))
    assert size < full.size / 3
    if isinstance(made, TuckerModes):
        np.testing.assert_allclose(full, np.einsum("zabcd,oa,ib,kc,ld->zoikl", made.core, *made.factors), atol=1e-12)
    else:
        np.testing.assert_allclose(full, np.einsum("zor,ir,kr,lr->zoikl", made.outputs, *made.factors), atol=1e-12)
    v = random_field(grid_of((F, F), (6, 8)), 4)
    layer = SpectralConv(4, 5, 3, 2, weights=weights, key=KEY)
    dense = eqx.tree_at(lambda t: t.weight, SpectralConv(4, 5, 3, 2, key=KEY), layer.weight())
    np.testing.assert_allclose(layer(v).values, dense(v).values, atol=1e-13)


def test_half_precision_is_transformed_in_single():
    layer = SpectralConv(2, 3, 3, 1, key=KEY)
    v = random_field(grid_of((F,), (64,)), 2)
    half = v.with_values(v.values.astype(jnp.bfloat16))
    wide = half.with_values(half.values.astype(jnp.float32))
    assert layer(half).dtype == jnp.bfloat16
    np.testing.assert_array_equal(layer(half).values, layer(wide).values.astype(jnp.bfloat16))
