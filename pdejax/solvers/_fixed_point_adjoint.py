"""Cheaper gradients of fixed points, and the one of an iteration that runs backwards."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from ._implicit import implicit, linear_solve
from .linear import Preconditioned
from .linear import _vectors as v
from .linear._preconditioned import constant
from .nonlinear import Broyden, Neumann, Reversible
from .nonlinear._fixed_point import PLAIN_LOOP, Iterate


class NeumannAdjoint(optx.AbstractAdjoint):
    """The implicit gradient with the first terms of the series `(I - J)^-1 = sum_j J^j`, `J = dT/dy`.

    For a gradient step `T` this is the gradient of `terms` unrolled steps from the fixed point (Lorraine, Vicol &
    Duvenaud 2020), without their memory. Its error is about `||J||^terms`.

    **Raises** `ValueError` for `terms < 1`.
    """

    terms: int = eqx.field(static=True, default=10)

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        return implicit(primal_fn, rewrite_fn, (*inputs, PLAIN_LOOP), Neumann(self.terms))


class PhantomAdjoint(optx.AbstractAdjoint):
    """The gradient of a few damped steps from the fixed point, `y <- (1 - damping) y + damping T(y)`, kept in memory.

    Not the gradient of the fixed point, but a direction of descent close to it where `T` contracts, for the cost of
    `steps` evaluations (Geng, Zhang, Bai, Wang & Lin 2021). One undamped step is the Jacobian-free gradient of Fung,
    Heaton, Li, McKenzie, Osher & Yin (2022). The value is that of the solve.

    **Raises** `ValueError` for `steps < 1` or damping outside `(0, 1]`.
    """

    steps: int = eqx.field(static=True, default=1)
    damping: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if self.steps < 1 or not 0 < self.damping <= 1:
            raise ValueError(
                f"a phantom gradient takes steps >= 1 and damping in (0, 1], got {self.steps} and {self.damping}."
            )

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        y, rest = primal_fn(constant((*inputs, PLAIN_LOOP)))
        y, rest = constant((y, rest))
        back = jnp.asarray(-self.damping, v.dtype(y))

        def step(point, _):
            return v.axpy(back, rewrite_fn(point, rest, inputs), point), None

        moved, _ = jax.lax.scan(step, y, length=self.steps)
        return _with_gradient(y, moved), rest


class SharedAdjoint(optx.AbstractAdjoint):
    """The implicit gradient with the inverse that `solvers.Broyden` has built on the way (SHINE: Ramzi, Mannel, Bai,
    Starck, Ciuciu & Moreau 2022).

    **Arguments:** `refine`: a lineax solver that reads `options["preconditioner"]`, such as `solvers.FGMRES(1e-6)`: the
    estimate then preconditions the exact system and answers are measured as by `ImplicitAdjoint`; without it the
    estimate is the answer, for the cost of one product. `accept`: as for `ImplicitAdjoint`, of the refined answer.

    **Raises** `TypeError` with another solver than `Broyden`.
    """

    refine: lx.AbstractLinearSolver | None = None
    accept: float = eqx.field(static=True, default=1e-2)

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        if not isinstance(inputs[1], Broyden):
            raise TypeError(
                f"SharedAdjoint uses the inverse that solvers.Broyden builds, and the solver is "
                f"{type(inputs[1]).__name__}; take solvers.Broyden() or solvers.ImplicitAdjoint()."
            )
        y, rest = constant(primal_fn(constant((*inputs, PLAIN_LOOP))))
        inverse = lx.FunctionLinearOperator(_iterate(rest).memory.apply, jax.eval_shape(lambda: y))
        defect = rewrite_fn(y, rest, inputs)
        if self.refine is None:
            return _with_gradient(y, v.subtract(y, inverse.mv(defect))), rest
        frozen = constant(inputs)
        product = jax.linearize(lambda p: rewrite_fn(p, rest, frozen), y)[1]
        solver = Preconditioned(self.refine, inverse)
        change = linear_solve(product, v.subtract(defect, constant(defect)), solver, self.accept)
        return _with_gradient(y, v.subtract(y, change)), rest


class ReversibleAdjoint(optx.AbstractAdjoint):
    """The gradient of the iteration `solvers.Reversible` itself, which is run backwards: exact also where it has not
    converged, with the memory of one step (McCallum, Lim & Foster 2025). It has no forward derivative.

    **Raises** `TypeError` with another solver than `Reversible`.
    """

    def apply(self, primal_fn, rewrite_fn, inputs, tags):
        if not isinstance(inputs[1], Reversible):
            raise TypeError(
                f"only solvers.Reversible runs backwards, and the solver is {type(inputs[1]).__name__}; take that, or "
                "solvers.UnrolledAdjoint()."
            )
        return _backwards(inputs, primal_fn)


@eqx.filter_custom_vjp
def _backwards(inputs, primal_fn):
    _, rest = primal_fn((*inputs, PLAIN_LOOP))
    return _iterate(rest).memory.evaluated, rest


@_backwards.def_fwd
def _backwards_fwd(perturbed, inputs, primal_fn):
    value, rest = _backwards(inputs, primal_fn)
    return (value, rest), _iterate(rest)


@_backwards.def_bwd
def _backwards_bwd(end, cotangent, perturbed, inputs, primal_fn):
    fn, solver, _, args = inputs[:4]
    evaluated, moved = end.memory
    b = jnp.asarray(solver.mixing, v.dtype(evaluated))
    given = jax.tree.map(lambda c, e: jnp.zeros_like(e) if c is None else c, cotangent[0], evaluated, is_leaf=_is_none)
    dynamic, static = eqx.partition((fn, args), eqx.is_inexact_array)

    def image_of(point, dynamic):
        fn, args = eqx.combine(dynamic, static)
        return fn(point, args)[0]

    def body(carry):
        left, evaluated, moved, d_evaluated, d_moved, total = carry
        live = left > 0
        # The step was moved = (1 - b) before + b T(evaluated).
        image, pull = jax.vjp(image_of, evaluated, dynamic)
        through, parameters = pull(v.axpy(b, d_moved, v.zeros(d_moved)))
        before = v.axpy(1 - b, d_moved, v.zeros(d_moved)), jax.tree.map(jnp.add, d_evaluated, through)
        new = (solver.undo(image, moved), evaluated, *before)
        total = jax.tree.map(lambda t, g: t + jnp.where(live, g, jnp.zeros((), g.dtype)), total, parameters)
        return left - live.astype(left.dtype), *v.choose(live, new, carry[1:5]), total

    carry = (end.step, evaluated, moved, given, v.zeros(moved), jax.tree.map(jnp.zeros_like, dynamic))
    _, _, _, d_evaluated, d_moved, total = jax.lax.while_loop(lambda c: unvmap_any(c[0] > 0), body, carry)
    start = jax.tree.map(jnp.add, d_evaluated, d_moved)
    d_fn, d_args = total
    none = lambda tree: jax.tree.map(lambda x: None, tree)
    return d_fn, none(solver), start, d_args, *map(none, inputs[4:])


def _iterate(rest: PyTree) -> Iterate:
    """The final state of the iteration, among all that it returned."""
    return next(x for x in rest if isinstance(x, Iterate))


def _is_none(x) -> bool:
    return x is None


def _with_gradient(y: PyTree[Array], other: PyTree[Array]) -> PyTree[Array]:
    """The value of the first with the derivative of the second."""
    return jax.tree.map(lambda a, b: a + (b - jax.lax.stop_gradient(b)), y, other)
