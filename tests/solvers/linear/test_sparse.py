"""Sparse matrices, triangular solves, incomplete factors and relaxation against SciPy and dense algebra."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from pdejax.solvers.linear import (
    PCG,
    SOR,
    SSOR,
    Binned,
    ChebCB,
    FactorisedInverse,
    IncompleteCholesky,
    SparseMatrix,
    TriangularInverse,
    TsallisINF,
    jacobi,
    kernel_projection,
)

PSD = lx.positive_semidefinite_tag


def five_point(shape):
    lines = [scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) for n in shape]
    return scipy.sparse.kronsum(*lines[::-1]).tocsr()


def random(rows, columns, density, dtype=float, seed=0):
    return scipy.sparse.random_array((rows, columns), density=density, rng=np.random.default_rng(seed), dtype=dtype)


def hermitian(size, dtype=float):
    half = random(size, size, 0.15, dtype)
    return (half + half.conj().T + 6 * scipy.sparse.eye_array(size)).tocsr()


def vector(size, dtype=float, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=size).astype(dtype))


def hub(size):
    """A lower triangle with two long rows, beside rows of one entry."""
    full = scipy.sparse.eye_array(size).tolil()
    full[size - 1, :], full[size // 2, : size // 2] = 0.5, 0.25
    return (full + scipy.sparse.eye_array(size)).tocsr()


MATRICES = {
    "rectangular": random(30, 41, 0.1),
    "empty": scipy.sparse.csr_array((7, 5)),
    "hub": hub(150),
    "long rows": random(70, 90, 0.9),
    "complex": random(20, 20, 0.2, complex),
    "single": random(20, 31, 0.2, np.float32),
}


@pytest.mark.parametrize("name", MATRICES)
def test_products(name):
    host = MATRICES[name]
    matrix = SparseMatrix.from_scipy(host)
    x, y = vector(host.shape[1], host.dtype), vector(host.shape[0], host.dtype)
    rtol = 1e-5 if host.dtype == np.float32 else 1e-12
    forward, backward, dense = jax.jit(lambda m, x, y: (m.mv(x), m.T.mv(y), lx.conj(m).as_matrix()))(matrix, x, y)
    assert forward.dtype == host.dtype
    np.testing.assert_allclose(forward, host @ np.asarray(x), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(backward, host.T @ np.asarray(y), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(dense, host.conj().toarray())
    np.testing.assert_array_equal(matrix.to_scipy().toarray(), host.toarray())


def test_entries_in_any_order_add_up():
    rows, columns, values = np.array([2, 0, 2, 1]), np.array([1, 0, 1, 2]), jnp.array([1.0, 2.0, 3.0, 4.0])
    matrix = SparseMatrix.from_entries(rows, columns, values, (3, 3))
    np.testing.assert_array_equal(matrix.as_matrix(), [[2, 0, 0], [0, 0, 4], [0, 4, 0]])
    lower, upper = lx.tridiagonal(matrix)[1:]
    np.testing.assert_array_equal(lx.diagonal(matrix), [2, 0, 0])
    np.testing.assert_array_equal((lower, upper), [[0, 4], [0, 4]])


def test_one_compilation_for_a_pattern():
    host = five_point((4, 5))
    traces = []

    @jax.jit
    def product(matrix, x):
        traces.append(1)
        return matrix.mv(x)

    for scale in (1, 2):
        matrix = SparseMatrix.from_scipy(scale * host)
        np.testing.assert_allclose(product(matrix, jnp.ones(20)), scale * host.sum(axis=1))
    assert len(traces) == 1


def test_lineax_solves_and_differentiates():
    """The gradient of a solve with respect to the values: `-lambda_i x_j` at the entry `ij`, `A^T lambda = 2 x`."""
    host = (random(30, 30, 0.1) + 3 * scipy.sparse.eye_array(30)).tocsr()
    matrix, b = SparseMatrix.from_scipy(host), vector(30)

    @jax.jit
    @jax.value_and_grad
    def value(values):
        return jnp.sum(lx.linear_solve(matrix.with_values(values), b, lx.GMRES(1e-12, 1e-12)).value ** 2)

    x = scipy.sparse.linalg.spsolve(host.tocsc(), np.asarray(b))
    dual = scipy.sparse.linalg.spsolve(host.T.tocsc(), 2 * x)
    energy, gradient = value(matrix.values)
    np.testing.assert_allclose(energy, x @ x, rtol=1e-9)
    pattern = matrix.pattern
    np.testing.assert_allclose(gradient, -dual[pattern.rows] * x[pattern.columns], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("host", [hub(150), hermitian(40, complex), five_point((9, 8))], ids=["hub", "complex", "grid"])
def test_triangular_inverse(host):
    host = scipy.sparse.tril(host).tocsr()
    inverse = TriangularInverse(SparseMatrix.from_scipy(host))
    b = vector(host.shape[0], host.dtype)
    solve = jax.jit(lambda inverse, b: (inverse.mv(b), inverse.T.mv(b)))
    forward, backward = solve(inverse, b)
    np.testing.assert_allclose(forward, np.linalg.solve(host.toarray(), b), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(backward, np.linalg.solve(host.T.toarray(), b), rtol=1e-10, atol=1e-12)
    assert lx.is_lower_triangular(inverse) and lx.is_upper_triangular(inverse.T)


def test_triangular_inverse_derivatives():
    host = scipy.sparse.tril(hermitian(25)).tocsr()
    matrix, b = SparseMatrix.from_scipy(host), vector(25)
    inverse = TriangularInverse(matrix)
    ours = jax.grad(lambda v, b: jnp.sum(jnp.sin(inverse.with_values(v).mv(b))), argnums=(0, 1))
    dense = lambda v, b: jnp.sum(jnp.sin(jnp.linalg.solve(matrix.with_values(v).as_matrix(), b)))
    for got, want in zip(*jax.jit(lambda *a: (ours(*a), jax.grad(dense, argnums=(0, 1))(*a)))(matrix.values, b)):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def cholesky_without_fill(a):
    """Right-looking Cholesky on a dense array that drops what falls outside of the pattern."""
    pattern, factor = a != 0, np.tril(a).copy()
    for j in range(len(a)):
        factor[j, j] = np.sqrt(factor[j, j])
        factor[j + 1 :, j] /= factor[j, j]
        outer = np.outer(factor[j + 1 :, j], factor[j + 1 :, j].conj())
        factor[j + 1 :, j + 1 :] -= np.where(np.tril(pattern[j + 1 :, j + 1 :]), outer, 0)
    return factor


@pytest.mark.parametrize("host", [five_point((6, 7)), hermitian(40, complex)], ids=["grid", "complex"])
def test_incomplete_cholesky(host):
    inverse = IncompleteCholesky(SparseMatrix.from_scipy(host, PSD))
    factor = cholesky_without_fill(host.toarray())
    assert float(inverse.shift) == 0
    np.testing.assert_allclose(inverse.factor.as_matrix(), factor, rtol=1e-12, atol=1e-13)
    dense = np.linalg.inv(factor @ factor.conj().T)
    np.testing.assert_allclose(jax.jit(lambda m: m.as_matrix())(inverse), dense, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda m: m.T.as_matrix())(inverse), dense.T, rtol=1e-9, atol=1e-12)


def test_incomplete_cholesky_shifts_on_breakdown():
    """Kershaw's matrix (1978): definite, but incomplete elimination meets a negative pivot."""
    host = scipy.sparse.csr_array(np.array([[3.0, -2, 0, 2], [-2, 3, -2, 0], [0, -2, 3, -2], [2, 0, -2, 3]]))
    assert np.linalg.eigvalsh(host.toarray())[0] > 0
    with np.errstate(invalid="ignore"):
        assert np.isnan(cholesky_without_fill(host.toarray())).any()
    inverse = IncompleteCholesky(SparseMatrix.from_scipy(host, PSD))
    shift = float(inverse.shift)
    assert 0 < shift < 1
    shifted = host.toarray() + shift * np.diag(host.diagonal())
    np.testing.assert_allclose(inverse.factor.as_matrix(), cholesky_without_fill(shifted), atol=1e-12)


