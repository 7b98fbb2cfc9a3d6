import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import (
    AxialAttention,
    Chained,
    FourierAttention,
    GalerkinAttention,
    LinearAttention,
    MultiHead,
    Parallel,
    SoftmaxAttention,
    Tokens,
    rotated,
)

KEY = jax.random.key(0)
RULES = (SoftmaxAttention, LinearAttention, FourierAttention, GalerkinAttention)
HEADS, M, N, D, E = 2, 5, 7, 3, 4


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def standardised(x, axis=-1, floor=0.0):
    x = x - x.mean(axis, keepdims=True)
    return x / np.sqrt((x**2).mean(axis, keepdims=True) + floor)


def double_sum(rule, q, k, v, w):
    """`z_i = sum_j w_j kernel(i, j) v_j` of one head, point by point."""
    shares = np.exp(k) * w[:, None]
    shares /= shares.sum(0)
    z = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        exponentials = [w[j] * np.exp(q[i] @ k[j] / np.sqrt(q.shape[1])) for j in range(len(k))]
        for j in range(len(k)):
            kernel = {
                SoftmaxAttention: exponentials[j] / sum(exponentials),
                LinearAttention: softmax(q[i]) @ shares[j],
                FourierAttention: w[j] * (q[i] @ k[j]),
                GalerkinAttention: w[j] * (q[i] @ k[j]),
            }
            z[i] += kernel[rule] * v[j]
    return z


