import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.operators._fno_deq import FNODEQ
from pdejax.operators._weight_tied_fno import WeightTiedFNO
from pdejax.solvers import Anderson, ImplicitAdjoint, Picard, UnrolledAdjoint

KEY = jax.random.key(0)
GRID = pj.Grid(x=pj.Sine(9), y=pj.Fourier(10))


def field(seed=0, channels=2):
    return pj.GridField(jax.random.normal(jax.random.key(seed), (channels, *GRID.shape)), GRID)


def operator(**kwargs):
    return FNODEQ(2, 3, 2, 5, 2, **{"solver": Anderson(1e-11), "max_steps": 100, "key": KEY} | kwargs)


def scaled(factor, model):
    arrays, rest = eqx.partition(model, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda x: factor * x, arrays), rest)


@pytest.mark.slow
def test_it_is_the_limit_of_the_weight_tied_operator():
    """With the bound out of reach, value and gradient of FNODEQ are those of very many applications of its block."""
    deep = WeightTiedFNO(2, 3, 2, 5, 80, 2, key=KEY)
    deep = jax.tree.map(lambda x: x / 2, deep)
    model = eqx.tree_at(lambda m: (m.around, m.layer.body.blocks), operator(bound=1e3), (deep.around, (deep.block,)))
    parts = lambda m: (m.around, m.block if isinstance(m, WeightTiedFNO) else m.layer.body.blocks[0])

    @eqx.filter_jit
    def gradient(model, a):
        loss = lambda m, a: jnp.sum(jnp.sin(m(a).values))
        return eqx.filter_value_and_grad(loss)(model, a)

    (found, slope), (wanted, unrolled) = (gradient(m, field()) for m in (model, deep))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    for g, h in zip(*(jax.tree.leaves(parts(m)) for m in (slope, unrolled)), strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-6, atol=1e-9)


def test_the_bound_holds_for_large_weights():
    @eqx.filter_jit
    def found(model, a):
        layer, w = model.bounded, model.around.lift(a)
        noise = lambda seed: w.with_values(jax.random.normal(jax.random.key(seed), w.values.shape))
        far = lambda u, v: norm(layer.body(u, w) - layer.body(v, w)) / norm(u - v)
        ratios = [far(noise(seed), s * noise(seed)) for seed in range(2) for s in (1.1, -1.0)]
        return jnp.stack(ratios), *model.solve(a)

    ratios, u, solution = found(scaled(30, operator(blocks=2, bound=0.8)), field())
    assert 0.01 < max(ratios) < 0.8**2
    assert bool(solution.ok) and float(solution.error) < 1e-11
    np.testing.assert_array_equal(u.values[:, [0, -1]], 0)


def test_each_sample_of_a_batch_tells_how_it_went():
    model = operator(solver=Picard(1e-4), max_steps=7, bound=0.5)
    values = jnp.stack([0 * field().values, *(field(seed).values * 10.0**seed for seed in range(3))])
    out = eqx.filter_jit(jax.vmap(lambda v: model.solve(pj.GridField(v, GRID))[1]))(values)
    assert out.error.shape == (4,) and len(set(out.stats["num_steps"].tolist())) > 1
    np.testing.assert_array_equal(out.ok, out.error <= 1e-4)
    one = eqx.filter_jit(lambda m, a: m.solve(a)[1])(operator(max_steps=1), field())
    assert not bool(one.ok)


@pytest.mark.slow
def test_the_gradient_of_the_weights_goes_through_the_bound():
    """Against central differences along a direction, with two adjoints."""
    large = scaled(2, operator(blocks=2))
    direction = jax.tree.map(lambda x: jax.random.normal(KEY, x.shape) if eqx.is_array(x) else x, large)

    @eqx.filter_jit
    def value(model):
        return jnp.sum(jnp.sin(model(field()).values))

    moved = lambda h: jax.tree.map(lambda x, d: x + h * d if eqx.is_array(x) else x, large, direction)
    wanted = (value(moved(1e-5)) - value(moved(-1e-5))) / 2e-5
    for adjoint in (ImplicitAdjoint(), UnrolledAdjoint()):
        model = eqx.tree_at(lambda m: m.layer.adjoint, large, adjoint)
        slope = eqx.filter_jit(eqx.filter_grad(value))(model)
        leaves = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (slope, direction))
        np.testing.assert_allclose(sum(jnp.sum(g * d) for g, d in zip(*leaves, strict=True)), wanted, rtol=1e-6)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="blocks"):
        operator(blocks=0)
    with pytest.raises(ValueError, match="bound"):
        operator(bound=0.0)
    with pytest.raises(ValueError, match="depth"):
        WeightTiedFNO(2, 3, 2, 5, 0, 2, key=KEY)
    with pytest.raises(ValueError, match="width"):
        FNODEQ(2, 3, 2, 0, 2, key=KEY)
    with pytest.raises(ValueError, match="channels"):
        operator()(field(channels=1))
