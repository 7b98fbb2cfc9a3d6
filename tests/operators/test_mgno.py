"""The multigrid neural operator: published size, one resolution at which it holds its meaning, small grids."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import AtResolution
from pdejax.operators import MgNO

KEY = jax.random.key(0)


def test_parameter_count_of_the_paper():
    """24 channels, 4 layers, 6 levels: 572,661 with one channel in and out."""
    make = lambda: MgNO(1, 1, 24, 4, 6, 2, sweeps=(1, 1, 1, 1, 1, 2), key=KEY)
    leaves = jax.tree.leaves(eqx.filter_eval_shape(make))
    assert sum(np.prod(leaf.shape) for leaf in leaves) == 572_661


def test_one_layer_written_out():
    """One level: the cycle is its start, `u = Q gelu(S a + B a + b)`, on a line whose ends are zero."""
    model = MgNO(2, 3, 4, 1, 1, 1, key=KEY)
    a = np.random.default_rng(0).normal(size=(2, 9))
    s, q = np.asarray(model.cycles[0].before[0][0].smoother.weight), np.asarray(model.head.weight)[..., 0]
    padded = np.pad(a, ((0, 0), (1, 1)))
    w = sum(s[..., k] @ padded[:, k : k + 9] for k in range(3))
    w[:, [0, -1]] = 0.0
    w = w + np.asarray(model.local[0].weight) @ a + np.asarray(model.local[0].bias)[:, None]
    wanted = q @ np.asarray(jax.nn.gelu(jnp.asarray(w)))
    wanted[:, [0, -1]] = 0.0
    found = eqx.filter_jit(model)(pj.GridField(jnp.asarray(a), pj.Grid(x=pj.Sine(9)))).values
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)


def test_at_its_own_resolution_grids_do_not_matter():
    """On twice the nodes the kernels reach half as far; resampled the model is the same to rounding."""
    model = MgNO(1, 1, 4, 1, 2, 1, key=KEY)
    a = lambda n: pj.GridField.from_function(lambda x: jnp.sin(x) + jnp.cos(3 * x), pj.Grid(x=pj.Fourier(n)))
    apply = eqx.filter_jit(lambda m, a: m(a).values)
    coarse, fine = apply(model, a(16)), apply(model, a(32))[:, ::2]
    assert float(jnp.max(jnp.abs(fine - coarse))) > 0.05 * float(jnp.max(jnp.abs(coarse)))
    fixed = apply(AtResolution(model, (16,)), a(32))[:, ::2]
    np.testing.assert_allclose(fixed, coarse, rtol=0, atol=1e-13)


def test_errors():
    a = pj.GridField(jnp.ones((1, 4)), pj.Grid(x=pj.Fourier(4)))
    with pytest.raises(ValueError, match="more than 4 nodes"):
        MgNO(1, 1, 2, 1, 3, 1, key=KEY)(a)
    with pytest.raises(ValueError, match="Chebyshev"):
        MgNO(1, 1, 2, 1, 1, 1, key=KEY)(a.with_values(a.values).resample(pj.Grid(x=pj.Chebyshev(5, 1.0, 0.0))))
