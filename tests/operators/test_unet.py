"""Convolutional baselines: any size, kernels on nodes or on distances, what a node hears."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import ScaledConvolution
from pdejax.operators import DilatedResNet, UNet

KEY = jax.random.key(0)


@pytest.mark.parametrize(("kind", "shape"), [(pj.Fourier, (5, 8)), (pj.Cosine, (8, 7))])
def test_any_number_of_nodes(kind, shape):
    model = UNet(1, 2, 2, 2, 2, key=KEY)
    grid = pj.Grid(x=kind(shape[0]), y=pj.Cosine(shape[1], centred=True))
    u = eqx.filter_jit(model)(pj.GridField(jax.random.normal(KEY, (1, *shape)), grid))
    assert u.grid == grid and u.channels == 2 and bool(jnp.all(jnp.isfinite(u.values)))


def errors(model, sizes):
    """Largest relative differences at the nodes shared with the next finer grid."""
    field = lambda n: pj.GridField.from_function(lambda x: jnp.exp(jnp.sin(x)), pj.Grid(x=pj.Fourier(n)))
    outputs = [np.asarray(eqx.filter_jit(model)(field(n)).values) for n in sizes]
    return [np.max(np.abs(a - b[:, ::2])) / np.max(np.abs(b)) for a, b in itertools.pairwise(outputs)]


@pytest.mark.slow
def test_refine():
    """With scaled kernels two levels converge with second order, with kernels on nodes not at all."""
    sizes = (64, 128, 256)
    conv = [functools.partial(ScaledConvolution, spacing=2**level / 32) for level in range(2)]
    scaled = errors(UNet(1, 1, 3, 2, 1, conv=conv, key=KEY), sizes)
    fixed = errors(UNet(1, 1, 3, 2, 1, key=KEY), sizes)
    assert scaled[1] < 0.35 * scaled[0] and scaled[1] < 0.1 and fixed[1] > 4 * scaled[1]


def test_unet_errors():
    with pytest.raises(ValueError, match="one per level"):
        UNet(1, 1, 3, 2, 1, conv=[ScaledConvolution], key=KEY)
    with pytest.raises(ValueError, match="more than 4 nodes"):
        UNet(1, 1, 3, 3, 1, key=KEY)(pj.GridField(jnp.ones((1, 4)), pj.Grid(x=pj.Fourier(4))))


def test_reach_of_a_dilated_block():
    """Dilations 1, 2, 1 of size 3 hear four nodes to each side and no further."""
    model = DilatedResNet(1, 1, 4, 1, 1, dilations=(1, 2, 1), key=KEY)
    grid = pj.Grid(x=pj.Fourier(17))
    output = jax.jit(jax.grad(lambda v: model(pj.GridField(v[None], grid)).values[0, 8]))
    found = np.abs(output(jax.random.normal(KEY, (17,)))) > 0
    np.testing.assert_array_equal(found, np.abs(np.arange(17) - 8) <= 4)
