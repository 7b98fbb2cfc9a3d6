"""Models of periodic fields on longer domains: repeated fields, and kernels that are local."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import SpectralConv, depthwise_modes, lengthened
from pdejax.operators import ClosureOperator

KEY = jax.random.key(0)


def ring(n: int, ndim: int = 1) -> pj.Grid:
    return pj.Grid(**{name: pj.Fourier(n + 2 * i, length=n + 2 * i) for i, name in enumerate("xy"[:ndim])})


def longer(grid: pj.Grid, factor: int) -> pj.Grid:
    sizes = {name: factor * axis.n for name, axis in zip(grid.names, grid.axes, strict=True)}
    return pj.Grid(**{name: pj.Fourier(n, length=n) for name, n in sizes.items()})


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_repeated_field_is_mapped_as_before(ndim, factor):
    model, grid = ClosureOperator(1, 2, 4, 3, 2, ndim, key=KEY), ring(8, ndim)
    v = jax.random.normal(jax.random.key(1), (1, *grid.shape))
    copies = (1,) + (factor,) * ndim
    found = lengthened(model, factor)(pj.GridField(jnp.tile(v, copies), longer(grid, factor))).values
    np.testing.assert_allclose(found, jnp.tile(model(pj.GridField(v, grid)).values, copies), atol=1e-12)


def test_a_local_kernel_keeps_its_length():
    grid, wide = ring(32), ring(64)
    layer = SpectralConv(1, 1, 16, 1, key=KEY)
    k = np.arange(16)
    layer = layer.with_matrices(jnp.asarray((1 + 0.5j * k) * np.exp(-(k**2) / 16.0)).reshape(16, 1, 1), grid)
    answer = layer.on_values(jnp.zeros((1, 32)).at[0, 16].set(1.0), grid)[0]
    there = lengthened(layer, 2).on_values(jnp.zeros((1, 64)).at[0, 32].set(1.0), wide)[0]
    np.testing.assert_allclose(there[16:48], answer, atol=1e-6)
    assert jnp.abs(there[:16]).max() < 1e-6 < 1e-2 < jnp.abs(answer).max()
    stretched = SpectralConv.on_values(layer, jnp.zeros((1, 64)).at[0, 32].set(1.0), wide)[0]
    assert jnp.abs(stretched[16:48] - answer).max() > 1e-2


def test_axes_without_modes_and_channelwise_weights_stay():
    layer = SpectralConv(3, 3, (None, 2), 2, weights=depthwise_modes, key=KEY)
    wide = lengthened(layer, 2)
    assert wide.modes == (None, 4) and wide.weight.shape == (2, 3, 1, 4)


def test_what_cannot_be_lengthened_is_refused():
    with pytest.raises(ValueError, match="factor >= 1"):
        lengthened(SpectralConv(1, 1, 2, 1, key=KEY), 0)
    with pytest.raises(ValueError, match="padding"):
        lengthened(SpectralConv(1, 1, 2, 1, padding=0.5, key=KEY), 2)
