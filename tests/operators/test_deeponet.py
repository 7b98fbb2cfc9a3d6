import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import BasisFeatures, ModifiedPerceptron, Siren, nodes, trainable
from pdejax.operators import DeepONet, MultiONet, PODDeepONet, PODModes, SeparableDeepONet

KEY = jax.random.key(0)


def silu(z):
    return z / (1 + np.exp(-z))


def rows(network, x):
    """A `Perceptron` in NumPy."""
    *inner, last = [(np.asarray(layer.weight), np.asarray(layer.bias)) for layer in network.layers.layers]
    for weight, bias in inner:
        x = silu(x @ weight.T + bias)
    return x @ last[0].T + last[1]


def wave(grid, channels=2):
    """Fields that five sensors per axis resolve."""
    rng, out = np.random.default_rng(0), np.zeros((channels, *grid.shape))
    for c in range(channels):
        terms = [np.cos(2 * np.pi * (axis.points - axis.start) / axis.length + rng.uniform(0, 6)) for axis in grid.axes]
        out[c] = 1 + np.einsum("i,j->ij", *terms)
    return pj.GridField(jnp.asarray(out), grid)


def periodic(*shape):
    return pj.Grid(x=pj.Fourier(shape[0], length=1.0), y=pj.Fourier(shape[1], length=2.0, start=1.0))


def features(s):
    return np.stack([f(2 * np.pi * s[:, i]) for i in range(2) for f in (np.cos, np.sin)], axis=1)


def test_is_the_sum_over_branch_and_trunk():
    model, a = DeepONet(2, 3, 5, 4, 1, 2, key=KEY), wave(periodic(10, 15))
    model = eqx.tree_at(lambda m: m.bias, model, jnp.arange(3.0))
    # Every second and every third node are the sensors.
    b = rows(model.branch, np.asarray(a.values)[:, ::2, ::3].reshape(1, -1)).reshape(3, 4)
    s = (nodes(a.grid) - [0.0, 1.0]) / [1.0, 2.0]
    t = silu(rows(model.trunk, features(s)))
    wanted = np.einsum("ck,nk->cn", b, t) + np.arange(3.0)[:, None]
    np.testing.assert_allclose(eqx.filter_jit(model)(a).values.reshape(3, -1), wanted, atol=1e-12)
    at = eqx.filter_jit(model.at)(a, jnp.asarray(nodes(a.grid)[::7]))
    np.testing.assert_allclose(at, wanted[:, ::7].T, atol=1e-12)


def test_vanishes_at_the_ends_at_any_points():
    grid = pj.Grid(x=pj.Sine(9, length=0.7, start=0.3), y=pj.Cosine(5))
    s = np.sin(np.pi * (grid.axes[0].points - 0.3) / 0.7)
    a = pj.GridField(jnp.asarray(np.broadcast_to(s[None, :, None], (2, 9, 5))), grid)
    model = DeepONet(2, 3, 4, 4, 1, 2, key=KEY)
    field, at = eqx.filter_jit(lambda m: (m(a).values, m.at(a, jnp.asarray(nodes(grid)))))(model)
    np.testing.assert_allclose(at.T.reshape(field.shape), field, atol=1e-13)
    assert np.all(np.asarray(field)[:, [0, -1]] == 0) and np.all(np.asarray(at)[[0, -1]] == 0)


def test_other_networks_and_features_fit_in():
    a = wave(periodic(6, 7))
    parts = BasisFeatures(2)
    model = DeepONet(
        2,
        3,
        (5, 6),
        4,
        1,
        2,
        features=parts,
        branch=ModifiedPerceptron(60, 12, 8, 1, key=KEY),
        trunk=Siren(parts.size(2), 4, 8, 2, omega=2.0, key=KEY),
        key=KEY,
    )
    loss = lambda m: (jnp.sum(jnp.sin(m(a).values)), m(a).values)
    gradient, out = eqx.filter_jit(eqx.filter_grad(loss, has_aux=True))(model)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient)) and out.shape == (3, 6, 7)


def test_separable_is_a_sum_of_products():
    model, a = SeparableDeepONet(2, 3, 5, 4, 2, 1, 2, key=KEY), wave(periodic(10, 15))
    b = rows(model.branch, np.asarray(a.values)[:, ::2, ::3].reshape(1, -1)).reshape(3, 4)
    s = [np.arange(n)[:, None] / n * 2 * np.pi for n in (10, 15)]
    t = [
        1 + silu(rows(trunk, np.concatenate([np.cos(s), np.sin(s)], axis=1))).reshape(-1, 4, 2)
        for trunk, s in zip(model.trunks, s, strict=True)
    ]
    np.testing.assert_allclose(eqx.filter_jit(model)(a).values, np.einsum("ck,xkj,ykj->cxy", b, *t), atol=1e-11)