@pytest.mark.slow
def test_incomplete_cholesky_of_traced_values():
    """A gradient with respect to the values of a solve whose preconditioner is made of the same values."""
    host = hermitian(30)
    matrix, b = SparseMatrix.from_scipy(host, PSD), vector(30)

    @jax.jit
    @jax.vmap
    @jax.value_and_grad
    def value(scale):
        system = matrix.with_values(scale * matrix.values)
        options = {"preconditioner": IncompleteCholesky(system)}
        return jnp.sum(lx.linear_solve(system, b, PCG(1e-12), options=options).value ** 2)

    exact = np.sum(np.linalg.solve(host.toarray(), b) ** 2)
    energy, slope = value(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(energy, [exact, exact / 4], rtol=1e-9)
    np.testing.assert_allclose(slope, [-2 * exact, -exact / 4], rtol=1e-8)


def test_preconditioners_save_steps():
    host = five_point((21, 20))
    matrix, b = SparseMatrix.from_scipy(host, PSD), vector(420)
    solve = jax.jit(lambda M: lx.linear_solve(matrix, b, PCG(1e-10), options={"preconditioner": M}))
    truth = scipy.sparse.linalg.spsolve(host.tocsc(), np.asarray(b))
    steps = []
    for preconditioner in (jacobi(matrix), SSOR(matrix, 1.7), IncompleteCholesky(matrix)):
        solution = solve(preconditioner)
        np.testing.assert_allclose(solution.value, truth, rtol=1e-6, atol=1e-8)
        steps.append(int(solution.stats["num_steps"]))
    assert steps[1] < 0.6 * steps[0] and steps[2] < 0.6 * steps[0], steps


@pytest.mark.parametrize("dtype", [float, complex])
def test_ssor_is_the_product_of_its_sweeps(dtype):
    host, omega = hermitian(30, dtype), 1.3
    a = host.toarray()
    d, lower, upper = np.diag(np.diag(a)), np.tril(a, -1), np.triu(a, 1)
    inverse = (2 - omega) * np.linalg.inv(d / omega + upper) @ (d / omega) @ np.linalg.inv(d / omega + lower)
    matrix = SparseMatrix.from_scipy(host, PSD)
    np.testing.assert_allclose(jax.jit(lambda m: m.as_matrix())(SSOR(matrix, omega)), inverse, rtol=1e-9, atol=1e-12)


def test_sor_counts_and_converges():
    """The five-point matrix and Young's best parameter: the spectral radius falls from `rho^2` to `omega - 1`."""
    n = 12
    host = five_point((n, n))
    matrix, b = SparseMatrix.from_scipy(host), vector(n * n)
    radius = np.cos(np.pi / (n + 1))
    best = 2 / (1 + np.sqrt(1 - radius**2))

    @jax.jit
    def solve(omega):
        solution = lx.linear_solve(matrix, b, SOR(omega, 1e-10, max_steps=500, history=500), throw=False)
        return solution.value, solution.stats, solution.result == lx.RESULTS.successful

    x, plain, done = solve(1.0)
    assert done and int(plain["num_matvecs"]) == int(plain["num_steps"])
    np.testing.assert_allclose(x, scipy.sparse.linalg.spsolve(host.tocsc(), np.asarray(b)), rtol=1e-7, atol=1e-8)
    history = plain["residual_history"]
    rate = (history[300] / history[200]) ** 0.01
    np.testing.assert_allclose(rate, radius**2, rtol=1e-3)
    assert int(solve(best)[1]["num_steps"]) < 0.3 * int(plain["num_steps"])


def test_sor_says_when_it_diverges_or_runs_out():
    host = (random(20, 20, 0.5) - 0.1 * scipy.sparse.eye_array(20)).tocsr()
    solver = lambda steps: SOR(1.5, 1e-10, max_steps=steps)
    matrix, b = SparseMatrix.from_scipy(host), vector(20)
    results = jax.jit(lambda b: [lx.linear_solve(matrix, b, solver(k), throw=False).result for k in (None, 1)])(b)
    assert results[0] == lx.RESULTS.breakdown and results[1] == lx.RESULTS.max_steps_reached


def test_sor_batch_counts_lane_by_lane():
    host = five_point((6, 6))
    matrix, b = SparseMatrix.from_scipy(host), vector(36)

    def steps(shift):
        on_diagonal = jnp.asarray(matrix.pattern.rows == matrix.pattern.columns)
        shifted = matrix.with_values(jnp.where(on_diagonal, matrix.values + shift, matrix.values))
        return lx.linear_solve(shifted, b, SOR(1.2, 1e-8)).stats["num_steps"]

    shifts = jnp.array([0.0, 0.3, 5.0])
    alone = jax.jit(steps)
    together, apart = jax.jit(jax.vmap(steps))(shifts), jnp.stack([alone(s) for s in shifts])
    np.testing.assert_array_equal(together, apart)
    assert len(set(together.tolist())) == 3


def test_sor_adjoint():
    host = (random(30, 30, 0.1) + 4 * scipy.sparse.eye_array(30)).tocsr()
    matrix, b = SparseMatrix.from_scipy(host), vector(30)
    gradient = jax.jit(jax.grad(lambda b: jnp.sum(lx.linear_solve(matrix, b, SOR(1.1, 1e-13)).value ** 2)))(b)
    inverse = np.linalg.inv(host.toarray())
    np.testing.assert_allclose(gradient, 2 * inverse.T @ inverse @ np.asarray(b), rtol=1e-9, atol=1e-11)


def test_kernel_by_component():
    """A graph of two paths and two lone nodes: constants on each part are annihilated, and nothing else."""
    path = lambda n: scipy.sparse.csgraph.laplacian(scipy.sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(n, n)))
    host = scipy.sparse.block_diag([path(5), path(7), scipy.sparse.csr_array((2, 2))]).tocsr()
    projection = kernel_projection(SparseMatrix.from_scipy(host, PSD))
    dense = np.asarray(projection.as_matrix())
    null = scipy.linalg.null_space(host.toarray())
    np.testing.assert_allclose(dense, np.eye(14) - null @ null.T, atol=1e-12)
    assert kernel_projection(SparseMatrix.from_scipy(five_point((3, 3)), PSD)) is None


