import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.operators import FNO

KEY = jax.random.key(0)


def test_parameter_count_of_the_paper():
    model = eqx.filter_eval_shape(lambda key: FNO(1, 1, 12, 32, 4, 2, key=key), KEY)
    assert sum(leaf.size for leaf in jax.tree.leaves(model)) == 2_368_001


def test_padding_means_the_same_on_nested_grids():
    """A field cut off at the edge has an error of first order in the spacing, and no other: it halves."""
    model = FNO(1, 1, 4, 8, 2, 1, padding=0.3, key=KEY)
    apply = eqx.filter_jit(lambda m, a: m(a).values)

    def on(n):
        return apply(model, pj.GridField.from_function(lambda x: jnp.exp(x), pj.Grid(x=pj.Fourier(n, length=1.0))))

    differences = [float(jnp.max(jnp.abs(on(n) - on(2 * n)[:, ::2]))) for n in (32, 64, 128)]
    np.testing.assert_allclose(np.divide(differences[:-1], differences[1:]), 2, rtol=0.1)


def test_uniform_axes_use_the_waves_of_their_nodes():
    model = FNO(1, 1, 3, 8, 2, 2, key=KEY)
    values = jax.random.normal(KEY, (1, 9, 10))
    uniform = pj.Grid(x=pj.Uniform(9), y=pj.Uniform(10, lower=pj.Periodic(), upper=pj.Periodic()))
    waves = pj.Grid(x=pj.Cosine(9), y=pj.Fourier(10, length=1.0))
    u, v = (model(pj.GridField(values, grid)) for grid in (uniform, waves))
    np.testing.assert_array_equal(u.values, v.values)
    assert u.grid.shape == uniform.shape and isinstance(u.grid.axis("x"), pj.Uniform)


def test_padding_makes_closed_axes_wrap_around():
    model = FNO(1, 1, 3, 8, 2, 1, padding=0.25, key=KEY)
    values = jax.random.normal(KEY, (1, 9))
    u, v = (model(pj.GridField(values, pj.Grid(x=x))) for x in (pj.Uniform(9), pj.Fourier(9, length=9 / 8)))
    np.testing.assert_array_equal(u.values, v.values)
    assert isinstance(u.grid.axis("x"), pj.Uniform)


def test_centred_sine_axes_vanish_between_the_nodes():
    model = FNO(1, 1, 3, 8, 2, 1, key=KEY)
    u = model(pj.GridField.from_function(lambda x: jnp.sin(jnp.pi * x), pj.Grid(x=pj.Sine(12, centred=True))))
    np.testing.assert_allclose(u(jnp.array([[0.0], [1.0]])), 0, atol=1e-12)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="depth"):
        FNO(1, 1, 4, 8, 0, 1, key=KEY)
    with pytest.raises(ValueError, match="padding"):
        FNO(1, 1, 4, 8, 2, 1, padding=-1.0, key=KEY)
    model = FNO(1, 1, 4, 8, 2, 1, padding=0.25, key=KEY)
    with pytest.raises(ValueError, match="padding=0"):
        model(pj.GridField(jnp.zeros((1, 17)), pj.Grid(x=pj.Sine(17))))
