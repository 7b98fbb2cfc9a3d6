"""The multigrid convolution: a solver before it is trained, against SciPy and NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import pdejax as pj
from pdejax.equations import Poisson, ScreenedPoisson
from pdejax.grids import Dirichlet, Neumann, Periodic
from pdejax.nn import MgConv

KEY = jax.random.key(0)


def closed(n, lower=Dirichlet, upper=Dirichlet, length=1.0):
    return pj.Uniform(n, length, lower=lower(), upper=upper())


def unknown(grid):
    """One where a node is not given by a Dirichlet end."""
    out = np.ones((1, *grid.shape))
    for i, axis in enumerate(grid.axes):
        for at, _ in axis.known_ends:
            np.moveaxis(out, 1 + i, 0)[at] = 0.0
    return out


def iterated(equation, grid, levels, f, cycles=15):
    """The last iterate of `u <- u + cycle(f - A u)` and the factors by which its residual fell."""
    cycle, free = MgConv.classical(equation.residual, grid, levels), unknown(grid)
    zero = equation.residual(pj.GridField(jnp.zeros(f.shape), grid)).values

    @jax.jit
    def step(u):
        r = free * (f - (equation.residual(pj.GridField(u, grid)).values - zero))
        return u + cycle(pj.GridField(r, grid)).values, jnp.linalg.norm(r)

    u, norms = jnp.zeros_like(f), []
    for _ in range(cycles):
        u, norm = step(u)
        norms.append(float(norm))
    return u, np.array(norms[1:]) / norms[:-1], norms[0]


def source(grid):
    return jnp.asarray(unknown(grid) * np.random.default_rng(0).normal(size=(1, *grid.shape)))


def second_difference(n, h):
    return scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], (n, n)) / h**2


@pytest.mark.parametrize("k", [4, 5, 6])
def test_poisson_in_the_plane(k):
    """One sweep before and one after: the error falls fivefold a cycle whatever the grid, to SciPy's solution."""
    n = 2**k + 1
    grid = pj.Grid(x=closed(n), y=closed(n))
    f = source(grid)
    u, factors, _ = iterated(Poisson(), grid, k, f)
    assert np.all(factors < 0.2)
    line, one = second_difference(n - 2, 1 / (n - 1)), scipy.sparse.identity(n - 2)
    matrix = (scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line)).tocsc()
    wanted = scipy.sparse.linalg.spsolve(matrix, np.asarray(f[0, 1:-1, 1:-1]).ravel()).reshape(n - 2, n - 2)
    np.testing.assert_allclose(u[0, 1:-1, 1:-1], wanted, rtol=0, atol=1e-10 * np.max(np.abs(wanted)))
    assert np.all(np.asarray(u)[(1 - unknown(grid)) == 1] == 0)


@pytest.mark.parametrize(
    ("grid", "levels", "equation"),
    [
        (pj.Grid(x=closed(33)), 5, Poisson()),
        (pj.Grid(x=closed(33, Neumann), y=closed(17, length=0.5)), 4, Poisson()),
        pytest.param(
            pj.Grid(x=closed(9), y=closed(9), z=closed(9)), 3, ScreenedPoisson(screening=4.0), marks=pytest.mark.slow
        ),
        (pj.Grid(x=pj.Uniform(16, lower=Periodic(), upper=Periodic()), y=closed(17)), 4, ScreenedPoisson()),
        (pj.Grid(x=closed(17, Neumann, Neumann)), 4, ScreenedPoisson(screening=3.0)),
    ],
)
def test_other_boundaries_and_dimensions(grid, levels, equation):
    """Against the dense matrix of the residual, column by column."""
    f, free = source(grid), unknown(grid).ravel() == 1
    u, factors, first = iterated(equation, grid, levels, f, cycles=12)
    assert np.prod(factors) < 0.2 ** len(factors)
    linear = lambda v: equation.residual(pj.GridField(v.reshape(f.shape), grid)).values.ravel()
    matrix = np.asarray(jax.jacobian(linear)(jnp.zeros(f.size)))[np.ix_(free, free)]
    wanted = np.linalg.solve(matrix, np.asarray(f).ravel()[free])
    np.testing.assert_allclose(np.asarray(u).ravel()[free], wanted, rtol=0, atol=1e-7 * np.max(np.abs(wanted)))


def test_classical_weights_are_trainable():
    """Every array of the solver hears the error of its solution."""
    grid = pj.Grid(x=closed(9), y=closed(9))
    cycle, f = (
        MgConv.classical(Poisson().residual, grid, 2),
        pj.GridField(source(pj.Grid(x=closed(9), y=closed(9))), grid),
    )
    found = eqx.filter_jit(eqx.filter_grad(lambda m: jnp.sum(jnp.sin(m(f).values))))(cycle)
    assert len(jax.tree.leaves(found)) > 6
    assert all(float(jnp.max(jnp.abs(leaf))) > 0 for leaf in jax.tree.leaves(found))


def test_published_cycle_written_out():
    """Two levels on a periodic line, by NumPy matrices of the parts."""
    n, layer = 8, MgConv(2, 3, 2, 1, sweeps=(2, (1, 1)), key=KEY)
    f = np.random.default_rng(0).normal(size=(2, n))

    def conv(part, v, stride=1):
        taps = np.asarray(part.weight)
        return sum(taps[..., o + 1] @ np.roll(v, -o, axis=1) for o in (-1, 0, 1))[:, ::stride]

    sweep = lambda part, u, f: u + conv(part.smoother, f - conv(part.operator, u))
    u = conv(layer.before[0][0].smoother, f)
    u = sweep(layer.before[0][1], u, f)
    down, up = layer.down[0], np.asarray(layer.up[0].weight)
    coarse, g = conv(down.state, u, 2), conv(down.source, f, 2)
    coarse = sweep(layer.after[1][0], sweep(layer.before[1][0], coarse, g), g)
    wanted = u.copy()
    for j in range(n // 2):
        for tap, to in enumerate((2 * j + 2, 2 * j + 1, 2 * j, 2 * j - 1)):
            wanted[:, to % n] += up[:, :, tap] @ coarse[:, j]
    found = eqx.filter_jit(layer)(pj.GridField(jnp.asarray(f), pj.Grid(x=pj.Fourier(n)))).values
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)


def test_errors():
    line = pj.Grid(x=closed(17))
    with pytest.raises(ValueError, match="multiple of 32"):
        MgConv.classical(Poisson().residual, line, 6)
    with pytest.raises(ValueError, match="derivatives of order 1 and 2"):
        MgConv.classical(lambda u: u.derivative("x", 4), line, 2)
    with pytest.raises(ValueError, match="constant coefficients"):
        MgConv.classical(lambda u: u.coordinate("x") * u.derivative("x", 2), line, 2)
    with pytest.raises(ValueError, match="levels=4"):
        MgConv(1, 1, 5, 1, key=KEY).on_values(jnp.ones((1, 16)), pj.Grid(x=pj.Fourier(16)))
    with pytest.raises(ValueError, match="sweeps"):
        MgConv(1, 1, 3, 1, sweeps=(1, 1), key=KEY)


def test_linear_interpolation_is_contained():
    """The classical transfer reproduces a straight line between Neumann ends, on the nodes of the finer grid."""
    fine = pj.Grid(x=closed(9, Neumann, Neumann))
    up = MgConv.classical(ScreenedPoisson().residual, fine, 2).up[0]
    x = jnp.linspace(0.0, 1.0, 5)[:, None]
    np.testing.assert_allclose(up(x, fine, (9,))[:, 0], np.linspace(0, 1, 9), rtol=0, atol=1e-15)
