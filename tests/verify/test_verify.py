"""The checks themselves: right gradients pass, wrong ones fail, orders are what they are."""

import jax
import jax.numpy as jnp
import pytest

from pdejax.verify import observed_order, taylor_test


def test_observed_order_of_a_power_law():
    assert abs(observed_order(lambda n: 3.0 * n**-2.5, (10, 20, 40)) - 2.5) < 1e-12


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_taylor_test_tells_right_from_wrong(dtype):
    x = {"a": jnp.asarray([0.3, 0.7], dtype), "b": jnp.asarray(1.2, dtype), "name": "kept"}
    right = lambda x: jnp.sum(jnp.sin(x["a"])) * x["b"] ** 2
    wrong = lambda x: right({**x, "b": jax.lax.stop_gradient(x["b"])})
    assert abs(taylor_test(right, x, key=jax.random.key(0)) - 2) < 0.2
    assert taylor_test(wrong, x, key=jax.random.key(0)) < 1.5


def test_bad_input():
    with pytest.raises(ValueError, match="two sizes"):
        observed_order(lambda n: 1.0, (3,))
    with pytest.raises(ValueError, match="positive and finite"):
        observed_order(lambda n: 0.0, (3, 4))
    with pytest.raises(ValueError, match="floating-point"):
        taylor_test(lambda x: 0.0, {"a": 1}, key=jax.random.key(0))
