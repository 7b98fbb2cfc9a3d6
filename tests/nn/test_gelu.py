"""The unit of the operators against that of jax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax.nn import gelu


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32, jnp.bfloat16])
def test_values_and_slopes_are_those_of_jax(dtype):
    x = jnp.asarray([-jnp.inf, -1e30, -200.0, -12.0, *np.linspace(-6, 6, 101), 12.0, 200.0, 1e30], dtype)
    eps = float(jnp.finfo(dtype).eps)
    tolerance = {"rtol": 8 * eps, "atol": 128 * eps}  # 1 + tanh of jax cancels
    values, slopes = jax.jit(lambda x: jax.jvp(gelu, (x,), (jnp.ones_like(x),)))(x[1:])
    assert values.dtype == slopes.dtype == dtype
    finite = np.abs(np.asarray(x[1:], float)) < 1e20  # jax cubes these, and its slope is none
    wanted = jax.jvp(lambda x: jax.nn.gelu(x.astype(jnp.float64)), (x[1:],), (jnp.ones_like(x[1:]),))
    for found, right in zip((values, slopes), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(found, float)[finite], np.asarray(right, float)[finite], **tolerance)
    assert np.all(np.isfinite(np.asarray(values, float)))


def test_second_derivatives():
    x = jnp.linspace(-4, 4, 33)
    second = lambda f: jax.vmap(jax.grad(jax.grad(f)))(x)
    np.testing.assert_allclose(second(gelu), second(jax.nn.gelu), atol=1e-12)
    reverse = jax.vmap(jax.grad(gelu))(x)
    np.testing.assert_allclose(reverse, jax.vmap(jax.grad(jax.nn.gelu))(x), atol=1e-13)