@pytest.mark.parametrize("make", [IncompleteCholesky, SSOR])
@pytest.mark.parametrize(
    "host,words",
    [
        (random(6, 5, 0.5), "square"),
        (random(6, 6, 0.5), "differ"),
        (-five_point((3, 3)), "diagonal entry 0"),
        (scipy.sparse.diags_array([1.0, 0.0, 2.0]), "diagonal entry 1"),
    ],
    ids=["rectangular", "nonsymmetric", "negative", "zero row"],
)
def test_unfit_matrices_are_refused(make, host, words):
    with pytest.raises(ValueError, match=words):
        make(SparseMatrix.from_scipy(host))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="differ"):
        SparseMatrix.from_scipy(random(6, 6, 0.5), lx.symmetric_tag)
    with pytest.raises(ValueError, match="not finite"):
        SparseMatrix.from_scipy(scipy.sparse.diags_array([1.0, np.nan]))
    with pytest.raises(ValueError, match="places outside"):
        SparseMatrix.from_entries([0, 3], [0, 0], jnp.ones(2), (3, 3))
    with pytest.raises(TypeError, match="SparseMatrix.from_scipy"):
        lx.linear_solve(lx.MatrixLinearOperator(jnp.eye(3)), jnp.ones(3), SOR(1.0, 1e-8))
    with pytest.raises(ValueError, match="omega"):
        SSOR(SparseMatrix.from_scipy(five_point((3, 3))), 2.5)
    with pytest.raises(ValueError, match="both sides"):
        TriangularInverse(SparseMatrix.from_scipy(five_point((3, 3))))


