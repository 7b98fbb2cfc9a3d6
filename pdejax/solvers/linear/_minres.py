from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._check import check_linear, check_preconditioner, is_hermitian, preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class _Lanczos(NamedTuple):
    """Two last vectors of the three-term recurrence, its last preconditioned vector, and the coefficients between."""

    previous: PyTree[Array]
    current: PyTree[Array]
    preconditioned: PyTree[Array]
    previous_size: Array
    size: Array


class _Rotations(NamedTuple):
    """Cosines and sines of the last two Givens rotations, which make the tridiagonal matrix triangular."""

    previous_cos: Array
    previous_sin: Array
    cos: Array
    sin: Array


class MINRES(AbstractKrylov):
    """Minimal residuals for symmetric (complex: Hermitian) systems, definite or not, singular if consistent.

    Paige & Saunders 1975; with a preconditioner Elman, Silvester & Wathen 2014, algorithm 4.1: it minimises
    `||r||_M^2 = r^H M r` over the Krylov space and stops at `||r||_M <= rtol ||b||_M + atol` (the 2-norm without a
    preconditioner). One application of the operator a step, storage of six vectors. Of a singular consistent system it
    gives the solution without a null component, if the guess has none and there is no preconditioner.

    The operator must be tagged `lineax.symmetric_tag` (definite tags imply it); complex ones `hermitian_tag` or
    definite. `options["preconditioner"]`, an approximate inverse, must be positive definite although the operator is
    not. Success is decided by a residual computed anew, within a factor two.

    **Raises** `ValueError` for missing tags, `TypeError` for a nonlinear operator or preconditioner.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    history: int = eqx.field(static=True, default=0)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        if not is_hermitian(operator):
            raise ValueError(
                "MINRES takes a symmetric operator: tag it lineax.symmetric_tag (pdejax's hermitian_tag if it is "
                "complex), or use FGMRES."
            )
        check_linear(operator)
        check_preconditioner(options, "MINRES")
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator, precondition, limit = state, preconditioner(options), self.limit(vector)
        x, r, applied = start(operator, vector, options)
        z, zero = precondition(r), v.zeros(vector)
        square = v.energy(r, z)
        size = jnp.sqrt(square if r is vector else v.energy(vector, precondition(vector)))
        goal, history = self.goal(size), History(self.history, size)
        one, none = jnp.ones_like(size), jnp.zeros_like(size)

        def going(error, step, broken):
            return (jnp.abs(error) > goal) & (step < limit) & ~broken

        def unfinished(carry):
            return unvmap_any(going(*carry[4:7]))

        def body(carry):
            x, lanczos, rotations, (w_previous, w), error, step, broken, norms = carry
            live = going(error, step, broken)
            gamma = lanczos.size
            q = jax.tree.map(lambda a: a * v.ratio(one, gamma, live).astype(a.dtype), lanczos.preconditioned)
            product = operator.mv(q)
            delta = v.energy(product, q)
            next_ = v.axpy(-v.ratio(delta, gamma, live), lanczos.current, product)
            next_ = v.axpy(-v.ratio(gamma, lanczos.previous_size, live & (step > 0)), lanczos.previous, next_)
            z = precondition(next_)
            square = v.energy(next_, z)
            gamma_next = jnp.sqrt(jnp.maximum(square, 0))

            c0, s0, c1, s1 = rotations
            diagonal = c1 * delta - c0 * s1 * gamma
            above = s1 * delta + c0 * c1 * gamma
            beyond = s0 * gamma
            pivot = jnp.hypot(diagonal, gamma_next)
            # A zero pivot: the space is exhausted and the system restricted to it singular.
            broken = broken | (live & ~((pivot > 0) & jnp.isfinite(square)))
            live = live & ~broken
            cos, sin = v.ratio(diagonal, pivot, live), v.ratio(gamma_next, pivot, live)
            w_next = v.axpy(-above, w, v.axpy(-beyond, w_previous, q))
            w_next = jax.tree.map(lambda a: a * v.ratio(one, pivot, live).astype(a.dtype), w_next)
            x = v.axpy(jnp.where(live, cos * error, 0), w_next, x)
            error = jnp.where(live, -sin * error, error)
            step = step + live.astype(step.dtype)
            lanczos = _Lanczos(lanczos.current, next_, z, gamma, gamma_next)
            norms = history.record(norms, step, jnp.abs(error))
            return x, lanczos, _Rotations(c1, s1, cos, sin), (w, w_next), error, step, broken, norms

        first = jnp.sqrt(square)
        carry = (
            x,
            _Lanczos(zero, r, z, one, first),
            _Rotations(one, none, one, none),
            (zero, zero),
            first,
            jnp.zeros((), int),
            ~(square >= 0),
            history.start(first),
        )
        x, _, _, _, error, steps, broken, norms = jax.lax.while_loop(unfinished, body, carry)
        r = v.subtract(vector, operator.mv(x))
        met = jnp.sqrt(v.energy(r, precondition(r))) <= 2 * goal
        stats = {"num_steps": steps, "num_matvecs": steps + broken.astype(steps.dtype) + (applied + 1)}
        return x, verdict(met, jnp.abs(error) <= goal, broken), stats | history.stats(norms)
