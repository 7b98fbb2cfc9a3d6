import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import KernelIntegral, LowRankIntegral, nodes, radius_graph

KEY = jax.random.key(0)


def green(rows):
    """`(x + y - |y - x|) / 2 - x y` of the features `2 x - 1`, `T_2`, `y - x`, .., raised to where silu is identity."""
    x = (rows[:, 0] + 1) / 2
    y = x + rows[:, 2]
    return (40 + (x + y - jnp.abs(y - x)) / 2 - x * y)[:, None]


def test_green_function_solves_the_poisson_equation():
    layer = KernelIntegral(1, 0, 1, 1, radius=np.inf, key=KEY)
    layer = eqx.tree_at(lambda k: (k.features, k.weight), layer, (green, jnp.asarray([1.0, -40.0]).reshape(2, 1, 1)))
    solve, errors = eqx.filter_jit(lambda f: layer(f).values[0]), []
    for n in (9, 17, 33):
        grid = pj.Grid(x=pj.Uniform(n))
        x = grid.axes[0].points
        u = solve(pj.GridField.from_function(lambda x: 12 * x - 12 * x**2, grid))
        errors.append(np.max(np.abs(u - (x**4 - 2 * x**3 + x))))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 2.0, atol=0.05)


def test_sums_agree_with_the_kernel_itself():
    """Moments first and `W` last is the mean of matrices times vectors."""
    grid, rng = pj.Grid(x=pj.Fourier(5), y=pj.Cosine(4)), np.random.default_rng(0)
    layer = KernelIntegral(3, 2, 5, 2, radius=1.5, key=KEY)
    v, a = (pj.GridField(jnp.asarray(rng.normal(size=(c, 5, 4))), grid) for c in (3, 2))
    graph = radius_graph(nodes(grid), 1.5, grid, weights=grid.weights())
    flat = a.values.reshape(2, -1)
    kernel = eqx.filter_jit(lambda layer, a: layer.matrices(layer.kernel(graph, nodes(grid), grid, a, a)))
    kappa = np.asarray(kernel(layer, flat))
    w, x = grid.weights().reshape(-1), v.values.reshape(3, -1)
    wanted = np.zeros((3, 20))
    for i in range(20):
        live = graph.share[i] > 0
        near = graph.index[i][live]
        assert len(near) < 20
        terms = np.einsum("koi,ik->ok", kappa[i][live], x[:, near])
        wanted[:, i] = terms @ w[near] / w[near].sum()
    np.testing.assert_allclose(eqx.filter_jit(layer)(v, a).values.reshape(3, -1), wanted, atol=1e-12)


def test_one_matrix_for_all_samples_is_the_same_integral():
    """One channel over the whole domain: without gathers, and as for the large ball that has them."""
    grid, rng = pj.Grid(x=pj.Uniform(7)), np.random.default_rng(0)
    v = jnp.asarray(rng.normal(size=(4, 1, 7)))
    everywhere, ball = (KernelIntegral(1, 0, 5, 1, radius=r, key=KEY) for r in (np.inf, 1.0))
    apply = lambda layer: eqx.filter_jit(jax.vmap(lambda v: layer(pj.GridField(v, grid)).values))
    np.testing.assert_allclose(apply(everywhere)(v), apply(ball)(v), atol=1e-13)
    text = apply(everywhere).lower(v).as_text()
    assert "4x7x7" not in text and "7x7" in text


@pytest.mark.parametrize("kind", [pj.Cosine, pytest.param(pj.Fourier, marks=pytest.mark.slow)])
def test_kernel_integral_converges_at_first_order_or_faster(kind):
    layer = KernelIntegral(2, 1, 4, 1, radius=0.29, key=KEY)
    apply, found = eqx.filter_jit(lambda v, a: layer(v, a).values), []
    for n in (16, 32, 64, 128, 512):
        grid = pj.Grid(x=kind(n + (kind is pj.Cosine), length=1.0))
        waves = np.cos(2 * np.pi * np.outer([1, 2], grid.axes[0].points))
        v, a = (pj.GridField(jnp.asarray(part), grid) for part in (waves, waves[:1]))
        found.append(np.asarray(apply(v, a))[:, :: n // 16])
    errors = [np.max(np.abs(u - found[-1])) for u in found[:-1]]
    # Beside the end of a ball of two radii up to one spacing is misjudged, on either side.
    assert np.all(errors < 1 / (0.29 * 2.0 ** np.arange(4, 8)) * np.max(np.abs(found[-1])))
    assert errors[-1] < 0.4 * errors[0]


def test_low_rank_integral_is_a_dense_matrix_of_low_rank():
    grid, rng = pj.Grid(x=pj.Sine(6, length=2.0), y=pj.Chebyshev(5)), np.random.default_rng(0)
    layer = LowRankIntegral(3, 2, 2, 4, 2, key=KEY)
    a = pj.GridField(jnp.asarray(rng.normal(size=(2, 6, 5))), grid)
    on = eqx.filter_jit(lambda v: layer(pj.GridField(v, grid), a).values.reshape(-1))
    matrix = np.asarray(jax.jacobian(on)(jnp.zeros((3, 6, 5)))).reshape(90, 90)
    sizes = np.linalg.svd(matrix, compute_uv=False)
    assert sizes[1] > 1e-3 * sizes[0] and sizes[2] < 1e-13 * sizes[0]
    # Divided by the quadrature weights of y, the matrix is the kernel: at two nodes it does not depend on the grid.
    x, y = (np.arange(6) / 5)[:, None], (1 - np.cos(np.pi * np.arange(5) / 4))[None] - 1
    s = np.broadcast_to(x, (6, 5)).reshape(-1), np.broadcast_to(y, (6, 5)).reshape(-1)
    rows = np.stack([np.cos(np.pi * s[0]), np.cos(2 * np.pi * s[0]), s[1], 2 * s[1] ** 2 - 1], axis=-1)
    rows = jnp.asarray(np.concatenate([rows, np.asarray(a.values).reshape(2, -1).T], axis=-1))
    parts = eqx.filter_jit(lambda layer: (layer.expand(rows), layer.measure(rows)))(layer)
    phi, psi = (np.asarray(part).reshape(30, 2, 3) for part in parts)
    trapezoid, curtis = np.array([0.5, 1, 1, 1, 1, 0.5]) / 5, np.array([1 / 15, 8 / 15, 4 / 5, 8 / 15, 1 / 15]) / 2
    weights = np.outer(trapezoid, curtis).reshape(-1)
    kernel = np.einsum("mjo,nji,n->omin", phi, psi, weights).reshape(90, 90)
    np.testing.assert_allclose(matrix, kernel, atol=1e-12)


def test_wrong_fields_are_told():
    field = pj.GridField(jnp.zeros((2, 5)), pj.Grid(x=pj.Fourier(5)))
    with pytest.raises(ValueError, match="ndim=1"):
        KernelIntegral(2, 0, 3, 2, radius=1.0, key=KEY)(field)
    with pytest.raises(ValueError, match="in_channels=2"):
        KernelIntegral(3, 0, 3, 1, radius=1.0, key=KEY)(field)
    with pytest.raises(ValueError, match="in_channels=2"):
        LowRankIntegral(3, 1, 2, 3, 1, key=KEY)(field, field)
