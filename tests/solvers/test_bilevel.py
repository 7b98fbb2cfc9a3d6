"""Hypergradients: ridge regression in closed form, unrolled training, finite differences, honest failure."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import inner as product
from pdejax.solvers import MINRES, PCG, Neumann
from pdejax.solvers._bilevel import hypergradient, largest_curvature, minimiser


def ridge(features=12, condition=32.0, dtype=np.float64):
    """Training loss whose Hessian at `hyper = log(penalties)` has this condition number, validation loss, minimiser;
    and the gradient of the validation loss by numpy.
    """
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((features, features)))[0]
    penalty = rng.uniform(0.1, 0.9, features)
    hessian = (q * np.geomspace(1, condition, features)) @ q.T
    x = np.linalg.cholesky(hessian - np.diag(penalty)).T
    xv, y, yv = rng.standard_normal((features, features)), *rng.standard_normal((2, features))
    w = np.linalg.solve(hessian, x.T @ y)
    expected = -penalty * w * np.linalg.solve(hessian, xv.T @ (xv @ w - yv))
    x, y, xv, yv, w, hyper = (jnp.asarray(a, dtype) for a in (x, y, xv, yv, w, np.log(penalty)))
    half = lambda r: jnp.sum(r**2) / 2
    train = lambda w, h: half(x @ w - y) + jnp.sum(jnp.exp(h) * w**2) / 2
    return train, lambda w, h: half(xv @ w - yv), w, hyper, expected


def relative(found, expected):
    return np.linalg.norm(np.asarray(found) - np.asarray(expected)) / np.linalg.norm(expected)


@pytest.mark.parametrize("dtype,tight", [(np.float64, 1e-7), (np.float32, 1e-3)])
def test_ridge_in_closed_form(dtype, tight):
    train, valid, w, hyper, expected = ridge(dtype=dtype)
    found = hypergradient(valid, train, w, hyper)
    assert found.gradient.dtype == dtype and found.result == lx.RESULTS.successful
    assert relative(found.gradient, expected) < tight and found.residual < tight and found.slope < tight
    np.testing.assert_allclose(found.value, valid(w, hyper), rtol=1e-6)
    through = jax.jit(jax.grad(lambda h: valid(minimiser(train, w, h), h)))(hyper)
    assert relative(through, expected) < tight


def test_few_steps_of_conjugate_gradients_say_how_far_they_came():
    train, valid, w, hyper, expected = ridge(40)
    errors = []
    for steps in (5, 20):
        found = hypergradient(valid, train, w, hyper, PCG(1e-14, max_steps=steps))
        assert found.num_steps == steps and found.result != lx.RESULTS.successful
        x = -found.gradient / (jnp.exp(hyper) * w)
        right = jax.grad(valid)(w, hyper)
        hessian = jax.hessian(train)(w, hyper)
        np.testing.assert_allclose(found.residual, relative(hessian @ x, right), rtol=1e-6)
        errors.append(relative(found.gradient, expected))
    assert errors[1] < 1e-3 < errors[0]


def test_neumann_series_is_the_unrolled_descent():
    train, valid, w, hyper, _ = ridge()
    scale = 1 / float(largest_curvature(train, w, hyper))
    slope = jax.grad(train)

    @jax.jit
    def unrolled(hyper):
        descend = lambda v, _: (v - scale * slope(v, hyper), None)
        return valid(jax.lax.scan(descend, w, length=7)[0], hyper)

    expected = jax.grad(unrolled)(hyper)
    assert relative(hypergradient(valid, train, w, hyper, Neumann(7, scale)).gradient, expected) < 1e-12
    through = jax.grad(lambda h: valid(minimiser(train, w, h, Neumann(7, scale), accept=1.0), h))(hyper)
    assert relative(through, expected) < 1e-12


def test_largest_curvature_is_that_of_numpy():
    train, _, w, hyper, _ = ridge()
    exact = np.linalg.eigvalsh(jax.hessian(train)(w, hyper))[-1]
    assert 0.9 * exact < largest_curvature(train, w, hyper) <= exact * (1 + 1e-12)
    np.testing.assert_allclose(largest_curvature(train, w, hyper, 200), exact, rtol=1e-6)


def test_pytrees_fields_complex_numbers_and_a_direct_term():
    """`w` is a field and a complex number, the minimiser is known, the outer loss depends on `hyper` itself."""
    grid = pj.Grid(x=pj.Fourier(8))
    target = pj.GridField.from_function(jnp.sin, grid)
    hyper = {"pull": jnp.asarray(0.5), "goal": jnp.asarray(1.0 + 2.0j), "name": "unused"}

    def train(w, h):
        gap, far = w["u"] - target, w["z"] - h["goal"] ** 2
        return product(gap, gap)[0] + h["pull"] * product(w["u"], w["u"])[0] + far.real**2 + far.imag**2

    valid = lambda w, h: product(w["u"], w["u"])[0] + jnp.real(w["z"]) + h["pull"] ** 2
    w = {"u": target / 1.5, "z": hyper["goal"] ** 2, "depth": 3}
    exact = lambda h: jnp.pi / (1 + h["pull"]) ** 2 + jnp.real(h["goal"] ** 2) + h["pull"] ** 2
    expected = jax.grad(lambda p, g: exact({"pull": p, "goal": g}), (0, 1))(hyper["pull"], hyper["goal"])
    found = hypergradient(valid, train, w, hyper)
    for name, want in zip(("pull", "goal"), expected, strict=True):
        np.testing.assert_allclose(found.gradient[name], want, rtol=1e-7)
    assert found.gradient["name"] is None


def test_minimiser_forward_batched_closed_over_and_twice():
    """Against `w = b / (1 + h)`, `h` in what the loss closes over."""
    b = jnp.asarray([1.0, -2.0])

    def total(h):
        w = minimiser(lambda w, _: jnp.sum((w - b) ** 2 + h * w**2), jax.lax.stop_gradient(b / (1 + h)), None)
        return jnp.sum(w**3)

    h = jnp.asarray([0.5, 2.0])
    slope = -3 * jnp.sum(b**3) / (1 + h) ** 4
    np.testing.assert_allclose(jax.vmap(jax.grad(total))(h), slope, rtol=1e-7)
    np.testing.assert_allclose(jax.vmap(lambda x: jax.jvp(total, (x,), (jnp.ones(()),))[1])(h), slope, rtol=1e-7)


def test_failure_shows():
    train, valid, w, hyper, _ = ridge()
    saddle = lambda w, h: train(w, h) - 5 * jnp.sum(w**2)
    found = hypergradient(valid, saddle, w, hyper)
    assert found.result == lx.RESULTS.breakdown and found.slope > 1
    assert hypergradient(valid, saddle, w, hyper, MINRES(1e-8)).residual < 1e-7
    assert hypergradient(valid, saddle, w, hyper, damping=10.0).result == lx.RESULTS.successful
    rough = PCG(1e-14, max_steps=4)
    total = lambda accept: lambda h: valid(minimiser(train, w, h, rough, accept=accept), h)
    assert jnp.isnan(jax.jvp(total(1e-2), (hyper,), (hyper,))[1])
    assert jnp.all(jnp.isfinite(jax.grad(total(1.0))(hyper)))
    assert jnp.all(jnp.isnan(jax.grad(total(1e-2))(hyper)))


def test_second_call_does_not_compile_again(caplog):
    train, valid, w, hyper, _ = ridge()
    hypergradient(valid, train, w, hyper)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        hypergradient(valid, train, 2 * w, hyper - 1)
    assert not [r for r in caplog.records if r.getMessage().startswith("Compiling") and "hypergrad" in r.getMessage()]
