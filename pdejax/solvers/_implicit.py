"""The implicit function theorem with iterative linear solvers whose answer is measured."""

import types
from collections.abc import Callable
from typing import Any

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


class Measured(lx.AbstractLinearSolver):
    """A linear solver whose answer is NaN unless its relative residual, computed anew, is at most `accept`.

    Gradients have no result code: a wrong one should not look like a right one.
    """

    solver: lx.AbstractLinearSolver
    accept: float = eqx.field(static=True)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        operator = lx.linearise(operator)
        return operator, self.solver.init(operator, options)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator, inner = state
        x, code, stats = self.solver.compute(inner, vector, options)
        left = v.norm(v.subtract(vector, operator.mv(x)))
        trusted = left <= jnp.asarray(self.accept, left.dtype) * v.norm(vector)
        return jax.tree.map(lambda a: jnp.where(trusted, a, jnp.nan), x), code, stats

    def transpose(self, state, options: dict[str, Any]):
        operator, inner = state
        inner, options = self.solver.transpose(inner, options)
        return (operator.transpose(), inner), options

    def conj(self, state, options: dict[str, Any]):
        operator, inner = state
        inner, options = self.solver.conj(inner, options)
        return (lx.conj(operator), inner), options

    def assume_full_rank(self):
        return self.solver.assume_full_rank()


def implicit(primal: Callable, defect: Callable, inputs: PyTree, tags: frozenset, linear: lx.AbstractLinearSolver):
    """`primal(inputs) -> (y, rest)` where `defect(y, rest, inputs) = 0`, with `dy = -(d defect/dy)^-1 d defect`.

    Both functions must be global ones: what they need comes in `inputs`. A linear solve that fails raises nothing here.
    """
    if not all(isinstance(f, types.FunctionType) and f.__closure__ is None for f in (primal, defect)):
        raise TypeError("implicit differentiation takes two global functions; hand over what they need in inputs.")
    y, rest = _implicit(primal, defect, inputs, tags, linear)
    return y, jax.tree.map(eqxi.nondifferentiable_backward, rest)


@eqx.filter_custom_jvp
def _implicit(primal, defect, inputs, tags, linear):
    return jax.tree.map(jnp.asarray, primal(inputs))


@_implicit.def_jvp
def _implicit_jvp(primals, tangents):
    primal, defect, inputs, tags, linear = primals
    is_none = lambda x: x is None
    moving = tangents[2]
    still, varied = eqx.partition(inputs, jax.tree.map(is_none, moving, is_leaf=is_none), is_leaf=is_none)
    y, rest = _implicit(primal, defect, inputs, tags, linear)
    operator = lx.JacobianLinearOperator(_of_root, y, (defect, rest, inputs), tags=tags)
    _, right = jax.jvp(lambda part: defect(y, rest, eqx.combine(part, still)), (varied,), (moving,))
    dy = lx.linear_solve(operator, right, linear, throw=False).value
    none = jax.custom_derivatives.zero_from_primal(rest, symbolic_zeros=True)
    return (y, rest), (jax.tree.map(jnp.negative, dy), none)


def _of_root(y, args):
    defect, rest, inputs = args
    return defect(y, rest, inputs)
