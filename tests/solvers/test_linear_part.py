"""Linear parts that couple modes, and the adjoints of a rollout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import pdejax as pj
from pdejax.calculus import diffuse, norm
from pdejax.solvers.time import _linear_part

S, E = pj.solvers, pj.equations


class Layered(E.AbstractEvolution):
    """`u_t = div((2 + cos x) grad u) - u^3`."""

    def linear(self, u):
        return diffuse(pj.FunctionField.from_function(lambda x: 2 + jnp.cos(x), ("x",)), u)

    def nonlinear(self, u, t):
        return -(u**3)


AXES = {
    "sine": pj.Sine(24, length=np.pi),
    "uniform": pj.Uniform(25, length=np.pi, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0)),
    "chebyshev": pj.Chebyshev(20, length=np.pi, start=0.0, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0)),
}


def problem(axis):
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x) + 0.3 * jnp.sin(2 * x), pj.Grid(x=AXES[axis]))
    return pj.EvolutionProblem(Layered(), u0, t1=0.2)


@pytest.mark.parametrize(
    "axis", [axis if axis == "sine" else pytest.param(axis, marks=pytest.mark.slow) for axis in AXES]
)
def test_dense_and_krylov_functions_of_a_coupling_operator_agree(axis, monkeypatch):
    dense = pj.solve(problem(axis), S.ETDRK4(dt=0.02))
    monkeypatch.setattr(_linear_part, "DENSE_LIMIT", 4)
    krylov = pj.solve(problem(axis), S.ETDRK4(dt=0.02))
    assert "dense" in dense.stats["linear part"] and "dense" not in krylov.stats["linear part"]
    assert norm(dense.value - krylov.value) < 1e-7 * norm(dense.value)
    fine = pj.solve(problem(axis), S.ETDRK4(dt=0.01)).value
    assert norm(dense.value - fine) < 1e-6 * norm(fine)


def test_the_dense_exponential_is_that_of_the_stencil():
    grid = pj.Grid(x=AXES["uniform"])
    columns = [Layered().linear(pj.GridField(jnp.asarray(row)[None], grid)).values[0] for row in np.eye(25)]
    matrix = np.stack(columns, axis=1)[1:-1, 1:-1]
    u0 = problem("uniform").u0

    class Linear(Layered):
        """Without the cubic term."""

        def nonlinear(self, u, t):
            return 0.0 * u

    end = pj.solve(pj.EvolutionProblem(Linear(), u0, t1=0.2), S.ETDRK1(dt=0.1)).value.values[0, 1:-1]
    np.testing.assert_allclose(end, scipy.linalg.expm(0.2 * matrix) @ u0.values[0, 1:-1], rtol=1e-9)


@pytest.mark.parametrize(
    "adjoint", [S.CheckpointedAdjoint(levels=2), S.CheckpointedAdjoint(levels=3), S.RecursiveAdjoint()]
)
@pytest.mark.parametrize("steps", [7, 24])
def test_nested_checkpoints_give_the_same_gradient(adjoint, steps):
    grid = pj.Grid(x=pj.Fourier(16))
    u0 = pj.GridField.from_function(lambda x: jnp.sin(2 * jnp.pi * x), grid).values

    def loss(v, adjoint):
        problem = pj.EvolutionProblem(E.Burgers(0.05), pj.GridField(v, grid), t1=0.3)
        return norm(pj.solve(problem, S.ETDRK2(dt=0.3 / steps), adjoint=adjoint).value)

    found, wanted = (jax.grad(loss)(u0, a) for a in (adjoint, S.UnrolledAdjoint()))
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)


def test_the_implicit_adjoint_differentiates_the_steady_state():
    grid = pj.Grid(x=pj.Sine(16, length=np.pi))
    u0 = pj.GridField.from_function(lambda x: 0.0 * x, grid)
    source = pj.FunctionField.from_function(lambda x: jnp.sin(x), ("x",))

    def middle(diffusivity, t1):
        problem = pj.EvolutionProblem(_Heated(diffusivity, source), u0, t1=t1)
        solution = pj.solve(problem, S.ETDRK2(dt=0.1), adjoint=S.ImplicitAdjoint(), throw=False)
        return norm(solution.value), solution.result

    # D u'' + sin x = 0: u = sin(x) / D, so that the norm falls as 1 / D.
    slope, result = jax.grad(middle, has_aux=True)(0.5, 60.0)
    assert result == S.RESULTS.successful
    np.testing.assert_allclose(slope, -np.sqrt(np.pi / 2) / 0.5**2, rtol=1e-6)
    assert middle(0.5, 0.2)[1] == S.RESULTS.not_stationary


class _Heated(E.AbstractEvolution):
    """`u_t = D u_xx + source`."""

    diffusivity: jax.Array
    source: pj.FunctionField

    def linear(self, u):
        return self.diffusivity * pj.calculus.laplacian(u)

    def nonlinear(self, u, t):
        return u * 0.0 + self.source


def test_mixed_conditions_are_not_taken_for_diagonal_inside_jit():
    """What jit makes of the numbers of a Robin end does not hide that its modes are coupled."""

    def end(alpha):
        grid = pj.Grid(x=pj.Uniform(9, lower=pj.Dirichlet(0.0), upper=pj.Robin(alpha, 0.0)))
        u0 = pj.GridField.from_function(lambda x: jnp.sin(2 * x), grid)
        problem = pj.EvolutionProblem(pj.equations.Diffusion(0.1), u0, t0=0.0, t1=0.1)
        return pj.solve(problem, pj.solvers.ETDRK4(dt=0.02)).value.values

    np.testing.assert_allclose(jax.jit(lambda: end(1.0))(), end(1.0), atol=1e-12)
    slope = jax.jit(jax.grad(lambda alpha: jnp.sum(end(alpha))))(1.0)
    np.testing.assert_allclose(slope, (jnp.sum(end(1.001)) - jnp.sum(end(0.999))) / 0.002, rtol=1e-5)
