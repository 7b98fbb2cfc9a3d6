from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._check import check_linear, check_preconditioner, preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class PCG(AbstractKrylov):
    """Preconditioned conjugate gradients that stop on the residual they are asked for.

    Hestenes & Stiefel 1952. Differs from `lineax.CG`: it stops when `||r||_M <= rtol ||b||_M + atol` in the norm
    `||r||_M^2 = r^H M r` of the preconditioner `M` (the 2-norm without one), which comes with the iteration, estimates
    the energy norm of the error and is within reach of float32 on fine grids; it does not ask for a small step as well
    (which doubles the iterations at tight tolerances); it reports a direction of negative curvature instead of carrying
    on; complex Hermitian systems are welcome.

    The operator must be tagged positive semidefinite; so must `options["preconditioner"]`, an approximate inverse.
    `options["y0"]` is a first guess. A direction of negative curvature ends the solve with `lineax.RESULTS.breakdown`
    and `stats["indefinite"]`. Success is decided by a residual computed anew, within a factor two.

    **Raises** `ValueError` for missing tags, `TypeError` for a nonlinear operator or preconditioner.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_definite(operator, "PCG")
        check_preconditioner(options, "PCG")
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        return conjugate_gradients(self, state, vector, start(state, vector, options), options, lambda z: z)


def check_definite(operator: lx.AbstractLinearOperator, name: str) -> None:
    """Refuse what conjugate gradients cannot solve.

    **Raises** `ValueError` for an operator that is not tagged positive semidefinite, `TypeError` for a nonlinear one.
    """
    if not lx.is_positive_semidefinite(operator):
        raise ValueError(
            f"{name} takes an operator tagged lineax.positive_semidefinite_tag; tag it, or use MINRES (symmetric) or "
            "FGMRES (any)."
        )
    check_linear(operator)


class _State(NamedTuple):
    x: PyTree[Array]
    r: PyTree[Array]
    p: PyTree[Array]
    rz: Array  # r . M r at the last evaluation
    size: Array  # norm of the right-hand side
    step: Array
    applied: Array
    claimed: Array  # the recursive residual has met the goal
    curved: Array
    checking: Array  # r has been computed anew, to be judged
    error: Array  # its norm, relative to the right-hand side
    done: Array
    norms: Array


def conjugate_gradients(
    solver: AbstractKrylov,
    operator: lx.AbstractLinearOperator,
    vector: PyTree[Array],
    first: tuple[PyTree[Array], PyTree[Array], int],
    options: dict[str, Any],
    direct: Callable[[PyTree[Array]], PyTree[Array]],
):
    """The iteration from the guess, residual and count `first`; `direct` projects what becomes a direction.

    Operator and preconditioner stand in the loop once and nowhere else, the check of the residual at the end included:
    each copy of a multigrid cycle takes seconds to compile.
    """
    precondition = preconditioner(options)
    (x, r, applied), limit = first, solver.limit(vector)
    fresh = r is vector
    real = jnp.zeros((), v.dtype(vector))
    size = real if fresh else jnp.sqrt(v.energy(vector, precondition(vector)))
    history = History(solver.history, jnp.ones_like(real))

    def body(s: _State) -> _State:
        z = precondition(s.r)
        rz = v.energy(s.r, z)
        norm, live = jnp.sqrt(rz), ~s.done
        size = jnp.where((s.step == 0) & ~s.checking, norm, s.size) if fresh else s.size
        goal, judging = solver.goal(size), live & s.checking
        small = live & ~judging & (norm <= goal)
        # A square that is negative or NaN ends the iteration too.
        ending = live & ~judging & ((norm <= goal) | (s.step >= limit) | s.curved | ~(rz >= 0))
        moving = live & ~judging & ~ending
        p = v.axpy(v.ratio(rz, s.rz, moving & (s.step > 0)), s.p, direct(z))
        image = operator.mv(v.choose(moving, p, s.x))
        curvature = v.energy(p, image)
        curved = s.curved | (moving & ~(curvature > 0))
        stepping = moving & ~curved
        alpha = v.ratio(rz, curvature, stepping)
        r = v.choose(ending, v.subtract(vector, image), v.axpy(-alpha, image, s.r))
        return _State(
            v.axpy(alpha, p, s.x),
            r,
            v.choose(moving, p, s.p),
            jnp.where(live & ~judging, rz, s.rz),
            size,
            s.step + stepping.astype(s.step.dtype),
            s.applied + live.astype(s.step.dtype),
            s.claimed | small,
            curved,
            s.checking | ending,
            jnp.where(judging, norm, s.error),
            s.done | judging,
            jnp.where(live & ~judging, history.record(s.norms, s.step, norm), s.norms),
        )

    none, false = jnp.zeros((), int), jnp.zeros((), bool)
    norms = history.start(jnp.full_like(real, jnp.nan))
    begin = _State(
        x,
        r,
        v.zeros(r),
        jnp.ones_like(real),
        size,
        none,
        none + applied,
        false,
        false,
        false,
        real + jnp.inf,
        false,
        norms,
    )
    # One answer for a whole batch, so that `vmap` copies no state: finished lanes take steps of length zero.
    end = jax.lax.while_loop(lambda s: unvmap_any(~s.done), body, begin)
    met, scale = end.error <= 2 * solver.goal(end.size), jnp.where(end.size > 0, end.size, jnp.ones_like(end.size))
    stats = {
        "num_steps": end.step,
        "num_matvecs": end.applied,
        "indefinite": end.curved & ~met,
        "relative_residual": end.error / scale,
    }
    # A preconditioner that is not definite shows in a negative square.
    broken = end.curved | ~(end.rz >= 0)
    return end.x, verdict(met, end.claimed, broken), stats | history.stats(end.norms / scale)
