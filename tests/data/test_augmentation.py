"""Changes of coordinates against the equations they keep, and what else changes samples in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import d, integrate
from pdejax.data import (
    ConvectionDiffusionCovariance,
    Dataset,
    EllipticCovariance,
    Noise,
    RandomImage,
    Sometimes,
    TensorWarps,
    TransfiniteWarps,
    WaveCovariance,
    unlabelled,
)
from pdejax.equations import Darcy

KEY, PI = jax.random.key(2), np.pi
LINE = TensorWarps(modes=3, strength=0.5)


def line(n, length=1.0):
    return pj.Grid(x=pj.Uniform(n, length=length, start=0.5))


def size(field):
    """L2 norm away from the ends, where one-sided differences have larger constants."""
    inner_part = tuple(slice(n // 8, -(n // 8)) for n in field.grid.shape)
    return float(jnp.sqrt(jnp.mean(field.values[(slice(None), *inner_part)] ** 2)))


def orders(errors):
    return [np.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]


def field(grid, *functions):
    return pj.GridField.from_function(lambda *x: tuple(f(*x) for f in functions), grid)


def channels(u, begin, end):
    return u.with_values(u.values[begin:end])


@pytest.mark.parametrize("ndim", (2, pytest.param(3, marks=pytest.mark.slow)))
@pytest.mark.parametrize("warps", (TensorWarps(), TransfiniteWarps(strength=0.4)))
def test_warps_keep_the_faces_and_the_orientation(warps, ndim):
    grid = pj.Grid(**{name: pj.Uniform(9 + i, length=2.0, start=-1.0) for i, name in enumerate("xyz"[:ndim])})
    points = jnp.asarray(grid.mesh().reshape(ndim, -1).T)

    @jax.jit
    def drawn(key):
        warp = warps(key, grid)
        return jax.vmap(warp)(points), jnp.linalg.det(jax.vmap(jax.jacfwd(warp))(points))

    for seed in range(4):
        images, det = drawn(jax.random.key(seed))
        for i in range(ndim):
            for end in (-1.0, 1.0):
                at = np.asarray(points[:, i]) == end
                np.testing.assert_allclose(images[at, i], end, atol=1e-14)
        assert det.min() > 0 and np.abs(images - points).max() > 0.02


@pytest.mark.parametrize(
    ("ndim", "warps"),
    (
        (1, LINE),
        pytest.param(2, TensorWarps(2, 0.4), marks=pytest.mark.slow),
        pytest.param(2, TransfiniteWarps(2, 0.4), marks=pytest.mark.slow),
    ),
)
def test_elliptic_triples_stay_solutions(ndim, warps):
    """-div(A grad u) = f for an A with its exact source, before and after: residuals fall with order two."""
    errors = []
    for n in (33, 65):
        axes = {name: pj.Uniform(n) for name in "xy"[:ndim]}
        equation, grid = Darcy.example(), pj.Grid(**axes)
        if ndim == 1:
            functions = [lambda x: 2 + jnp.cos(PI * x), lambda x: jnp.sin(PI * x)]
            a, u = (field(grid, f) for f in functions)
            f = field(grid, lambda x: PI**2 * (2 * jnp.sin(PI * x) + jnp.sin(2 * PI * x)))
        else:
            at = jnp.asarray(grid.mesh().reshape(2, -1).T)
            read = lambda g, at=at, grid=grid: pj.GridField(g(at).T.reshape(-1, *grid.shape), grid)
            a, f, u = read(equation.equation.permeability), read(equation.equation.source), read(equation.solution)
        tensor = [a.values] if ndim == 1 else [a.values, a.values]
        if isinstance(warps, TransfiniteWarps):
            tensor = [a.values, 0 * a.values, 0 * a.values, a.values]
        triple = a.with_values(jnp.concatenate([*tensor, f.values]))
        count = len(tensor)

        @jax.jit
        def run(triple, u, count=count):
            changed, moved = EllipticCovariance(warps, nodes=4)(KEY, triple, u)
            residual = lambda t, u: Darcy(channels(t, 0, count), channels(t, count, count + 1)).residual(u)
            return changed, moved, residual(triple, u), residual(changed, moved), residual(triple, moved)

        changed, moved, before, after, mixed = run(triple, u)
        assert size(changed - triple) > 0.1 * size(triple) and size(mixed) > 0.5
        errors.append((size(before), size(after) / size(channels(changed, count, count + 1))))
    before, after = zip(*errors, strict=True)
    assert orders(before)[0] > 1.8 and orders(after)[0] > 1.6 and after[-1] < 0.02


def test_densities_keep_their_law_and_their_mass():
    """(a u' - v u)' is a density itself: the changed triple has the changed tendency."""
    a, v, u = (lambda x: 2 + jnp.sin(PI * x)), jnp.cos, (lambda x: jnp.exp(jnp.sin(2 * x)))
    tendency = jax.vmap(jax.grad(lambda x: a(x) * jax.grad(u)(x) - v(x) * u(x)))

    @jax.jit
    def run(a, u):
        changed, later = ConvectionDiffusionCovariance(LINE, nodes=4)(KEY, a, u)
        at, speed, start = (changed[i] for i in range(3))
        masses = integrate(start), integrate(u[0])
        return start, d(at * d(start, "x") - speed * start, "x"), later, masses

    errors = []
    for n in (65, 129):
        grid = line(n, 2.0)
        start, found, later, masses = run(field(grid, a, v, u), field(grid, u, tendency))
        np.testing.assert_allclose(start.values, later[0].values, rtol=1e-12)
        np.testing.assert_allclose(*masses, rtol=2e-3)
        errors.append(size(found - later[1]) / size(later[1]))
    assert orders(errors)[0] > 1.6 and errors[-1] < 0.03


@pytest.mark.parametrize("ndim", (1, pytest.param(2, marks=pytest.mark.slow)))
def test_waves_keep_their_acceleration(ndim):
    """C : grad grad u + d . grad u is a scalar: the changed operator gives it at the new places."""
    warps = LINE if ndim == 1 else TransfiniteWarps(2, 0.4)
    c, drift = [lambda *x: 2 + jnp.sin(sum(x)), lambda *x: 0.3 + 0 * x[0]], [lambda *x: jnp.cos(x[0]), lambda *x: x[-1]]
    u = lambda *x: jnp.sin(2 * x[0]) * jnp.cos(x[-1])
    tensor = c[:1] if ndim == 1 else [c[0], c[1], c[1], c[0]]

    def acceleration(*x):
        point = jnp.stack(x, axis=-1).reshape(-1, ndim)

        def at(p):
            slope, bend = jax.grad(lambda q: u(*q))(p), jax.hessian(lambda q: u(*q))(p)
            matrix = jnp.stack([f(*p) for f in tensor]).reshape(ndim, ndim)
            return jnp.sum(matrix * bend) + sum(drift[i](*p) * slope[i] for i in range(ndim))

        return jax.vmap(at)(point).reshape(x[0].shape)

    errors = []
    for n in (33, 65):
        grid = pj.Grid(**{name: pj.Uniform(n, length=1.5) for name in "xy"[:ndim]})

        @jax.jit
        def run(a, u):
            changed, later = WaveCovariance(warps, nodes=4)(KEY, a, u)
            start = changed[changed.channels - 1]
            found = 0.0 * start
            for i, name in enumerate(a.names):
                found = found + changed[len(tensor) + i] * d(start, name)
                for j, other in enumerate(a.names):
                    second = d(start, name, 2) if i == j else d(d(start, name), other)
                    found = found + changed[i * ndim + j] * second
            return start, found, later

        start, found, later = run(field(grid, *tensor, *drift[:ndim], u), field(grid, u, acceleration))
        np.testing.assert_allclose(start.values, later[0].values, rtol=1e-12)
        errors.append(size(found - later[1]) / size(later[1]))
    assert orders(errors)[0] > 1.6 and errors[-1] < 0.03


def test_covariance_refuses_what_it_cannot_read():
    grid = pj.Grid(x=pj.Uniform(8), y=pj.Uniform(8))
    u = pj.GridField(jnp.ones((2, 8, 8)), grid)
    with pytest.raises(ValueError, match=r"\[a, a, f\]"):
        jax.eval_shape(EllipticCovariance(TensorWarps()), KEY, u, u)
    with pytest.raises(ValueError, match="strength"):
        TransfiniteWarps(strength=0.7)(KEY, grid)
    with pytest.raises(ValueError, match="TensorWarps"):
        TransfiniteWarps()(KEY, pj.Grid(x=pj.Fourier(8), y=pj.Uniform(8)))
    with pytest.raises(ValueError, match="not of time"):
        space_time = pj.GridField(jnp.ones((2, 8, 8)), pj.Grid(t=pj.Uniform(8), x=pj.Uniform(8)))
        jax.eval_shape(EllipticCovariance(TensorWarps()), KEY, space_time, space_time)


def test_jumps_are_read_linearly():
    """Between two values of a coefficient there are no others beyond them."""
    grid = line(40)
    jump = field(grid, lambda x: jnp.where(x > 1.0, 12.0, 3.0), lambda x: x)
    warp = LINE(KEY, grid)
    changed, _ = jax.jit(EllipticCovariance(LINE))(KEY, jump, jump)
    slope = jax.jit(jax.vmap(jax.jacfwd(warp)))(jnp.asarray(grid.mesh().T))[:, 0, 0]
    values = changed.values[0] * slope
    assert 3 - 1e-9 < values.min() < 3.01 and 11.99 < values.max() < 12 + 1e-9


def test_noise_has_its_size_and_spares_the_ends():
    grid = pj.Grid(x=pj.Sine(33), y=pj.Fourier(32))
    a = field(grid, lambda x, y: jnp.sin(x) * jnp.cos(y), lambda x, y: 100 * jnp.sin(x) + 0 * y)
    rough, same = Noise(0.1)(KEY, a, a)
    noise = np.asarray(rough.values - a.values)
    assert not noise[:, [0, -1]].any() and same is a
    np.testing.assert_allclose(noise[:, 1:-1].std(axis=(1, 2)), 0.1 * np.asarray(a.values).std(axis=(1, 2)), rtol=0.1)
    with pytest.raises(ValueError, match="level"):
        Noise(-1.0)


def test_a_share_of_the_samples_changes():
    a = pj.GridField(jnp.asarray(np.random.default_rng(0).normal(size=(1, 8))), pj.Grid(x=pj.Fourier(8)))
    augment = jax.jit(jax.vmap(lambda key: Sometimes(Noise(1.0), 0.3)(key, a, a)[0].values))
    changed = (np.asarray(augment(jax.random.split(KEY, 400))) != np.asarray(a.values)).any(axis=(1, 2))
    assert 0.22 < changed.mean() < 0.38


def test_images_keep_solutions_and_all_of_them_come():
    grid = pj.Grid(x=pj.Uniform(17), y=pj.Uniform(17))
    a = field(grid, lambda x, y: 1.0 + x + 0.3 * y**2)
    u = field(grid, lambda x, y: x + 2.0 * y)
    augment = jax.jit(jax.vmap(lambda key: [f.values for f in RandomImage(pj.nn.box_images(2))(key, a, u)]))
    before, after = augment(jax.random.split(KEY, 100))
    assert len(np.unique(np.asarray(after).round(6).reshape(100, -1), axis=0)) == 8
    flux = lambda a, u: np.asarray(integrate(a * (d(u, "x") ** 2 + d(u, "y") ** 2)))
    for i in range(20):
        np.testing.assert_allclose(flux(a.with_values(before[i]), u.with_values(after[i])), flux(a, u), rtol=1e-10)
    with pytest.raises(ValueError, match="image"):
        RandomImage(())


def test_unlabelled_data_have_their_inputs_for_targets():
    data = Dataset(np.ones((3, 2, 8)), np.zeros((3, 1, 8)), pj.Grid(x=pj.Fourier(8)), name="a")
    bare = unlabelled(data)
    assert bare.targets is data.inputs and bare.out_channels == 2 and bare.name == "a"
