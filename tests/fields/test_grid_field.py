"""Grid fields: representations, parity, products and dealiasing, evaluation, batches, dtypes, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import advect, d, div, grad, laplacian, norm

AXES = {
    "fourier": lambda n: pj.Fourier(n),
    "sine": lambda n: pj.Sine(n),
    "cosine": lambda n: pj.Cosine(n),
    "chebyshev": lambda n: pj.Chebyshev(n),
    "uniform": lambda n: pj.Uniform(n),
}


def smooth(grid, channels=2, seed=0):
    """A random field with few modes, so that all of its derivatives are resolved."""
    rng = np.random.default_rng(seed)
    c = np.zeros((channels, *grid.coefficient_shape()))
    low = tuple(slice(1, 4) for _ in grid.shape)
    c[(slice(None), *low)] = rng.standard_normal((channels, *(3,) * len(grid.shape)))
    dtype = jax.eval_shape(grid.forward, jax.ShapeDtypeStruct(grid.shape, jnp.float64)).dtype
    return pj.GridField.from_coefficients(jnp.asarray(c, dtype), grid)


@pytest.mark.parametrize("first", AXES)
@pytest.mark.parametrize("second", AXES)
def test_any_mix_of_axes(first, second):
    grid = pj.Grid(x=AXES[first](14), y=AXES[second](15))
    u = smooth(grid)[0].as_values()
    np.testing.assert_allclose(u.as_coefficients().values, u.values, atol=1e-12)
    if "uniform" not in (first, second):
        # On a Uniform axis the wide stencil of d(d(u)) differs from the compact second difference.
        np.testing.assert_allclose(
            div(grad(u)).values, laplacian(u).values, atol=1e-7 * float(jnp.abs(laplacian(u).values).max())
        )
    mixed = d(d(u, "x"), "y").values
    np.testing.assert_allclose(d(d(u, "y"), "x").values, mixed, atol=1e-9 * float(jnp.abs(mixed).max()) + 1e-9)


@pytest.mark.parametrize("shape", [(16,), (8, 9), (6, 7, 8)])
def test_three_dimensions_and_float32(shape):
    grid = pj.Grid(**{name: pj.Fourier(n) for name, n in zip("xyz", shape, strict=False)})
    rng = np.random.default_rng(0)
    u = pj.GridField(jnp.asarray(rng.standard_normal((len(shape), *shape)), jnp.float32), grid)
    for v in (u * u, laplacian(u), advect(u, u), u[0] * 2.0, u / 3.0, u**2, 1.0 - u, div(u), grad(u[0])):
        assert v.dtype == jnp.float32 and v.values.dtype == jnp.float32
    assert norm(u).dtype == jnp.float32


def test_parity_follows_derivatives_and_products():
    grid = pj.Grid(x=pj.Sine(17))
    u = pj.GridField.from_function(lambda x: jnp.sin(np.pi * x), grid)
    slope = d(u, "x")
    assert isinstance(slope.grid.axis("x"), pj.Cosine)
    assert isinstance((u * u).grid.axis("x"), pj.Cosine)
    assert isinstance((u * slope).grid.axis("x"), pj.Sine)
    assert isinstance((slope * slope).grid.axis("x"), pj.Cosine)
    assert isinstance((u**3).grid.axis("x"), pj.Sine) and isinstance((u**2).grid.axis("x"), pj.Cosine)
    with pytest.raises(ValueError, match="sine \\+ cosine"):
        u + slope
    with pytest.raises(ValueError, match="parity"):
        u.map(jnp.exp)


def test_vector_on_sine_axes_keeps_a_parity_for_each_channel():
    grid = pj.Grid(x=pj.Sine(17), y=pj.Sine(19))
    u = pj.GridField.from_function(lambda x, y: jnp.sin(np.pi * x) * jnp.sin(2 * np.pi * y), grid)
    slope = grad(u)
    assert isinstance(slope[0].grid.axis("x"), pj.Cosine) and isinstance(slope[0].grid.axis("y"), pj.Sine)
    assert isinstance(slope[1].grid.axis("x"), pj.Sine) and isinstance(slope[1].grid.axis("y"), pj.Cosine)
    x, y = grid.mesh()
    np.testing.assert_allclose(slope.values[0], np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y), atol=1e-12)
    np.testing.assert_allclose(div(slope).values, -5 * np.pi**2 * u.values, atol=1e-10)


@pytest.mark.parametrize("n", [24, 25])
@pytest.mark.parametrize("dealias", [3 / 2, 2 / 3])
@pytest.mark.parametrize("kind", ["fourier", "sine", "cosine"])
def test_dealiased_square_is_exact_on_the_kept_modes(n, dealias, kind):
    axis = AXES[kind](n).with_size(n)
    grid = pj.Grid(x=axis).with_dealias(dealias)
    rng = np.random.default_rng(0)
    u = pj.GridField(jnp.asarray(rng.standard_normal((1, n))), pj.Grid(x=axis)).as_coefficients().with_grid(grid)
    if dealias < 1:
        u = u.with_coefficients(
            grid.axes[0].low_pass(u.coefficients, 1, dealias) if kind != "fourier" else _low(u, dealias)
        )
    exact = u.with_grid(pj.Grid(x=axis)).resample((4 * n,))
    square = (exact * exact).resample((n,))
    got, wanted = (u * u).coefficients, square.coefficients
    keep = (
        np.abs(grid.modes()[0]) < (dealias * n / 2 if kind == "fourier" else dealias * (n - 1))
        if dealias < 1
        else slice(0, (n - 1) // 2)
    )
    np.testing.assert_allclose(got[0][keep], wanted[0][keep], atol=1e-13)


def _low(u, fraction):
    return u.grid.coefficient_axes()[0].low_pass(u.coefficients, 1, fraction)


def test_evaluation_at_points_agrees_with_the_function():
    grid = pj.Grid(x=pj.Fourier(32), y=pj.Chebyshev(20))
    f = lambda x, y: (jnp.sin(x) * jnp.exp(y), jnp.cos(2 * x) + y)
    points = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (9, 2)))
    u = pj.GridField.from_function(f, grid)
    np.testing.assert_allclose(u(points), jnp.stack(f(points[:, 0], points[:, 1]), axis=-1), atol=1e-12)
    np.testing.assert_allclose(grad(u[0])(points)[:, 0], jnp.cos(points[:, 0]) * jnp.exp(points[:, 1]), atol=1e-11)


def test_batches_are_fields_with_a_leading_axis():
    grid = pj.Grid(x=pj.Fourier(16))
    values = jnp.asarray(np.random.default_rng(0).standard_normal((5, 1, 16)))
    batch = jax.vmap(lambda v: pj.GridField(v, grid))(values)
    assert batch.data.shape == (5, 1, 16)
    out = jax.jit(jax.vmap(lambda u: laplacian(u)))(batch)
    one = laplacian(pj.GridField(values[3], grid))
    np.testing.assert_allclose(out.coefficients[3], one.coefficients, atol=1e-12)
    assert jax.vmap(norm)(batch).shape == (5,)


def test_pseudo_spectral_term_costs_the_transforms_of_a_hand_written_one():
    grid = pj.Grid(x=pj.Fourier(64))

    def term(c):
        return (0.5 * d(pj.GridField.from_coefficients(c, grid) ** 2, "x")).coefficients

    c = grid.forward(jnp.ones((1, 64)))
    assert str(jax.make_jaxpr(term)(c)).count("fft[") == 2
    twice = lambda v: d(pj.GridField(v, grid), "x").coefficients + laplacian(pj.GridField(v, grid)).coefficients
    compiled = jax.jit(twice).lower(jnp.ones((1, 64))).compile().as_text()
    assert compiled.count("fft_type=RFFT") == 1 or compiled.count("DuccFft") == 1 or compiled.count(" fft(") == 1


@pytest.mark.parametrize(
    "make,word",
    [
        (lambda g: pj.GridField(jnp.zeros((8, 9)), g), "values\\[None\\]"),
        (
            lambda g: pj.GridField(jnp.zeros((1, 8, 9)), g) + pj.GridField(jnp.zeros((1, 8, 8)), g.with_shape((8, 8))),
            "different grids",
        ),
        (lambda g: pj.GridField(jnp.zeros((2, 8, 9)), g) * pj.GridField(jnp.zeros((3, 8, 9)), g), "2 and 3 channels"),
        (lambda g: grad(pj.GridField(jnp.zeros((2, 8, 9)), g)), "one channel"),
        (lambda g: div(pj.GridField(jnp.zeros((3, 8, 9)), g)), "3 channels"),
        (lambda g: d(pj.GridField(jnp.zeros((1, 8, 9)), g), "z"), "'x', 'y'"),
        (lambda g: d(pj.GridField(jnp.zeros((1, 8, 9)), g), "x", 0), "positive integer"),
    ],
)
def test_bad_fields_are_refused_with_advice(make, word):
    with pytest.raises(ValueError, match=word):
        make(pj.Grid(x=pj.Fourier(8), y=pj.Fourier(9)))
