"""One row admits a method: one to three dimensions, both precisions, under jit, vmap and grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm

S, E, D = pj.solvers, pj.equations, pj.Dirichlet(0.0)
SIZES = (8, 10, 12)


def evolution(method):
    def run(parameter, values):
        names = "xyz"[: values.ndim - 1]
        grid = pj.Grid(**{name: pj.Fourier(n) for name, n in zip(names, values.shape[1:], strict=True)})
        problem = pj.EvolutionProblem(E.AllenCahn(0.1 * parameter, 1.0), pj.GridField(values, grid), t1=0.2)
        return pj.solve(problem, method)

    return run


def steady(method, equation):
    def run(parameter, values):
        names = "xyz"[: values.ndim - 1]
        axes = {name: pj.Uniform(n, lower=D, upper=D) for name, n in zip(names, values.shape[1:], strict=True)}
        grid = pj.Grid(**axes)
        return pj.solve(pj.SteadyProblem(equation(parameter, pj.GridField(values, grid)), grid), method)

    return run


ROWS = {
    "etdrk4": evolution(S.ETDRK4(dt=0.1)),
    "rk4": evolution(S.RK4(dt=0.02)),
    "fast-transform": steady(S.FastTransform(), lambda p, a: E.Helmholtz(p, a)),
    "conjugate-gradient": steady(S.ConjugateGradient(), lambda p, a: E.Darcy(a, p)),
    "gmres": steady(S.GMRES(), lambda p, a: E.Darcy(a, p)),
    "newton": steady(S.Newton(), lambda p, a: E.SemilinearPoisson(20.0 * a, p)),
}


@pytest.mark.parametrize("d,dtype", [(1, jnp.float64), (2, jnp.float32), (3, jnp.float64)], ids=["1", "2-f32", "3"])
@pytest.mark.parametrize("row", ROWS)
def test_method(row, d, dtype):
    values = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (2, 1, *SIZES[:d])), dtype)
    parameter = jnp.asarray(1.3, dtype)
    one = ROWS[row](parameter, values[0])
    assert bool(one.ok) and one.value.dtype == dtype and one.value.values.shape == values[0].shape
    tolerance = 1e-4 if dtype == jnp.float32 else 1e-7

    def size(p, v):
        return norm(ROWS[row](p, v).value)

    (batch, slope) = jax.jit(jax.vmap(jax.value_and_grad(size), in_axes=(None, 0)))(parameter, values)
    assert batch.dtype == slope.dtype == dtype
    np.testing.assert_allclose(batch[0], norm(one.value), rtol=tolerance)
    h = 1e-2 if dtype == jnp.float32 else 1e-4
    central = (size(parameter + h, values[1]) - size(parameter - h, values[1])) / (2 * h)
    np.testing.assert_allclose(slope[1], central, rtol=100 * tolerance, atol=10 * tolerance)
