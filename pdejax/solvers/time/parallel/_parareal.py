from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree

from ._recurrence import Recurrence, follow
from ._sweeps import AbstractSweeps


class Parareal(AbstractSweeps):
    """`h_t <- F(g_{t-1}) + C(h_{t-1}) - C(g_{t-1})` from the trajectory `g` of the sweep before: the steps `F` of the
    recurrence all at once, a cheaper propagator `C` one after the other (Lions, Maday & Turinici 2001; in this form
    Gander & Vandewalle 2007, eq. (1.4)).

    Starts from the coarse trajectory. The gradient is that of the fine trajectory, by one scan backwards; the coarse
    propagator has no influence on it.

    **Arguments:**

    - `coarse`: `C`, a callable like the step, `(h, x) -> h`: a step of larger size, a coarser grid, a trained operator.
    - `rtol`: of the residual, here the jumps between slices; 1e-10 in double and 1e-6 in single precision by default.
    """

    coarse: Callable[[PyTree, PyTree], PyTree]
    rtol: float | None = None

    def first(self, recurrence: Recurrence) -> PyTree[Array]:
        return follow(Recurrence(self.coarse, recurrence.start, recurrence.inputs, recurrence.length))

    def sweep(self, recurrence: Recurrence, h: PyTree[Array], images: PyTree[Array]) -> PyTree[Array]:
        known = jax.vmap(self.coarse)(recurrence.before(h), recurrence.inputs)

        def one(state: PyTree[Array], given):
            x, image, known = given
            # The difference first: it vanishes where nothing changes any more, and the image stays as it is.
            state = jax.tree.map(lambda f, c, old: f + (c - old), image, self.coarse(state, x), known)
            return state, state

        return jax.lax.scan(one, recurrence.start, (recurrence.inputs, images, known))[1]