def drawn(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_the_double_sums(rule):
    q, k, v, w = drawn((HEADS, M, D), (HEADS, N, D), (HEADS, N, E), (N,))
    w = np.abs(w) / np.abs(w).sum()
    found = rule(heads=HEADS)(*map(jnp.asarray, (q, k, v, w)))
    np.testing.assert_allclose(found, [double_sum(rule, *head, w) for head in zip(q, k, v)], atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_cross_attention_of_several_heads(rule):
    """Queries from 5 points, keys and values from 7 others, norms and coordinates as the paper has them."""
    width, c = HEADS * D, 2
    layer = MultiHead(width, c, attention=rule(heads=HEADS), key=KEY)
    layer = far_from_initial_weights(layer)
    u, p, s, r, w = drawn((M, width), (M, c), (N, width), (N, c), (N,))
    w = np.abs(w) / np.abs(w).sum()
    maps, merge = np.asarray(layer.maps), layer.merge.layers.layers[0]
    named, out = rule(heads=HEADS).normalised, []
    for h in range(HEADS):
        tokens = {"queries": u @ maps[0, h].T, "keys": s @ maps[1, h].T, "values": s @ maps[2, h].T}
        for name, affine in zip(named, layer.affine, strict=True):
            scale, shift = np.asarray(affine[:, h, 0])
            tokens[name] = scale * standardised(tokens[name], floor=1e-7) + shift
        joined = [np.concatenate([x, t], 1) for x, t in zip((p, r, r), tokens.values(), strict=True)]
        out.append(double_sum(rule, *joined, w))
    expected = np.concatenate(out, 1) @ np.asarray(merge.weight).T + np.asarray(merge.bias)
    found = layer(Tokens(*map(jnp.asarray, (u, p, np.ones(M) / M))), Tokens(*map(jnp.asarray, (s, r, w))))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def far_from_initial_weights(layer):
    """With weights for which heads and points differ."""
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(KEY, x.shape) if eqx.is_array(x) else x, layer)


def flops(function, *args):
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


@pytest.mark.parametrize(("rule", "wanted"), list(zip(RULES, (4, 2, 2, 2))))
def test_cost_in_points(rule, wanted):
    layer = MultiHead(16, 2, attention=rule(heads=2), key=KEY)
    sizes = (512, 1024)
    tokens = [Tokens(jnp.ones((n, 16)), jnp.ones((n, 2)), jnp.ones(n) / n) for n in sizes]
    counts = [flops(lambda u: layer(u, u), u) for u in tokens]
    assert counts[1] / counts[0] == pytest.approx(wanted, rel=0.03)


def test_cost_of_axial_attention():
    layer = AxialAttention(8, 3, 1, contraction=Chained(heads=2), key=KEY)
    counts = [
        flops(lambda v, n=n: layer(pj.GridField(v, pj.Grid(x=pj.Fourier(n)))).values, jnp.ones((8, n)))
        for n in (256, 512)
    ]
    assert counts[1] / counts[0] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("rule", RULES)
def test_integrals_do_not_depend_on_the_points(rule):
    """The same functions at 40 Gauss points and at 30 Clenshaw-Curtis points give the same answer."""
    layer = MultiHead(4, 1, attention=rule(), key=KEY)
    layer = eqx.filter_jit(far_from_initial_weights(layer))
    values = lambda x: np.stack([np.exp(x), np.cos(2 * x), 1 / (2 + x), x**3 + 2], 1)
    gauss, weights = np.polynomial.legendre.leggauss(40)
    axis = pj.Chebyshev(30)
    rules = [(gauss, weights / 2), (axis.points, axis.weights / 2)]
    a, b = (Tokens(jnp.asarray(values(x)), jnp.asarray(x[:, None]), jnp.asarray(w)) for x, w in rules)
    np.testing.assert_allclose(layer(a, a), layer(a, b), rtol=1e-7)


def test_rotations_know_differences_only():
    q, k, x = drawn((6, 1), (6, 1), (5,))
    turned = [np.asarray(rotated(jnp.asarray(np.tile(a, 5)), x)) for a in (q, k)]
    waves, differences = np.arange(3), x[:, None] - x
    a, b = q[:3] * k[:3] + q[3:] * k[3:], q[:3] * k[3:] - q[3:] * k[:3]
    angles = waves[:, None, None] * differences
    expected = np.sum(a[:, :, None] * np.cos(angles) + b[:, :, None] * np.sin(angles), 0)
    np.testing.assert_allclose(turned[0].T @ turned[1], expected, atol=1e-13)


@pytest.mark.parametrize("contraction", (Chained, Parallel))
def test_contractions_of_three_axes(contraction):
    shape = (3, 4, 2)
    (v,), matrices = drawn((HEADS, D, *shape)), drawn(*((HEADS, n, n) for n in shape), seed=1)
    equations = ["hai,hcijk->hcajk", "hbj,hcijk->hcibk", "hdk,hcijk->hcijd"]
    kernels = [lambda v, e=e, m=m: jnp.einsum(e, m, v) for e, m in zip(equations, matrices, strict=True)]
    expected = {
        Chained: np.einsum("hai,hbj,hdk,hcijk->hcabd", *matrices, v),
        Parallel: np.concatenate([np.einsum(e, m, v) for e, m in zip(equations, matrices, strict=True)], 1),
    }
    rule = contraction(heads=HEADS)
    np.testing.assert_allclose(rule(kernels, jnp.asarray(v)), expected[contraction], atol=1e-12)
    assert expected[contraction].shape[1] == rule.parts(3) * D


def test_axial_attention_is_the_double_sum():
    """Kernels as matrices, on an axis with weights that are not uniform and a periodic one."""
    width, modes, (nx, ny) = 4, 2, (6, 5)
    grid = pj.Grid(x=pj.Cosine(nx), y=pj.Fourier(ny))
    layer = AxialAttention(width, modes, 2, contraction=Chained(heads=2), key=KEY)
    layer = eqx.tree_at(lambda t: [k.features for k in t.kernels], layer, replace_fn=lambda f: 3 * f)
    (u,) = drawn((width, nx, ny))
    affine = lambda p, x: np.tensordot(np.asarray(p.weight), x, 1) + np.asarray(p.bias).reshape(-1, *(x.ndim - 1) * [1])
    gelu = lambda x: np.asarray(jax.nn.gelu(jnp.asarray(x)))
    wx, wy = np.full(nx, 1 / (nx - 1)), np.full(ny, 1 / ny)
    wx[[0, -1]] /= 2
    phases = (-np.pi * np.cos(np.pi * np.linspace(0, 1, nx)), 2 * np.pi * np.arange(ny) / ny)
    ln = standardised(u, 0, 1e-5)
    v = affine(layer.value, ln).reshape(2, -1, nx, ny)
    matrices = []
    for kernel, profile, phase in zip(layer.kernels, (ln @ wy, np.einsum("cxy,x->cy", ln, wx)), phases, strict=True):
        h = standardised(affine(kernel.enter, profile), 0, 1e-5)
        q, k = np.einsum("rhfw,wn->rhfn", kernel.features, affine(kernel.linear, h) * gelu(affine(kernel.gate, h)))
        waves = np.exp(1j * np.arange(modes)[:, None] * phase)
        q, k = ((x[:, :modes] + 1j * x[:, modes:]) * waves for x in (q, k))
        matrices.append(np.einsum("hfi,hfj->hij", q, k.conj()).real)
    z = np.einsum("hai,hbj,i,j,hcij->hcab", *matrices, wx, wy, v)
    w = np.outer(wx, wy) / z.shape[1]
    z = z - (z * w).sum((1, 2, 3), keepdims=True)
    z /= np.sqrt((z**2 * w).sum((1, 2, 3), keepdims=True) + 1e-5)
    expected = affine(layer.inner, gelu(affine(layer.outer, z.reshape(width, nx, ny))))
    np.testing.assert_allclose(layer(pj.GridField(jnp.asarray(u), grid)).values, expected, atol=1e-7)


def test_axial_attention_commutes_with_shifts():
    layer = eqx.filter_jit(AxialAttention(6, 3, 2, contraction=Parallel(heads=3), key=KEY))
    grid = pj.Grid(x=pj.Fourier(6), y=pj.Fourier(5))
    (u,) = drawn((6, 6, 5))
    shifted = lambda x: np.roll(x, (2, 1), (1, 2))
    on = lambda x: layer(pj.GridField(jnp.asarray(x), grid)).values
    np.testing.assert_allclose(on(shifted(u)), shifted(on(u)), atol=1e-12)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="write width=8"):
        MultiHead(6, 1, attention=GalerkinAttention(heads=4), key=KEY)
    with pytest.raises(ValueError, match="write width=8"):
        AxialAttention(6, 2, 1, contraction=Chained(heads=4), key=KEY)
    with pytest.raises(ValueError, match="heads"):
        MultiHead(6, 1, attention=SoftmaxAttention(heads=0), key=KEY)
    layer, field = AxialAttention(6, 2, 2, key=KEY), lambda c, **axes: pj.GridField(jnp.zeros((c, 8)), pj.Grid(**axes))
    with pytest.raises(ValueError, match="write ndim=1"):
        layer(field(6, x=pj.Fourier(8)))
    with pytest.raises(ValueError, match="write in_channels=5"):
        AxialAttention(6, 2, 1, key=KEY)(field(5, x=pj.Fourier(8)))
