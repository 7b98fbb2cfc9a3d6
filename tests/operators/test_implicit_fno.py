import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.operators._implicit_fno import ImplicitFNO

KEY = jax.random.key(0)
GRID = pj.Grid(x=pj.Fourier(10), y=pj.Sine(9))


def operator(depth):
    return ImplicitFNO(2, 3, 2, 5, depth, 2, key=KEY)


def field():
    return pj.GridField(jax.random.normal(KEY, (2, *GRID.shape)), GRID)


def test_one_step_is_one_residual_layer():
    model, a = operator(1), field()
    v = model.around.lift(a)
    v = v + v.with_values(jax.nn.gelu((model.spectral(v) + model.local(v)).values))
    u = model(a)
    np.testing.assert_allclose(u.values, model.around.project(v, a).values, rtol=1e-12)
    np.testing.assert_array_equal(u.values[:, :, [0, -1]], 0)


def test_depth_refines_the_step_and_keeps_the_weights():
    """Deeper operators with the weights of a shallow one tend to the flow of the increment, at first order."""
    shallow = jax.tree.map(lambda x: x + 0.01, operator(4))
    out = []
    for depth in (16, 32, 64, 128):
        deep = jax.tree.unflatten(jax.tree.structure(operator(depth)), jax.tree.leaves(shallow))
        out.append(jax.jit(lambda m, a: m(a).values)(deep, field()))
    differences = [float(jnp.max(jnp.abs(a - b))) for a, b in zip(out, out[1:], strict=False)]
    np.testing.assert_allclose(np.divide(differences[:-1], differences[1:]), 2, rtol=0.1)


def test_bad_depths_are_told():
    with pytest.raises(ValueError, match="depth"):
        operator(0)
