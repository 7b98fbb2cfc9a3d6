"""Initial states to histories, and fields pinned at a node."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.data import Dataset, unlabelled
from pdejax.equations import FisherKPP
from pdejax.nn import InSpaceTime, Pinned, Pointwise, SeriesInTime
from pdejax.objectives import SpectralResidual, relative_l2
from pdejax.operators import FNO
from pdejax.training import fit

GRID = pj.Grid(x=pj.Fourier(8))
TIMES = [pj.Uniform(11, 2.0, 0.5), pj.Chebyshev(9, 2.0, 0.5)]


class Given(eqx.Module):
    """A model that answers the same whatever it is asked."""

    values: jax.Array

    def __call__(self, a):
        return a.with_values(self.values)


@pytest.mark.parametrize("time", TIMES, ids=lambda axis: type(axis).__name__)
def test_histories_begin_with_the_initial_state(time):
    a = pj.GridField(jax.random.normal(jax.random.key(0), (2, 8)), GRID)
    u = InSpaceTime(FNO(2, 2, (2, 2), 4, 1, 2, key=jax.random.key(1)), time)(a)
    assert u.names == ("t", "x") and u.values.shape == (2, time.n, 8)
    np.testing.assert_array_equal(u.values[:, 0], a.values)
    series = SeriesInTime(FNO(2, 6, 2, 4, 1, 1, key=jax.random.key(1)), time, 3)(a)
    np.testing.assert_allclose(series.values[:, 0], a.values, atol=1e-12)


@pytest.mark.parametrize("time", TIMES, ids=lambda axis: type(axis).__name__)
def test_values_in_between(time):
    """`a + s n`, and `a + c_1 (T_1 + 1) + c_2 (T_2 - 1)`."""
    a = pj.GridField(jnp.ones((1, 8)), GRID)
    s = (time.points - 0.5) / 2.0
    u = InSpaceTime(Given(3.0 * jnp.ones((1, time.n, 8))), time)(a)
    np.testing.assert_allclose(u.values[0, :, 3], 1 + 3 * s, atol=1e-12)
    c = jnp.stack([jnp.full(8, 0.5), jnp.full(8, -0.25)])
    x = 2 * s - 1
    expected = 1 + 0.5 * (x + 1) - 0.25 * (2 * x**2 - 2)
    np.testing.assert_allclose(SeriesInTime(Given(c), time, 2)(a).values[0, :, 5], expected, atol=1e-12)
    with pytest.raises(ValueError, match="3"):
        SeriesInTime(Given(c), time, 3)(a)


def test_a_history_is_learnt_from_the_residual_alone():
    """Logistic growth from one state: the series finds `1 / (1 + (1 / u0 - 1) exp(-t))` without a label."""
    import optax

    time, grid = pj.Chebyshev(9, 1.0, 0.0), pj.Grid(x=pj.Fourier(2))
    data = Dataset(np.full((1, 1, 2), 0.25), np.zeros((1, 1, 2)), grid)
    model = SeriesInTime(Pointwise(1, 5, key=jax.random.key(0)), time, 5)
    loss = SpectralResidual(FisherKPP(1e-3, 1.0))
    settings = {"loss": loss, "optimizer": optax.adam(0.02), "steps": 600, "batch_size": 1, "key": jax.random.key(1)}
    result = fit(model, unlabelled(data), **settings)
    exact = pj.GridField.from_function(lambda t, x: 1 / (1 + 3 * jnp.exp(-t)), pj.Grid(t=time, x=grid.axes[0]))
    assert float(relative_l2(result.model(pj.GridField(jnp.full((1, 2), 0.25), grid)), exact)) < 1e-3


def test_a_pinned_model_is_zero_at_the_first_node():
    a = pj.GridField(jax.random.normal(jax.random.key(0), (2, 8)), GRID)
    u = Pinned(lambda v: 2.0 * v)(a)
    np.testing.assert_allclose(u.values, 2 * (a.values - a.values[:, :1]), atol=1e-12)
