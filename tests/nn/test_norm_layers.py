"""Normalisation by integrals: what NumPy says, the same on every grid, finite and exact in half precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import InstanceNorm, LayerNorm


def field(kind, n, dtype=jnp.float64):
    grid = pj.Grid(x=kind(n, length=2.0, start=-1.0), y=pj.Fourier(n + 3))
    x, y = grid.mesh()
    waves = np.stack([1.5 + np.cos(np.pi * x) * np.cos(y), np.cos(np.pi * (x + 1) / 2) * np.sin(2 * y), 0 * x + 4.0])
    return pj.GridField(jnp.asarray(waves, dtype), grid)


@pytest.mark.parametrize("kind", [pj.Fourier, pj.Cosine, pj.Chebyshev])
def test_instance_norm_is_an_integral(kind):
    """The channels of `field` have means 3/2, 0, 4 and variances 1/4, 1/4, 0 on `[-1, 1] x [0, 2 pi]`."""
    norm = eqx.tree_at(lambda m: (m.scale, m.shift), InstanceNorm(3), (jnp.array([1.0, 2, 3]), jnp.array([0.0, 1, -1])))
    u = field(kind, 24)
    v = u.values
    sigma = np.sqrt(0.25 + 1e-5)
    wanted = np.stack([(v[0] - 1.5) / sigma, 2 * v[1] / sigma + 1, np.full(u.grid.shape, -1.0)])
    if kind is pj.Fourier:  # half a wave is no function of this axis: its statistics are those of the samples
        wanted[1] = 2 * (v[1] - v[1].mean()) / np.sqrt(v[1].var() + 1e-5) + 1
    np.testing.assert_allclose(norm(u).values, wanted, rtol=0, atol=1e-10)


def test_layer_norm_is_the_mean_over_channels():
    u = field(pj.Chebyshev, 5)
    v = np.asarray(u.values)
    wanted = (v - v.mean(0)) / np.sqrt(v.var(0) + 1e-5)
    np.testing.assert_allclose(LayerNorm(3)(u).values, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", [InstanceNorm, LayerNorm])
def test_half_precision_is_summed_in_single(norm):
    """A large constant and a wave: sums in bfloat16 would stop growing at 256 terms."""
    u = field(pj.Fourier, 33, jnp.bfloat16)
    exact = norm(3)(u.with_values(u.values.astype(jnp.float32))).values
    half = norm(3)(u).values
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), exact, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("norm", [InstanceNorm, LayerNorm])
def test_wrong_channels_and_gradients(norm):
    u = field(pj.Cosine, 6)
    with pytest.raises(ValueError, match="channels"):
        norm(2)(u)
    found = jax.grad(lambda m: jnp.sum(jnp.sin(m(u).values)))(norm(3))
    assert all(float(jnp.max(jnp.abs(leaf))) > 0 for leaf in jax.tree.leaves(found))
