"""The implicit function theorem with iterative linear solvers whose answer is measured."""

import math
import types
from collections.abc import Callable

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from .linear import FGMRES
from .linear import _vectors as v


def default_linear(dtype) -> lx.AbstractLinearSolver:
    """Flexible GMRES, to 1e-10 in double and 1e-5 in single precision."""
    return FGMRES(1e-10 if dtype == jnp.float64 else 1e-5, max_steps=500, restart=20)


def linear_solve(
    product: Callable,
    right: PyTree[Array],
    linear: lx.AbstractLinearSolver,
    accept: float = math.inf,
    tags: frozenset[object] = frozenset(),
) -> PyTree[Array]:
    """`x` with `product(x) = right`, differentiable in both modes; NaN where its relative residual exceeds `accept`.

    Derivatives have no result code: a wrong one should not look like a right one, and lineax would raise from within
    the compiled program.
    """
    operator = lx.FunctionLinearOperator(product, jax.eval_shape(lambda: right), tags)

    def solve(operator, state, options, b):
        x = linear.compute(state, b, options)[0]
        if math.isinf(accept):
            return x
        left = v.norm(v.subtract(b, operator.mv(x)))
        trusted = left <= jnp.asarray(accept, left.dtype) * v.norm(b)
        return jax.tree.map(lambda a: jnp.where(trusted, a, jnp.asarray(jnp.nan, a.dtype)), x)

    def forwards(_, b):
        return solve(operator, linear.init(operator, {}), {}, b)

    def backwards(_, b):
        return solve(operator.transpose(), *linear.transpose(linear.init(operator, {}), {}), b)

    return jax.lax.custom_linear_solve(product, right, forwards, backwards)


def implicit(
    primal: Callable,
    defect: Callable,
    inputs: PyTree,
    linear: lx.AbstractLinearSolver,
    accept: float = math.inf,
    tags: frozenset[object] = frozenset(),
):
    """`primal(inputs) -> (y, rest)` where `defect(y, rest, inputs) = 0`, with `dy = -(d defect/dy)^-1 d defect`.

    Both functions must be global ones: what they need comes in `inputs`. `accept`: see `linear_solve`;
    `tags`: lineax's, of `d defect/dy`.
    """
    if not all(isinstance(f, types.FunctionType) and f.__closure__ is None for f in (primal, defect)):
        raise TypeError("implicit differentiation takes two global functions; hand over what they need in inputs.")
    y, rest = _implicit(primal, defect, inputs, linear, accept, tags)
    return y, jax.tree.map(eqxi.nondifferentiable_backward, rest)


@eqx.filter_custom_jvp
def _implicit(primal, defect, inputs, linear, accept, tags):
    return jax.tree.map(jnp.asarray, primal(inputs))


@_implicit.def_jvp
def _implicit_jvp(primals, tangents):
    primal, defect, inputs, linear, accept, tags = primals
    is_none = lambda x: x is None
    moving = tangents[2]
    still, varied = eqx.partition(inputs, jax.tree.map(is_none, moving, is_leaf=is_none), is_leaf=is_none)
    y, rest = _implicit(primal, defect, inputs, linear, accept, tags)
    product = jax.linearize(lambda y: defect(y, rest, inputs), y)[1]
    _, right = jax.jvp(lambda part: defect(y, rest, eqx.combine(part, still)), (varied,), (moving,))
    dy = linear_solve(product, right, linear, accept, tags)
    none = jax.custom_derivatives.zero_from_primal(rest, symbolic_zeros=True)
    return (y, rest), (jax.tree.map(jnp.negative, dy), none)