def test_multionet_sums_all_layers():
    model, a = MultiONet(2, 3, 5, 4, 3, 2, key=KEY), wave(periodic(10, 15))
    loss = lambda m: (jnp.sum(jnp.sin(m(a).values)), m(a).values)
    gradient, out = eqx.filter_jit(eqx.filter_grad(loss, has_aux=True))(model)
    assert not np.any(out)
    moved = [np.any(part) for part in (gradient.weight, gradient.bias)]
    assert all(moved) and not any(np.any(leaf) for leaf in jax.tree.leaves((gradient.branch, gradient.trunk)))
    w = np.random.default_rng(0).normal(size=(3, 3))
    model = eqx.tree_at(lambda m: (m.weight, m.bias), model, (jnp.asarray(w), jnp.arange(3.0)))
    b = np.asarray(a.values)[:, ::2, ::3].reshape(-1)
    t = features((nodes(a.grid) - [0.0, 1.0]) / [1.0, 2.0])
    wanted = np.broadcast_to(np.arange(3.0)[:, None], (3, 150))
    for branch, trunk, v in zip(model.branch, model.trunk, w, strict=True):
        b = np.asarray(branch.weight) @ b + np.asarray(branch.bias)
        t = t @ np.asarray(trunk.weight).T + np.asarray(trunk.bias)
        b, t = silu(b) + b, silu(t) + np.sin(t)
        wanted = wanted + v[:, None] / 3 * np.einsum("ncj,cj->cn", t.reshape(-1, 3, 4), b.reshape(3, 4))
    np.testing.assert_allclose(eqx.filter_jit(model)(a).values.reshape(3, -1), wanted, atol=1e-11)


def samples(grid, count=12):
    """Sine fields of two channels that lie in a space of three dimensions about their mean."""
    rng, x = np.random.default_rng(0), grid.axes[0].points
    basis = np.sin(np.pi * np.outer([1, 2, 3, 4], x))
    c = rng.normal(size=(count, 2, 4))
    c[:, 1] = c[:, 0] * [1.0, -1.0, 0.5, 1.0]
    c[..., 3] = 1.0
    return c @ basis, c


def test_modes_are_the_best_space():
    grid = pj.Grid(x=pj.Sine(17))
    values, c = samples(grid)
    modes = PODModes.of(values, grid, 2)
    mean, found = modes.on(grid)
    np.testing.assert_allclose(mean, values.mean(0), atol=1e-12)
    # Sines are orthogonal, of norm 1/2: the singular values of the samples are those of their coefficients.
    centred = (c - c.mean(0)).reshape(12, -1) / np.sqrt(2 * 12)
    sizes = np.linalg.svd(centred, compute_uv=False)
    weights = np.array([0.5, *[1] * 15, 0.5]) / 16
    gram = np.einsum("kcx,lcx,x->kl", found, found, weights)
    np.testing.assert_allclose(gram, np.diag(sizes[:2] ** 2), atol=1e-12)
    fine = pj.Grid(x=pj.Sine(33))
    np.testing.assert_allclose(modes.on(fine)[1][..., ::2], found, atol=1e-12)
    assert np.all(np.asarray(modes.on(fine)[1])[..., [0, -1]] == 0)
    with pytest.raises(ValueError, match="3 modes"):
        PODModes.of(values, grid, 5)


def test_pod_deeponet_spans_its_samples():
    """With all modes and coefficients of variance one the samples come back; modes get no gradient."""
    grid = pj.Grid(x=pj.Sine(17))
    values, _ = samples(grid)
    modes = PODModes.of(values, grid, 3)
    model = PODDeepONet(1, modes, 6, 4, 1, key=KEY)
    mean, basis = (np.asarray(part) for part in modes.on(grid))
    flat = basis.reshape(3, -1).T
    b = np.linalg.lstsq(flat, (values - mean).reshape(12, -1).T, rcond=None)[0]
    np.testing.assert_allclose((flat @ b).T.reshape(values.shape), values - mean, atol=1e-11)
    np.testing.assert_allclose(b @ b.T / 12, np.eye(3), atol=1e-11)
    a = pj.GridField(jnp.asarray(values[0, :1]), grid)
    read = values[0, :1] @ np.sin(np.pi * np.outer(np.arange(17) / 16, np.arange(17))) * 2 / 16
    b = rows(model.branch, read @ np.sin(np.pi * np.outer(np.arange(17), np.arange(6) / 5)))
    loss = lambda m: (jnp.sum(m(a).values ** 2), m(a).values)
    gradient, out = eqx.filter_jit(eqx.filter_grad(loss, has_aux=True))(model)
    np.testing.assert_allclose(out, mean + np.einsum("k,kcx->cx", b[0], basis), atol=1e-11)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient.modes))
    assert not jax.tree.leaves(eqx.filter(model, trainable(model)).modes)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient.branch))


def test_modes_of_inputs_read_another_domain():
    """Coefficients of fields in the span come back; the output lies where the modes do."""
    grid, line = pj.Grid(x=pj.Sine(17)), pj.Grid(s=pj.Uniform(9))
    values, _ = samples(grid)
    write, read = PODModes.of(values, grid, 3), PODModes.of(np.random.default_rng(1).normal(size=(6, 1, 9)), line, 4)
    c = jnp.asarray([0.3, -1.0, 2.0])
    mean, modes = write.on(grid)
    u = pj.GridField(mean + jnp.tensordot(c, modes, 1), grid)
    np.testing.assert_allclose(write(u), c, atol=1e-11)
    np.testing.assert_allclose(write(u.resample((33,))), c, atol=1e-11)
    model = PODDeepONet(1, write, read, 4, 1, key=KEY)
    a = pj.GridField(jnp.ones((1, 9)), line)
    out = model.at_nodes(a)
    assert out.grid == grid and out.channels == 2
    b = rows(model.branch, np.asarray(read(a))[None])[0]
    np.testing.assert_allclose(out.values, mean + np.einsum("k,kcx->cx", b, modes), atol=1e-11)
    with pytest.raises(ValueError, match="channel"):
        model.at_nodes(pj.GridField(jnp.ones((2, 9)), line))
