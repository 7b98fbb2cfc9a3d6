import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import Pointwise
from pdejax.operators import FNO
from pdejax.operators._iterated_operator import IteratedOperator
from pdejax.solvers import Anderson, InexactNewton, Picard

KEY = jax.random.key(0)
GRID = pj.Grid(x=pj.Fourier(6), y=pj.Sine(7))
# Eigenvalues 0.3 +- 0.6i: a contraction that turns.
A = np.array([[0.3, 0.6], [-0.6, 0.3]])
B = np.array([[1.0, 0.5, 0.0], [0.2, -1.0, 2.0]])


def affine():
    """`T(u; d) = A u + B d + c` at every point."""
    layer = Pointwise(5, 2, key=KEY)
    weight = lambda p: p.weight
    return eqx.tree_at(weight, layer, jnp.asarray(np.concatenate([A, B], axis=1)))


def data(seed=0):
    return pj.GridField(jax.random.normal(jax.random.key(seed), (3, *GRID.shape)), GRID)


def right(d):
    return np.einsum("oi,i...->o...", B, d.values) + np.asarray(affine().bias)[:, None, None]


@pytest.mark.parametrize("average", (1.0, 0.5))
def test_iterates_are_those_of_damped_picard(average):
    model, u = IteratedOperator(affine(), 2, steps=3, average=average), np.zeros((2, *GRID.shape))
    every = eqx.filter_jit(lambda m, d: m.iterates(d))(model, data()).values
    for k in range(3):
        u = (1 - average) * u + average * (np.einsum("oi,i...->o...", A, u) + right(data()))
        np.testing.assert_allclose(every[2 * k : 2 * k + 2], u, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model(data()).values, u, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "solver", (Picard(1e-12, average=0.8), Anderson(1e-12), InexactNewton(1e-12, 0.0, lx.GMRES(1e-12, 1e-12)))
)
def test_the_fixed_point_and_its_gradient(solver):
    model = IteratedOperator(affine(), 2)
    inverse = np.linalg.inv(np.eye(2) - A)

    @eqx.filter_jit
    @eqx.filter_grad(has_aux=True)
    def gradient(model, d):
        solution = model.solve(d, solver)
        return jnp.sum(solution.value.values), solution

    slope, solution = gradient(model, data())
    wanted = np.einsum("oi,i...->o...", inverse, right(data()))
    assert bool(solution.ok)
    np.testing.assert_allclose(solution.value.values, wanted, rtol=1e-9, atol=1e-10)
    # d sum(u) / dA_ij = (inverse^T 1)_i sum(u_j)
    known = np.outer(inverse.sum(0), wanted.sum((1, 2)))
    np.testing.assert_allclose(slope.model.weight[:, :2], known, rtol=1e-7, atol=1e-8)


def test_a_network_inside_keeps_grid_dtype_and_boundary():
    model = IteratedOperator(FNO(4, 1, 2, 5, 1, 2, key=KEY), 1)
    out = jax.vmap(lambda v: model(pj.GridField(v, GRID)).values)(jnp.ones((2, 3, *GRID.shape), jnp.float32))
    assert out.shape == (2, 1, *GRID.shape) and out.dtype == jnp.float32
    np.testing.assert_array_equal(out[..., [0, -1]], 0)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="steps"):
        IteratedOperator(affine(), 2, steps=0)
    with pytest.raises(ValueError, match="average"):
        IteratedOperator(affine(), 2, average=1.5)
    with pytest.raises(ValueError, match="channels"):
        IteratedOperator(affine(), 3)(data())
