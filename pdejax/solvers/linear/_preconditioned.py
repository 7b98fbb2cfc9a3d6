from typing import Any

import equinox as eqx
import jax
import lineax as lx
from jaxtyping import Array, PyTree


def constant(tree: PyTree) -> PyTree:
    """The tree with gradients stopped at its arrays: a preconditioner steers a solve, its derivative is not wanted."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)


class Preconditioned(lx.AbstractLinearSolver):
    """A linear solver together with its preconditioner, for callers that cannot pass options (optimistix).

    The state carries the preconditioner, so that the solve of the adjoint system uses the transposed one.

    **Arguments:** `solver`: any lineax solver that reads `options["preconditioner"]`; `preconditioner`: what it takes
    there. Gradients do not flow through it.
    """

    solver: lx.AbstractLinearSolver
    preconditioner: Any = eqx.field(converter=constant)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return self.solver.init(operator, self._with(options, self.preconditioner)), self.preconditioner

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        inner, preconditioner = state
        return self.solver.compute(inner, vector, self._with(options, preconditioner))

    def transpose(self, state, options: dict[str, Any]):
        inner, preconditioner = state
        return self._split(self.solver.transpose(inner, self._with(options, preconditioner)))

    def conj(self, state, options: dict[str, Any]):
        inner, preconditioner = state
        return self._split(self.solver.conj(inner, self._with(options, preconditioner)))

    def assume_full_rank(self):
        return self.solver.assume_full_rank()

    @staticmethod
    def _with(options: dict[str, Any], preconditioner: Any) -> dict[str, Any]:
        return {**options, "preconditioner": preconditioner}

    @staticmethod
    def _split(changed):
        inner, options = changed
        return (inner, options["preconditioner"]), {k: x for k, x in options.items() if k != "preconditioner"}
