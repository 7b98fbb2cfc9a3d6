"""Smoothed aggregation on matrices made by others: the data folder and pyamg's gallery."""

import importlib

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from pdejax.solvers.linear import PCG, IncompleteCholesky, SparseMatrix, kernel_projection
from pdejax.solvers.multigrid._algebraic import AlgebraicMultigrid, smoothed_aggregation

pyamg = pytest.importorskip("pyamg", reason="needs the extra amg (pip install pyamg), which is not installed")
PSD = lx.positive_semidefinite_tag


SLOW = pytest.mark.slow


def solve(host, preconditioner, projection=None, rtol=1e-9, limit=200):
    """Steps and true relative residual of PCG for a random right-hand side in the range of the matrix."""
    matrix = SparseMatrix.from_scipy(host, PSD)
    b = jnp.asarray(np.random.default_rng(1).normal(size=host.shape[0]).astype(host.dtype))
    b = b if projection is None else projection.mv(b)
    options, solver = {"preconditioner": preconditioner}, PCG(rtol, max_steps=limit)
    solution = jax.jit(lambda b: lx.linear_solve(matrix, b, solver, options=options, throw=False))(b)
    residual = np.linalg.norm(b - host @ np.asarray(solution.value)) / np.linalg.norm(b)
    return int(solution.stats["num_steps"]), residual


def load(folder, name):
    data = scipy.io.loadmat(folder / "matrices" / f"{name}.mat")
    return scipy.sparse.csr_array(data["A"]).astype(float), data["B"].astype(float)


@pytest.mark.parametrize(
    "name,limit",
    [
        ("unit_square", 12),
        pytest.param("airfoil", 12, marks=SLOW),
        pytest.param("unit_cube", 10, marks=SLOW),
        ("bar", 20),
    ],
)
def test_matrices_of_others(shared_data, name, limit):
    """To 1e-8; `unit_square` is singular (constants), `bar` is elastic with six rigid modes."""
    host, modes = load(shared_data, name)
    amg = smoothed_aggregation(SparseMatrix.from_scipy(host, PSD), modes)
    assert (amg.projection is None) == (name != "unit_square")
    steps, residual = solve(host, amg, amg.projection, limit=limit)
    assert residual < 1e-8, (steps, residual)


@pytest.mark.parametrize("name", ["unit_square", pytest.param("airfoil", marks=SLOW), pytest.param("bar", marks=SLOW)])
def test_incomplete_cholesky_on_matrices_of_others(shared_data, name):
    host, _ = load(shared_data, name)
    matrix = SparseMatrix.from_scipy(host, PSD)
    inverse, projection = IncompleteCholesky(matrix), kernel_projection(matrix)
    if projection is not None:
        inverse = lx.TaggedLinearOperator(projection @ inverse @ projection, PSD)
    assert solve(host, inverse, projection)[1] < 1e-8


def test_steps_do_not_grow_with_the_matrix():
    steps = []
    for n in (16, 48):
        host = scipy.sparse.csr_array(pyamg.gallery.poisson((n, n)))
        steps.append(solve(host, smoothed_aggregation(SparseMatrix.from_scipy(host, PSD)))[0])
    assert steps[1] <= steps[0] + 3 and steps[1] < 15, steps


@SLOW
def test_elasticity():
    host, modes = pyamg.gallery.linear_elasticity((12, 12))
    host = scipy.sparse.csr_array(host)
    matrix = SparseMatrix.from_scipy(host, PSD)
    with_modes, residual = solve(host, smoothed_aggregation(matrix, modes))
    assert residual < 1e-8 and with_modes < 15


@SLOW
def test_anisotropic():
    stencil = pyamg.gallery.diffusion_stencil_2d(epsilon=0.01, theta=np.pi / 4, type="FD")
    host = scipy.sparse.csr_array(pyamg.gallery.stencil_grid(stencil, (24, 24)))
    steps, residual = solve(host, smoothed_aggregation(SparseMatrix.from_scipy(host, PSD)))
    assert residual < 1e-8 and steps < 30


def test_graph_with_lone_nodes():
    """Empty rows, several components, all singular."""
    rng = np.random.default_rng(0)
    weights = scipy.sparse.block_diag([scipy.sparse.random_array((n, n), density=0.02, rng=rng) for n in (90, 60)])
    host = scipy.sparse.csgraph.laplacian(weights + weights.T).tocsr()
    assert (host.diagonal() == 0).sum() > 1
    assert scipy.sparse.csgraph.connected_components(host)[0] > (host.diagonal() == 0).sum() + 1
    amg = smoothed_aggregation(SparseMatrix.from_scipy(host, PSD))
    steps, residual = solve(host, amg, amg.projection)
    assert residual < 1e-8 and steps < 25


def test_cycle_is_symmetric_and_positive():
    host = scipy.sparse.csr_array(pyamg.gallery.poisson((9, 8)))
    amg = smoothed_aggregation(SparseMatrix.from_scipy(host, PSD), max_coarse=5)
    assert len(amg._levels) > 1
    dense = np.asarray(jax.jit(lambda m: m.as_matrix())(amg))
    np.testing.assert_allclose(dense, dense.T, atol=1e-12)
    spectrum = np.linalg.eigvals(dense @ host.toarray()).real
    assert 0.2 < spectrum.min() and spectrum.max() < 1.2


def test_complex_hermitian_and_any_hierarchy():
    """A Peierls phase on the links of a lattice, and a Ruge-Stuben hierarchy in single precision."""
    host = scipy.sparse.csr_array(pyamg.gallery.gauge_laplacian(10, beta=0.1)) + 0.1 * scipy.sparse.eye_array(100)
    assert solve(host, smoothed_aggregation(SparseMatrix.from_scipy(host, PSD)))[1] < 1e-8
    host = pyamg.gallery.poisson((20, 20), format="csr")
    amg = AlgebraicMultigrid(pyamg.ruge_stuben_solver(host), dtype=np.float32)
    single = scipy.sparse.csr_array(host.astype(np.float32))
    assert solve(single, amg, rtol=1e-5)[1] < 1e-4


@pytest.mark.parametrize(
    "host,words",
    [
        (pyamg.gallery.advection_2d((6, 6))[0], "differ"),
        (pyamg.gallery.poisson((12, 12)) - 1.0 * scipy.sparse.eye_array(144), "indefinite"),
        (-pyamg.gallery.poisson((6, 6)), "diagonal entry 0"),
        (scipy.sparse.random_array((6, 5), density=0.5), "square"),
    ],
    ids=["nonsymmetric", "indefinite", "negative", "rectangular"],
)
def test_unfit_matrices_are_refused(host, words):
    with pytest.raises(ValueError, match=words):
        smoothed_aggregation(SparseMatrix.from_scipy(host))


def test_without_pyamg(monkeypatch):
    def absent(name):
        raise ImportError(name)

    matrix = SparseMatrix.from_scipy(pyamg.gallery.poisson((4, 4)), PSD)
    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match="pip install pyamg"):
        smoothed_aggregation(matrix)


def test_traced_values_are_refused():
    matrix = SparseMatrix.from_scipy(pyamg.gallery.poisson((4, 4)), PSD)
    with pytest.raises(ValueError, match="outside jax.jit"):
        jax.jit(lambda v: smoothed_aggregation(matrix.with_values(v)).mv(v[:16]))(matrix.values)