def test_factor_whose_values_are_learned():
    """Gradients reach the values of a factor through its two solves."""
    factor = SparseMatrix.from_scipy(scipy.sparse.tril(hermitian(12)).tocsr())
    b = vector(12)
    ours = lambda v: jnp.sum(FactorisedInverse(factor.with_values(v)).mv(b) ** 2)
    dense = lambda l: jnp.sum(jnp.linalg.solve(l @ l.T, b) ** 2)
    both = jax.jit(lambda v: (jax.grad(ours)(v), jax.grad(lambda v: dense(factor.with_values(v).as_matrix()))(v)))
    through, want = both(factor.values)
    np.testing.assert_allclose(through, want, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "bandit", [TsallisINF(4), Binned(TsallisINF(4), [0.3]), ChebCB(4, 0.0, 1.0)], ids=["Tsallis", "binned", "ChebCB"]
)
def test_bandits_find_the_cheap_action(bandit):
    rng = np.random.default_rng(0)
    mean, taken = np.array([30.0, 12.0, 40.0, 25.0]), []
    for _ in range(1500):
        context = rng.uniform()
        p = bandit.probabilities(context)
        assert p.min() > 0 and abs(p.sum() - 1) < 1e-12
        action = rng.choice(4, p=p)
        taken.append(action)
        bandit = bandit.update(action, max(1.0, mean[action] + rng.normal()), context)
    assert np.mean(np.array(taken[-500:]) == 1) > 0.75


def test_context_is_used():
    """Where the best action changes with the context, the contextual learner pays less than any one action."""
    rng, bandit, paid = np.random.default_rng(0), ChebCB(2, 0.0, 1.0), []
    for _ in range(1500):
        context = rng.uniform()
        cost = np.array([10 + 40 * context, 50 - 40 * context])
        action = rng.choice(2, p=bandit.probabilities(context))
        paid.append(cost[action])
        bandit = bandit.update(action, cost[action], context)
    assert np.mean(paid[-500:]) < 24  # the better of the two: 20, either alone: 30


def test_tsallis_weights_solve_their_equation():
    """The stationarity condition of `min <p, k> - (4 / eta) sum sqrt(p)`... : `eta (k - x) sqrt(p) = 2` for one x."""
    bandit = TsallisINF(3)
    for action, cost in ((0, 5.0), (1, 9.0), (0, 7.0)):
        bandit = bandit.update(action, cost)
    p, scale = bandit.probabilities(), bandit.total / bandit.rounds
    shift = 2 / np.sqrt(p) / (2 / np.sqrt(bandit.rounds + 1)) - bandit.losses / scale
    np.testing.assert_allclose(shift, shift[0], rtol=1e-9)
