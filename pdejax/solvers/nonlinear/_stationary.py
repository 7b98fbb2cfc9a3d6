"""Linear solvers made of fixed-point iterations, for operators close to the identity."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from ..linear import _vectors as v
from ..linear import check_linear
from ..linear._krylov import verdict
from ._fixed_point import PLAIN_LOOP, AbstractFixedPoint, run


class _Products(lx.AbstractLinearSolver):
    """Solvers that need nothing but products with the operator."""

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_linear(operator)
        return lx.linearise(operator)

    def transpose(self, state, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state, options: dict[str, Any]):
        return lx.conj(state), {}

    def assume_full_rank(self):
        return True


class Stationary(_Products):
    """Solves `A x = b`, `A` near the identity, as the fixed point of `x <- x + (b - A x)`: Richardson's iteration, or
    any other made of it.

    For the adjoint system of a fixed point, `A = I - J^T`, an application costs what one step backwards costs, and
    there is no basis to keep: `solvers.ImplicitAdjoint(solvers.Stationary(solvers.Picard(1e-6)))`; with `Anderson` it
    is truncated GMRES. Its tolerances are the iteration's. `options["y0"]` is a first guess.

    **Arguments:** `solver`: a fixed-point iteration; `max_steps`: applications of `A`.
    """

    solver: AbstractFixedPoint
    max_steps: int = eqx.field(static=True, default=1000)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        guess = options.get("y0", vector)
        _, end = run(_richardson, self.solver, guess, (state, vector), {}, self.max_steps, PLAIN_LOOP)
        broken = end.broken | self.solver.infeasible(end)
        stats = {"num_steps": end.step, "num_matvecs": end.step}
        if self.solver.history:
            stats["residual_history"] = end.history
        return end.best, verdict(end.met, end.met | end.stuck, broken), stats


class Neumann(_Products):
    """The first terms of `A^-1 = scale sum_j (I - scale A)^j`; it does not look at the residual.

    **Arguments:** `terms`: at least 1; `scale`: below `2 / lambda_max` for a symmetric positive `A`.

    **Raises** `ValueError` for `terms < 1`.
    """

    terms: int = eqx.field(static=True)
    scale: float = 1.0

    def __check_init__(self):
        if self.terms < 1:
            raise ValueError(f"a Neumann series has at least one term, got terms={self.terms!r}; write terms=10.")

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        scale = jnp.asarray(self.scale, v.dtype(vector))

        def more(x, _):
            return v.axpy(scale, v.subtract(vector, state.mv(x)), x), None

        first = v.axpy(scale, vector, v.zeros(vector))
        x, _ = jax.lax.scan(more, first, length=self.terms - 1)
        return x, lx.RESULTS.successful, {"num_steps": self.terms, "num_matvecs": self.terms - 1}


def _richardson(x: PyTree[Array], system) -> tuple[PyTree[Array], None]:
    operator, right = system
    return jax.tree.map(lambda a, b, c: a + (b - c), x, right, operator.mv(x)), None
