"""Families of problems followed along a parameter, up to a fold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import pdejax as pj
from pdejax.calculus import d, laplacian
from pdejax.solvers import _continuation as C
from pdejax.solvers import nonlinear as N
from pdejax.solvers.linear import PCG

E, S, D = pj.equations, pj.solvers, pj.Dirichlet(0.0)


class Bratu(E.AbstractSteady):
    rate: jax.Array

    def residual(self, u):
        return -laplacian(u) - self.rate * u.map(jnp.exp, "even")


def family(n):
    grid = pj.Grid(x=pj.Uniform(n, lower=D, upper=D))
    return lambda rate: pj.SteadyProblem(Bratu(rate), grid)


def discrete_fold(n):
    """Largest rate with a solution of the same differences: by shooting from the middle, the rate is a function of the
    maximum (SciPy finds its top).
    """
    h, half = 1 / (n - 1), n // 2

    def end(rate, top):
        # Symmetric about the middle node.
        before, now = top, top - h**2 * rate * np.exp(top) / 2
        for _ in range(half - 1):
            before, now = now, 2 * now - before - h**2 * rate * np.exp(now)
        return now

    rate = lambda top: scipy.optimize.brentq(end, 0.0, 20.0, args=(top,))
    return -scipy.optimize.minimize_scalar(lambda top: -rate(top), bounds=(0.5, 2.0), method="bounded").fun


def test_bratu_up_to_its_fold(caplog):
    """In one dimension the fold is at 3.5138; the discrete one is bracketed to the accuracy asked for, with one
    compiled solve."""
    method, n = N.NewtonKrylov(PCG(1e-2)), 33
    C.continuation(family(n), [0.0], method)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        branch = C.continuation(family(n), [0.0, 1.0, 2.0, 3.0, 4.0], method, smallest=1e-4)
    assert not [r for r in caplog.records if r.getMessage().startswith("Compiling") and "_run" in r.getMessage()]
    fold = discrete_fold(n)
    assert abs(fold - 3.5138) < 3e-3
    last = float(branch.parameters[-1])
    assert last <= fold < branch.failed_at < last + 2 * 4e-4 and not branch.ok
    assert list(branch.parameters[:4]) == [0, 1, 2, 3] and len(branch.num_steps) == len(branch.parameters)
    assert branch.values.data.shape == (len(branch.parameters), 1, n)
    tops = jax.vmap(lambda u: jnp.max(u.values))(branch.values)
    assert np.all(np.diff(tops) > 0) and 1.1 < tops[-1] < 1.2


def test_the_secant_saves_steps():
    method, rates = N.NewtonKrylov(PCG(1e-2)), np.linspace(0, 3.4, 12)
    counts = [int(C.continuation(family(33), rates, method, predictor=p).num_steps.sum()) for p in (C.secant, C.latest)]
    assert counts[0] < counts[1]


class Front(E.AbstractSteady):
    """Steady Burgers' equation."""

    viscosity: jax.Array

    def residual(self, u):
        return u * d(u, "x") - self.viscosity * laplacian(u)


@pytest.mark.slow
def test_a_front_that_steepens():
    """`-a tanh(a x / 2 nu)` between 1 and -1, down to a viscosity that Newton's method does not solve from zero."""
    ends = {"lower": pj.Dirichlet(1.0), "upper": pj.Dirichlet(-1.0)}
    grid = pj.Grid(x=pj.Chebyshev(110, length=2.0, start=-1.0, **ends))
    method = N.NewtonKrylov(rtol=1e-11)
    branch = C.continuation(lambda nu: pj.SteadyProblem(Front(nu), grid), [1.0, 0.3, 0.1, 0.05], method, max_steps=20)
    assert branch.ok and float(branch.parameters[-1]) == 0.05
    at_once = pj.SteadyProblem(Front(jnp.asarray(0.05)), grid, guess=0 * branch.last)
    assert not pj.solve(at_once, method, max_steps=20, throw=False).ok
    # The ends hold the front in its place by forces of exp(-1 / nu) only: small residuals, not so small errors.
    a = scipy.optimize.brentq(lambda a: a * np.tanh(a / 0.1) - 1, 0.9, 1.1)
    x = grid.axis("x").points
    np.testing.assert_allclose(branch.last.values[0], -a * np.tanh(a * x / 0.1), atol=1e-5)


def test_bad_families_are_refused():
    with pytest.raises(ValueError, match="increase or decrease"):
        C.continuation(family(9), [0.0, 2.0, 1.0])
    with pytest.raises(S.SolveError, match="first solve"):
        C.continuation(family(9), [30.0, 31.0], N.NewtonKrylov(PCG(1e-2)))
