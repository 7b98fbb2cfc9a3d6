from collections.abc import Callable

import equinox as eqx
import optimistix as optx
from jaxtyping import PRNGKeyArray, PyTree

from ..solvers import AbstractFixedPoint, Anderson, ImplicitAdjoint, Solution, fixed_point


class FixedPoint(eqx.Module):
    """Implicit layer (deep equilibrium): `z = body(z, x)`, found by an iteration, with the gradient of the fixed point.

    Memory does not grow with the number of iterations. The forward pass never raises: `solve` returns the
    `Solution` with result, residual and counts, one each per sample under `vmap`; `nn.diagnose` reads them.

    **Arguments:**

    - `body`: any callable `(z, x) -> z`: an equinox module, a plain function, a flax module through an adapter; its
      arrays are the layer's parameters. `z` and `x` are arrays, fields, or pytrees of them.
    - `solver`: what `solvers.fixed_point` takes, `solvers.Anderson(1e-4)` by default; a residual below about 1e-5 is
      noise in float32.
    - `adjoint`: `solvers.ImplicitAdjoint()` by default; `solvers.PhantomAdjoint()` is cheaper and approximate.
    - `max_steps`: evaluations of the body.

    A call with `key` hands it to the body as a keyword, the same in every iteration: dropout then takes one mask a
    solve (variational dropout), without which there is no fixed point.

    Source: Bai, Kolter & Koltun 2019, Deep equilibrium models.
    """

    body: Callable
    solver: AbstractFixedPoint | optx.AbstractRootFinder = Anderson(1e-4)
    adjoint: optx.AbstractAdjoint = ImplicitAdjoint()
    max_steps: int = eqx.field(static=True, default=50)

    def __call__(self, x: PyTree, z0: PyTree, *, key: PRNGKeyArray | None = None) -> PyTree:
        """The fixed point reached from `z0`."""
        return self.solve(x, z0, key=key).value

    def solve(self, x: PyTree, z0: PyTree, *, key: PRNGKeyArray | None = None, memory=None) -> Solution:
        """The fixed point with its residual, result and counts; `memory` is the `state` of an earlier solution."""
        return fixed_point(
            _apply,
            z0,
            (self.body, x, key),
            self.solver,
            adjoint=self.adjoint,
            memory=memory,
            max_steps=self.max_steps,
            throw=False,
        )


def _apply(z: PyTree, args) -> PyTree:
    body, x, key = args
    return body(z, x) if key is None else body(z, x, key=key)
