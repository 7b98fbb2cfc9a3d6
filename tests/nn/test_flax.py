"""Flax modules on fields: their own numbers, their gradients, and a place in everything that takes an operator."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import pdejax as pj
from pdejax.data import Dataset
from pdejax.nn import FixedPoint, FromLinen, FromNNX, trainable
from pdejax.objectives import relative_l2
from pdejax.solvers import ImplicitAdjoint, Picard
from pdejax.training import Checkpoints, fit, load_model, save_model

KEY = jax.random.key(5)
GRID = pj.Grid(x=pj.Fourier(6), y=pj.Cosine(5))


class Linen(linen.Module):
    widths: tuple = (4, 2)
    act: object = jax.nn.gelu

    @linen.compact
    def __call__(self, v):
        v = linen.GroupNorm(num_groups=2)(linen.Conv(self.widths[0], (3, 3))(v))
        return linen.Dense(self.widths[1])(self.act(v))


class NNX(nnx.Module):
    def __init__(self, in_channels, widths=(4, 2), *, rngs):
        layers = [
            nnx.Conv(in_channels, widths[0], (3, 3), rngs=rngs),
            nnx.GroupNorm(widths[0], num_groups=2, rngs=rngs),
        ]
        self.layers = nnx.List(layers)
        self.out = nnx.Linear(widths[0], widths[1], rngs=rngs)

    def __call__(self, v):
        for layer in self.layers:
            v = layer(v)
        return self.out(jax.nn.gelu(v))


MAKE = {
    "linen": lambda channels: FromLinen(Linen([4, 2]), channels, GRID.shape, key=KEY),
    "nnx": lambda channels: FromNNX(functools.partial(NNX, channels, widths=[4, 2]), key=KEY),
}


def field(channels, seed=0, dtype=jnp.float32, grid=GRID):
    return pj.GridField(jax.random.normal(jax.random.key(seed), (channels, *grid.shape), dtype), grid)


def direct(model, values):
    """Flax itself on a batch `(batch, channels, *n)`."""
    v = jnp.moveaxis(values, 1, -1)
    if isinstance(model, FromLinen):
        out = Linen().apply({"params": model.parameters}, v)
    else:
        module = NNX(values.shape[1], rngs=nnx.Rngs(KEY))
        nnx.update(module, nnx.State(jax.tree.map(nnx.Param, model.parameters)))
        out = module(v)
    return jnp.moveaxis(out, -1, 1)


@pytest.mark.parametrize("kind", MAKE)
def test_numbers_are_those_of_flax_and_every_parameter_gets_a_gradient(kind):
    model, compiled = MAKE[kind](3), 0

    @eqx.filter_jit
    def gradient(model, values):
        nonlocal compiled
        compiled += 1
        parameters, static = eqx.partition(model, trainable(model))

        def loss(parameters):
            out = jax.vmap(lambda v: eqx.combine(parameters, static)(pj.GridField(v, GRID)).values)(values)
            return jnp.sum(jnp.sin(out)), out

        return jax.grad(loss, has_aux=True)(parameters)

    values = jnp.stack([field(3, seed).values for seed in range(2)])
    found, out = gradient(model, values)
    np.testing.assert_allclose(out, direct(model, values), rtol=1e-5, atol=1e-6)
    assert len(jax.tree.leaves(found)) == len(jax.tree.leaves(eqx.filter(model, eqx.is_array))) == 6
    assert all(float(jnp.max(jnp.abs(leaf))) > 0 for leaf in jax.tree.leaves(found))
    gradient(MAKE[kind](3), values + 1)
    assert compiled == 1


@pytest.mark.parametrize("kind", MAKE)
def test_a_field_keeps_its_dtype(kind):
    model = MAKE[kind](3)
    for dtype in (jnp.bfloat16, jnp.float64):
        assert eqx.filter_eval_shape(model, field(3, dtype=dtype)).values.dtype == dtype


@pytest.mark.parametrize("kind", MAKE)
def test_the_ends_of_sine_axes_are_zero(kind):
    grid = pj.Grid(x=pj.Sine(6), y=pj.Fourier(4))
    out = MAKE[kind](3)(field(3, grid=grid)).values
    assert np.all(out[:, (0, -1)] == 0) and float(jnp.min(jnp.abs(out[:, 1:-1]))) > 0


@pytest.mark.parametrize("kind", MAKE)
def test_training_checkpoints_and_a_file(kind, tmp_path):
    values = np.asarray(jax.vmap(lambda k: jax.random.normal(k, (5, *GRID.shape)))(jax.random.split(KEY, 4)))
    data = Dataset(values[:, :3].astype(np.float32), values[:, 3:].astype(np.float32), GRID)
    model, settings = MAKE[kind](3), {"loss": relative_l2, "optimizer": optax.adam(1e-2), "batch_size": 4, "ema": 0.9}
    result = fit(model, data, steps=2, key=KEY, **settings)
    moved = [bool(jnp.any(a != b)) for a, b in zip(*map(jax.tree.leaves, (model, result.model)), strict=True)]
    assert all(moved)
    for steps in (1, 2):
        resumed = fit(model, data, steps=steps, key=KEY, checkpoints=Checkpoints(tmp_path / "saved"), **settings)
    assert eqx.tree_equal(resumed.model, result.model)
    save_model(tmp_path / "model.eqx", result.model)
    assert eqx.tree_equal(load_model(tmp_path / "model.eqx"), result.model)


@pytest.mark.parametrize("kind", MAKE)
def test_the_body_of_an_implicit_layer(kind):
    """The derivative through the fixed point of `z = F(z, x)`, against central differences."""
    body = jax.tree.map(lambda leaf: 0.3 * leaf.astype(jnp.float64), MAKE[kind](5))
    x, z0 = field(3, dtype=jnp.float64), field(2, dtype=jnp.float64)

    @jax.jit
    def loss(scale, shift):
        changed = jax.tree.map(lambda leaf: scale * leaf, body)
        layer = FixedPoint(changed, Picard(1e-13), ImplicitAdjoint(), max_steps=200)
        solution = layer.solve(x.with_values(x.values + shift), z0.with_values(0 * z0.values))
        return jnp.sum(solution.value.values**2), solution.error

    value = lambda *at: float(loss(*map(jnp.float64, at))[0])
    assert float(loss(jnp.float64(1), jnp.float64(0))[1]) < 1e-12
    exact = jax.grad(lambda *at: loss(*at)[0], argnums=(0, 1))(jnp.float64(1), jnp.float64(0))
    h = 1e-5
    differences = [(value(1 + h, 0) - value(1 - h, 0)) / (2 * h), (value(1, h) - value(1, -h)) / (2 * h)]
    np.testing.assert_allclose(exact, differences, rtol=1e-6)


class Stateful(nnx.Module):
    def __init__(self, *, rngs):
        self.norm = nnx.BatchNorm(3, rngs=rngs)


class Shrinking(nnx.Module):
    def __init__(self, *, rngs):
        self.conv = nnx.Conv(3, 1, (3, 3), padding="VALID", rngs=rngs)

    def __call__(self, v):
        return self.conv(v)


class Dropping(linen.Module):
    @linen.compact
    def __call__(self, v):
        return linen.Dropout(0.5, deterministic=False)(v)


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"norm\.mean.*GroupNorm"):
        FromNNX(Stateful, key=KEY)
    with pytest.raises(ValueError, match="batch_stats.*GroupNorm"):
        FromLinen(linen.BatchNorm(use_running_average=False), 3, (4,), key=KEY)
    with pytest.raises(ValueError, match="Dropping.*dropout"):
        FromLinen(Dropping(), 3, (4,), key=KEY)
    with pytest.raises(ValueError, match=r"\(1, 4, 3, 1\).*SAME"):
        FromNNX(Shrinking, key=KEY)(field(3))
    with pytest.raises(TypeError, match=r"functools\.partial"):
        FromNNX(lambda rngs: Shrinking(rngs=rngs), key=KEY)
    with pytest.raises(ValueError, match="channels"):
        MAKE["linen"](3)(field(2))
    with pytest.raises(ValueError, match="ndim"):
        MAKE["linen"](3)(field(3, grid=pj.Grid(x=pj.Fourier(6))))
