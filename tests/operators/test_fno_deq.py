import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.nn import ContractiveBlock, hidden_grid
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
def test_it_is_the_limit_of_many_applications():
    """Value and gradient are those of the block applied very often, without an implicit layer."""

    def deep(model, a):
        w = model.around.lift(a)
        step = lambda v, _: (model.layer.body(v, w), None)
        v, _ = jax.lax.scan(step, w.with_values(0 * w.values), length=150)
        return model.around.project(v, a)

    @eqx.filter_jit
    def gradient(apply, model, a):
        loss = lambda m, a: jnp.sum(jnp.sin(apply(m, a).values))
        return eqx.filter_value_and_grad(loss)(model, a)

    model = operator(bound=0.8)
    (found, slope), (wanted, unrolled) = (gradient(f, model, field()) for f in (FNODEQ.__call__, deep))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    for g, h in zip(*map(jax.tree.leaves, (slope, unrolled)), strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "grid", [GRID, pj.Grid(x=pj.Fourier(10), y=pj.Fourier(12)), pj.Grid(x=pj.Sine(9), y=pj.Sine(11))]
)
def test_the_linear_part_of_a_block_has_the_norm_of_its_largest_mode(grid):
    """Against the singular values of the whole operator, as a matrix: each mode as large as its bound lets it be."""
    block = scaled(20, ContractiveBlock(2, 2, 2, bound=0.9, key=KEY)).bounded(hidden_grid(grid))
    zero = pj.GridField(jnp.zeros((2, *grid.shape)), hidden_grid(grid))
    flat = lambda z: (block.spectral(z) + block.local(z)).values.ravel() - block.local(0 * z).values.ravel()
    matrix = jax.jacobian(lambda x: flat(zero.with_values(x.reshape(zero.values.shape))))(zero.values.ravel())
    root = np.sqrt(np.tile(np.broadcast_to(zero.grid.weights(), grid.shape).ravel(), 2))
    sizes = np.linalg.svd(root[:, None] * np.asarray(matrix) / root, compute_uv=False)
    assert 0.88 < sizes[0] <= 0.9 + 1e-12


def test_the_bound_holds_for_large_weights():
    @eqx.filter_jit
    def found(model, a):
        w = model.around.lift(a)
        layer = model.bounded(w.grid)
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
    with pytest.raises(ValueError, match="bound"):
        operator(bound=1.0)
    with pytest.raises(ValueError, match="depth"):
        WeightTiedFNO(2, 3, 2, 5, 0, 2, key=KEY)
    with pytest.raises(ValueError, match="width"):
        FNODEQ(2, 3, 2, 0, 2, key=KEY)
    with pytest.raises(ValueError, match="channels"):
        operator()(field(channels=1))
