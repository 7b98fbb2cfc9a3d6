"""Convolutions against direct sums, on every boundary and size; kernels that scale with the grid; fixed resolutions."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.grids import Dirichlet, Neumann, Periodic
from pdejax.nn import AtResolution, Convolution, ScaledConvolution, halved

KEY = jax.random.key(0)


def wrapped(i, n):
    return i % n


def zero(i, n):
    return i if 0 <= i < n else None


def about_node(i, n):
    return abs(i) if i < n else 2 * (n - 1) - i


def about_face(i, n):
    return -1 - i if i < 0 else (i if i < n else 2 * n - 1 - i)


# Axis, the index beyond its ends (lower, upper), and which end nodes are zero in the result.
AXES = {
    "fourier": (lambda n: pj.Fourier(n), wrapped, wrapped, ()),
    "periodic": (lambda n: pj.Uniform(n, lower=Periodic(), upper=Periodic()), wrapped, wrapped, ()),
    "cosine": (lambda n: pj.Cosine(n), about_node, about_node, ()),
    "centred cosine": (lambda n: pj.Cosine(n, centred=True), about_face, about_face, ()),
    "sine": (lambda n: pj.Sine(n), zero, zero, (0, -1)),
    "centred sine": (lambda n: pj.Sine(n, centred=True), zero, zero, ()),
    "mixed": (lambda n: pj.Uniform(n, lower=Dirichlet(), upper=Neumann()), zero, about_node, (0,)),
}


def direct_sum(weight, v, kinds, stride, dilation):
    """`sum_o W_o v_{stride i + dilation o}`, one node and one offset at a time."""
    shape, size = v.shape[1:], weight.shape[2]
    out = np.zeros((weight.shape[0], *(-(-n // stride) for n in shape)))
    for at in np.ndindex(out.shape[1:]):
        for tap in np.ndindex(weight.shape[2:]):
            node = []
            for i, t, n, (_, lower, upper, _) in zip(at, tap, shape, kinds, strict=True):
                j = stride * i + dilation * (t - (size - 1) // 2)
                node.append(lower(j, n) if j < 0 else upper(j, n) if j >= n else j)
            if None not in node:
                out[(slice(None), *at)] += weight[(slice(None), slice(None), *tap)] @ v[(slice(None), *node)]
    for i, (*_, ends) in enumerate(kinds):
        np.moveaxis(out, 1 + i, 0)[list(ends)] = 0.0
    return out


@pytest.mark.parametrize(
    ("names", "shape", "size", "stride", "dilation"),
    [
        (("fourier", "sine"), (6, 7), 3, 1, 1),
        (("cosine", "mixed"), (7, 6), 3, 2, 1),
        (("centred cosine", "periodic"), (8, 5), 5, 2, 1),
        (("centred sine", "cosine"), (6, 9), 4, 1, 2),
        (("fourier",), (5,), 3, 1, 4),
        (("mixed", "fourier", "centred cosine"), (4, 5, 6), 2, 1, 1),
    ],
)
def test_direct_sum(names, shape, size, stride, dilation):
    kinds = [AXES[name] for name in names]
    grid = pj.Grid(**{n: kind[0](m) for n, kind, m in zip("xyz", kinds, shape, strict=False)})
    layer = Convolution(2, 3, size, len(shape), stride=stride, dilation=dilation, key=KEY)
    v = np.random.default_rng(0).normal(size=(2, *shape))
    found = layer(pj.GridField(jnp.asarray(v), grid))
    wanted = direct_sum(np.asarray(layer.weight, np.float64), v, kinds, stride, dilation)
    assert found.grid.shape == wanted.shape[1:]
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-13)


def test_errors():
    v = pj.GridField(jnp.ones((2, 9)), pj.Grid(x=pj.Chebyshev(9)))
    with pytest.raises(ValueError, match=r"Chebyshev; write field\.resample"):
        Convolution(2, 3, 3, 1, key=KEY)(v)
    with pytest.raises(ValueError, match="odd size"):
        ScaledConvolution(2, 3, 4, 1, spacing=0.1, key=KEY)
    with pytest.raises(ValueError, match="stride"):
        Convolution(2, 3, 3, 1, stride=0, key=KEY)


def smooth(kind, n, ndim=1):
    grid = pj.Grid(**{name: kind(n, length=1.0) for name in "xy"[:ndim]})
    s = 2 * np.pi * grid.mesh()
    phase = 0.3 if kind is pj.Fourier else 0.0
    waves = np.stack([np.prod(np.cos(s + phase), 0), np.prod(np.cos(2 * s), 0) - 0.5])
    return pj.GridField(jnp.asarray(waves), grid)


def refinement_errors(layer, kind, sizes, ndim=1):
    """Largest differences at the nodes that each grid shares with the next finer one."""
    outputs = [np.asarray(layer(smooth(kind, n + (kind is not pj.Fourier), ndim)).values) for n in sizes]
    every = (slice(None), *(slice(None, None, 2),) * ndim)
    return [np.max(np.abs(a - b[every])) / np.max(np.abs(b)) for a, b in itertools.pairwise(outputs)]


@pytest.mark.parametrize(("kind", "ndim"), [(pj.Fourier, 1), (pj.Cosine, 1), (pj.Fourier, 2)])
def test_refine(kind, ndim):
    """Scaled kernels agree within `C h^2`; those that belong to nodes lose half of their reach each time."""
    sizes = [16, 32, 64] if ndim == 2 else [16, 32, 64, 128]
    scaled = ScaledConvolution(2, 3, 3, ndim, spacing=1 / 16, key=KEY)
    errors = refinement_errors(eqx.filter_jit(scaled), kind, sizes, ndim)
    assert all(fine < 0.3 * coarse for coarse, fine in itertools.pairwise(errors)) and errors[0] < 0.2
    fixed = eqx.tree_at(lambda m: m.weight, Convolution(2, 3, 3, ndim, key=KEY), scaled.weight)
    errors = refinement_errors(eqx.filter_jit(fixed), kind, sizes, ndim)
    assert all(fine > 0.35 * coarse for coarse, fine in itertools.pairwise(errors))


def test_scaled_kernels_are_averages_over_their_hats():
    """The limit: each node of the kernel takes the mean of `v` over the hat about it, half a hat at the ends."""
    layer = ScaledConvolution(1, 1, 3, 1, spacing=0.1, key=KEY)
    v = lambda x: np.exp(np.sin(2 * np.pi * x))
    grid = pj.Grid(x=pj.Fourier(1000, length=1.0))
    t = (np.arange(4000) + 0.5) / 4000 * 2 - 1
    wanted = 0.0
    for node, weight in zip((-1, 0, 1), np.asarray(layer.weight)[0, 0], strict=True):
        hat = np.where(np.abs(node + t) <= 1, 1 - np.abs(t), 0.0)
        wanted += weight * v(0.37 + 0.1 * (node + t)) @ hat / hat.sum()
    found = layer(pj.GridField.from_function(lambda x: v(np.asarray(x)), grid)).values
    np.testing.assert_allclose(found[0, 370], wanted, rtol=5e-4)


@pytest.mark.parametrize("n", [12, 20, 24, 31, 60])
def test_constants_map_alike_and_the_own_grid_is_a_convolution(n):
    """Also where the ratio of the spacings (to 1/20) is not whole, or the grid is coarser than the kernel."""
    layer = ScaledConvolution(2, 3, 5, 1, spacing=1 / 20, key=KEY)
    fixed = eqx.tree_at(lambda m: m.weight, Convolution(2, 3, 5, 1, key=KEY), layer.weight)
    grid = pj.Grid(x=pj.Fourier(n, length=3.0))
    ones = pj.GridField(jnp.ones((2, n)), grid)
    np.testing.assert_allclose(layer(ones).values, fixed(ones).values, rtol=1e-12)
    if n == 20:
        noise = ones.with_values(jax.random.normal(KEY, (2, n)))
        np.testing.assert_allclose(layer(noise).values, fixed(noise).values, rtol=0, atol=1e-14)


def test_at_resolution():
    """The model sees its own grid whatever comes, and answers on the grid of the input."""
    fixed = eqx.filter_jit(Convolution(2, 3, 3, 1, key=KEY))
    coarse = smooth(pj.Fourier, 16)
    fine = fixed(coarse).resample((32,)).values
    np.testing.assert_allclose(AtResolution(fixed, (16,))(smooth(pj.Fourier, 32)).values, fine, rtol=0, atol=1e-13)
    points = pj.Grid(x=pj.Chebyshev(33, length=1.0, start=0.0))
    found = AtResolution(fixed, pj.Grid(x=pj.Cosine(17)))(smooth(pj.Cosine, 33).resample(points))
    assert found.grid == points
    wanted = fixed(smooth(pj.Cosine, 17)).resample(points).values
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-6)


def test_halved_is_full_weighting():
    grid = pj.Grid(x=pj.Fourier(7), y=pj.Cosine(6))
    v = np.random.default_rng(1).normal(size=(2, 7, 6))
    weight = np.multiply.outer(np.eye(2), np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]))
    wanted = direct_sum(weight, v, [AXES["fourier"], AXES["cosine"]], 2, 1)
    np.testing.assert_allclose(halved(jnp.asarray(v), grid), wanted, rtol=0, atol=1e-14)
