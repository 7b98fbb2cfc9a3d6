import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import LatentSpectral
from pdejax.operators import LatentSpectralModel
from pdejax.training import load_model, save_model

KEY = jax.random.key(0)
SMALL = functools.partial(LatentSpectral, patch=3, heads=2)


def test_widths_of_the_paper():
    """64, 128, 256, 512, 512 channels on the way down, 256, 128, 64, 64 on the way up."""
    model = eqx.filter_eval_shape(lambda key: LatentSpectralModel(1, 1, 64, 5, 2, key=key), KEY)
    assert [part.layers[1].weight.shape for part in model.down] == [(w, w, 3, 3) for w in (64, 128, 256, 512, 512)]
    assert [part.layers[0].weight.shape[:2] for part in model.up] == [(64, 128), (64, 256), (128, 512), (256, 1024)]
    assert model.blocks[2].latent.shape == (8, 4, 32)


def test_shifts_by_whole_patches_of_the_coarsest_scale():
    """Without the coordinates nothing but the patches knows places."""
    model = LatentSpectralModel(1, 2, 4, 2, 1, block=SMALL, key=KEY)
    model = eqx.tree_at(lambda m: m.around.outer.weight, model, replace_fn=lambda w: w.at[:, 1:].set(0))
    grid, values = pj.Grid(x=pj.Fourier(18)), jax.random.normal(KEY, (1, 18))
    apply = eqx.filter_jit(lambda v: model(pj.GridField(v, grid)).values)
    u = apply(values)
    np.testing.assert_allclose(apply(jnp.roll(values, 6, 1)), jnp.roll(u, 6, 1), atol=1e-12)
    assert float(jnp.max(jnp.abs(apply(jnp.roll(values, 3, 1)) - jnp.roll(u, 3, 1)))) > 1e-4


def test_without_blocks_is_the_same_network_with_blocks_that_add_nothing(tmp_path):
    full, plain = (LatentSpectralModel(1, 2, 4, 3, 1, block=block, key=KEY) for block in (SMALL, None))
    silent = eqx.tree_at(lambda m: m.blocks, full, replace_fn=lambda blocks: jax.tree.map(jnp.zeros_like, blocks))
    a = pj.GridField(jax.random.normal(KEY, (1, 18)), pj.Grid(x=pj.Cosine(18)))
    save_model(tmp_path / "plain.eqx", plain)
    np.testing.assert_allclose(load_model(tmp_path / "plain.eqx")(a).values, silent(a).values, atol=1e-14)
    assert float(jnp.max(jnp.abs(full(a).values - plain(a).values))) > 1e-3


def test_sizes_need_not_divide():
    model = LatentSpectralModel(1, 2, 4, 3, 2, block=SMALL, key=KEY)
    out = jax.eval_shape(model, pj.GridField(jnp.zeros((1, 11, 14)), pj.Grid(x=pj.Sine(11), y=pj.Fourier(14))))
    assert out.values.shape == (2, 11, 14)


def test_bad_input_is_told():
    model = LatentSpectralModel(1, 2, 4, 3, 1, block=SMALL, key=KEY)
    with pytest.raises(ValueError, match="write levels=2"):
        model(pj.GridField(jnp.zeros((1, 4)), pj.Grid(x=pj.Fourier(4))))
    with pytest.raises(ValueError, match="Chebyshev"):
        model(pj.GridField(jnp.zeros((1, 9)), pj.Grid(x=pj.Chebyshev(9))))
    with pytest.raises(ValueError, match="heads"):
        LatentSpectralModel(1, 2, 5, 3, 1, block=SMALL, key=KEY)
