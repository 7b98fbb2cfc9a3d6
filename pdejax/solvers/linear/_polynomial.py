"""Polynomials of an operator as preconditioners: chosen anew for each residual, or fixed from traces."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._cg import check_definite
from ._check import check_preconditioner, preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class AdaptivePolynomial(AbstractKrylov):
    """Gradient descent with the best polynomial preconditioner of a given degree, chosen anew at every step.

    Each step minimises the energy `x^H A x / 2 - b^H x` over the residual times polynomials of A up to `degree`: a
    Krylov space of `degree + 1` dimensions (Doikov & Rodomanov 2023, adaptive method). A step costs `degree + 1`
    products; `degree` large eigenvalues apart from the rest no longer count. Degree 0 is steepest descent. For one
    quadratic energy conjugate gradients, which never forget the space, need fewer products: this is for single steps on
    energies that change. One step (`max_steps=1`) as the linear solver of a Newton method is that of a general energy.

    The operator must be tagged positive semidefinite, and so must `options["preconditioner"]`, with which the space is
    that of `M A` on `M r`. Stops at `||r|| <= rtol ||b|| + atol` of a recursive residual; one computed anew decides,
    within a factor two. A direction of negative curvature is a `lineax.RESULTS.breakdown`.

    **Arguments:** `rtol`, `atol`, `max_steps`, `history` as for `PCG`; `degree`: of the polynomial, up to about 4.

    **Raises** `ValueError` for missing tags, `TypeError` for a nonlinear operator or preconditioner.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    degree: int = eqx.field(static=True, default=2)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.degree < 0:
            raise ValueError(f"the degree of a polynomial is not negative, got {self.degree}; write degree=2.")

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        check_definite(operator, "AdaptivePolynomial")
        check_preconditioner(options, "AdaptivePolynomial")
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        operator, limit = state, self.limit(vector)
        x, r, applied = start(operator, vector, options)
        size, first = v.norm(vector), v.norm(r)
        goal, history = self.goal(size), History(self.history, size)

        def going(error, step, broken):
            return (error > goal) & (step < limit) & ~broken

        def body(carry):
            x, r, error, step, broken, norms = carry
            live = going(error, step, broken)
            directions, images, weights, sound = self._step(operator, preconditioner(options), r)
            broken, live = broken | (live & ~sound), live & sound
            for weight, direction, image in zip(weights, directions, images, strict=True):
                alpha = jnp.where(live, weight, 0)
                x, r = v.axpy(alpha, direction, x), v.axpy(-alpha, image, r)
            step, error = step + live.astype(step.dtype), jnp.where(live, v.norm(r), error)
            return x, r, error, step, broken, history.record(norms, step, error)

        carry = (x, r, first, jnp.zeros((), int), ~jnp.isfinite(first), history.start(first))
        unfinished = lambda carry: unvmap_any(going(*carry[2:5]))
        x, _, error, steps, broken, norms = jax.lax.while_loop(unfinished, body, carry)
        met = v.norm(v.subtract(vector, operator.mv(x))) <= 2 * goal
        stats = {"num_steps": steps, "num_matvecs": (self.degree + 1) * steps + (applied + 1)}
        return x, verdict(met, error <= goal, broken), stats | history.stats(norms)

    def _step(self, operator, precondition, r):
        """Orthonormal directions, their images, the weights of the minimum, and whether the curvature is positive."""
        directions, images, w = [], [], precondition(r)
        for i in range(self.degree + 1):
            whole = v.norm(w)
            for q in directions + directions:
                w = v.axpy(-v.dot(q, w), q, w)
            length = v.norm(w)
            fresh = length > 100 * jnp.finfo(length.dtype).eps * whole
            # An exhausted space goes on with zero vectors, which get no weight.
            q = v.axpy(v.ratio(jnp.ones_like(length), length, fresh), w, v.zeros(w))
            directions, images = [*directions, q], [*images, operator.mv(q)]
            if i < self.degree:
                w = precondition(images[-1])
        used = jnp.stack([v.norm(q) > 0 for q in directions])
        curvature = jnp.stack([jnp.stack([v.dot(q, w) for w in images]) for q in directions])
        slope = jnp.stack([v.dot(q, r) for q in directions])
        weights = jnp.linalg.solve(curvature + jnp.diag(~used).astype(curvature.dtype), slope)
        return directions, images, weights, jnp.real(jnp.vdot(slope, weights)) > 0


def symmetric_polynomial(operator: lx.AbstractLinearOperator, traces: Sequence[Any]) -> lx.FunctionLinearOperator:
    """The polynomial preconditioner `P(A) = sum_i (-1)^i s_(t-i) A^i / s_t`, positive definite for positive definite A.

    `s_j` are the elementary symmetric polynomials of the eigenvalues, from `traces = (tr A, tr A^2, .., tr A^t)` by
    Newton's identities; P multiplies an eigenvalue by `s_t` of all the others, which takes the t largest ones out of
    the condition number where gaps follow them (Doikov & Rodomanov 2023). Each application takes t products with A.
    Measured (`experiments/polynomial_preconditioning`): no fewer products than plain descent where the rest of the
    spectrum is crowded; `AdaptivePolynomial` is the one to use.

    **Raises** `ValueError` without traces.
    """
    if not traces:
        raise ValueError("a symmetric polynomial needs at least one trace; write traces=(tr A, tr A^2) for degree 2.")
    # In units of tr A, so that the powers stay in range.
    scaled = [jnp.asarray(t) / jnp.asarray(traces[0]) ** (k + 1) for k, t in enumerate(traces)]
    sums = [jnp.ones_like(scaled[0])]
    for j in range(1, len(scaled) + 1):
        terms = [(-1) ** (i - 1) * sums[j - i] * scaled[i - 1] for i in range(1, j + 1)]
        sums.append(sum(terms[1:], terms[0]) / j)
    ratios = [a / b / traces[0] for a, b in zip(sums, sums[1:], strict=False)]

    def apply(r: PyTree[Array]) -> PyTree[Array]:
        z = r
        for ratio in ratios:
            z = v.axpy(-ratio, operator.mv(z), r)
        return z

    return lx.FunctionLinearOperator(apply, operator.in_structure(), lx.positive_semidefinite_tag)
