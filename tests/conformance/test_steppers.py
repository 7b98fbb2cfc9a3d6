"""One row admits a time stepper: its design order, gradients, both precisions, jit and vmap."""

import inspect

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.solvers.time._stepper import AbstractStepper
from pdejax.verify import observed_order

S, E = pj.solvers, pj.equations

# Steps to the final time in the asymptotic range, coarse enough to stay above rounding.
ROWS = {
    "ETDRK1": (S.ETDRK1, {}, 1, (64, 128)),
    "ETDRK2": (S.ETDRK2, {}, 2, (64, 128)),
    "ETDRK3": (S.ETDRK3, {}, 3, (64, 128)),
    "ETDRK4": (S.ETDRK4, {}, 4, (32, 64)),
    "Krogstad4": (S.Krogstad4, {}, 4, (32, 64)),
    "IFRK4": (S.IFRK4, {}, 4, (32, 64)),
    **{
        f"ExponentialAdamsBashforth{k}": (S.ExponentialAdamsBashforth, {"order": k}, k, (128, 256)) for k in range(1, 6)
    },
    "ARS222": (S.ARS222, {}, 2, (64, 128)),
    "ARS443": (S.ARS443, {}, 3, (64, 128)),
    "SBDF1": (S.SBDF1, {}, 1, (128, 256)),
    "SBDF2": (S.SBDF2, {}, 2, (128, 256)),
    "SBDF3": (S.SBDF3, {}, 3, (128, 256)),
    "SBDF4": (S.SBDF4, {}, 4, (128, 256)),
    "CNAB2": (S.CNAB2, {}, 2, (128, 256)),
    "RK4": (S.RK4, {}, 4, (64, 128)),
    "SSPRK2": (S.SSPRK2, {}, 2, (64, 128)),
    "SSPRK3": (S.SSPRK3, {}, 3, (64, 128)),
    "SSPRK4": (S.SSPRK4, {}, 4, (64, 128)),
    "Strang": (S.Strang, {}, 2, (64, 128)),
    "TASE2": (S.TASE, {"order": 2}, 2, (128, 256)),
    "TASE3": (S.TASE, {"order": 3}, 3, (128, 256)),
    "TASE4": (S.TASE, {"order": 4}, 4, (128, 256)),
    "SinglyTASE2": (S.SinglyTASE, {"order": 2}, 2, (128, 256)),
}
# Their own tests cover the implicit methods, whose steps compile for seconds, and those for waves.
ELSEWHERE = {"Theta", "SDIRK2", "SDIRK3", "ESDIRK4", "Symplectic"}
# The others differ from these in numbers only.
ONE_OF_A_KIND = {
    "ETDRK4",
    "IFRK4",
    "ExponentialAdamsBashforth3",
    "ARS443",
    "SBDF4",
    "CNAB2",
    "RK4",
    "SSPRK3",
    "Strang",
    "TASE3",
}
GRID = pj.Grid(x=pj.Fourier(16, length=2 * np.pi))


def start(dtype):
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x) + 0.3 * jnp.cos(2 * x + 1), GRID)
    return u0.values.astype(dtype)


def final(method, viscosity, values):
    return pj.solve(pj.EvolutionProblem(E.Burgers(viscosity), pj.GridField(values, GRID)), method)


def test_every_stepper_has_a_row():
    public = [c for c in vars(S).values() if inspect.isclass(c) and issubclass(c, AbstractStepper)]
    assert {c.__name__ for c in public} - {c.__name__ for c, *_ in ROWS.values()} == ELSEWHERE


@pytest.fixture(scope="module")
def exact():
    return final(S.Adaptive(diffrax.Dopri8(), rtol=1e-12, atol=1e-13), 0.3, start(jnp.float64)).value


@pytest.mark.parametrize("row", ROWS)
def test_design_order(row, exact):
    cls, settings, order, steps = ROWS[row]
    error = lambda n: norm(final(cls(dt=1 / n, **settings), 0.3, start(jnp.float64)).value - exact)
    below = {"TASE2": 0.1, "TASE3": 0.3, "TASE4": 0.5}.get(row, 0.15)
    assert observed_order(error, steps) > order - below


@pytest.mark.parametrize(
    "row", [row if row in ONE_OF_A_KIND else pytest.param(row, marks=pytest.mark.slow) for row in ROWS]
)
def test_batches_of_gradients(row):
    cls, settings, order, _ = ROWS[row]
    dtype = jnp.float32 if order % 2 else jnp.float64
    method, tolerance = cls(dt=0.05, **settings), 1e-2 if order % 2 else 1e-6
    values = jnp.stack([start(dtype), 0.5 * start(dtype)])
    viscosity = jnp.asarray(0.3, dtype)

    def size(viscosity, v):
        solution = final(method, viscosity, v)
        return norm(solution.value), solution.value.values

    (sizes, ends), slopes = jax.jit(
        jax.vmap(jax.value_and_grad(size, argnums=(0, 1), has_aux=True), in_axes=(None, 0))
    )(viscosity, values)
    assert ends.dtype == slopes[0].dtype == slopes[1].dtype == dtype and ends.shape == values.shape
    h = 1e-2 if dtype == jnp.float32 else 1e-4
    # Along the parameter and along the initial field at once, by forward mode.
    ahead = jax.jit(lambda e: size(viscosity + e, values[1] * (1 + e))[0])
    reverse = slopes[0][1] + jnp.sum(slopes[1][1] * values[1])
    forward = jax.jvp(ahead, (jnp.zeros((), dtype),), (jnp.ones((), dtype),))[1]
    zero = jnp.zeros((), dtype)
    central = (ahead(zero + h) - ahead(zero - h)) / (2 * h)
    np.testing.assert_allclose(reverse, forward, rtol=1e-4 if dtype == jnp.float32 else 1e-9)
    np.testing.assert_allclose(reverse, central, rtol=tolerance)
