from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from equinox.internal import unvmap_any
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, PyTree

from . import _vectors as v
from ._check import check_linear, preconditioner
from ._history import History
from ._krylov import AbstractKrylov, start, verdict


class Recycle(eqx.Module):
    """What one system of a sequence hands to the next: search directions `(recycled, unknowns)`, zero where empty.

    They live in the space that the preconditioner maps to solutions.
    """

    directions: Array


class GCRODR(AbstractKrylov):
    """Restarted GMRES that keeps its most useful directions, over restarts and over a sequence of systems.

    GCRO-DR: Parks, de Sturler, Mackey, Johnson & Maiti 2006. With `A M U = C`, `C` orthonormal, each cycle removes the
    part of the residual in `C`, takes `restart - recycled` Arnoldi steps orthogonal to it and minimises the true
    residual over `U` and the new basis. Differs from the paper in what is kept: the correction of the last cycle, as in
    LGMRES (Baker, Jessup & Manteuffel 2005), and of the other directions searched the `recycled - 1` that `A M`
    shortens most (dominant singular vectors of `(A M)^-1` on the space searched) in place of harmonic Ritz vectors.
    They come from a Hermitian eigenproblem of order `restart`, so the method is real for real systems, runs on every
    backend and keeps bounded directions of nonnormal operators. The first cycle of a first system has `restart -
    recycled` steps too, so that all systems share one compiled loop.

        solver = GCRODR(rtol=1e-8)
        solution, recycle = solver.solve(operator, b)             # the first system
        solution, recycle = solver.solve(operator, b, recycle)    # a related one, in `lax.scan` if there are many

    Also a lineax solver: `options["recycle"]` and `stats["recycle"]` are what came and what goes on;
    `options["preconditioner"]` is a linear operator, applied on the right; `options["y0"]` a first guess. Derivatives
    of solutions are the implicit ones; none flow through `Recycle`. Storage: `restart + 2 recycled + 1` vectors. Under
    `vmap` all lanes run until the slowest is done; make independent chains the lanes, not the systems of one.

    **Arguments:** `rtol`, `atol`, `max_steps`, `history` as for `FGMRES`; `restart`: directions searched in a cycle;
    `recycled`: how many of them are kept.

    **Raises** `ValueError` unless `0 < recycled <= restart / 2`, for an operator that is not square or a `Recycle` that
    does not fit; `TypeError` for a nonlinear operator or preconditioner.
    """

    rtol: Any
    atol: Any = 0.0
    max_steps: int | None = eqx.field(static=True, default=None)
    restart: int = eqx.field(static=True, default=40)
    recycled: int = eqx.field(static=True, default=15)
    history: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if not 0 < 2 * self.recycled <= self.restart:
            raise ValueError(
                f"GCRODR keeps at most half of the directions of a cycle, got recycled={self.recycled} of "
                f"restart={self.restart}; write restart={max(2 * self.recycled, 2)}."
            )

    def empty(self, b: PyTree[Array]) -> Recycle:
        """The `Recycle` of a first system with right-hand side `b` (or a structure of its shape and dtype)."""
        dtype = jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(b)))
        return Recycle(jnp.zeros((self.recycled, v.size(b)), dtype))

    def solve(
        self,
        operator: lx.AbstractLinearOperator,
        b: PyTree[Array],
        recycle: Recycle | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[lx.Solution, Recycle]:
        """The solution of `A x = b` (its `result` tells success), and what to hand to the next system.

        `options` as for `lineax.linear_solve`.
        """
        recycle = jax.lax.stop_gradient(self.empty(b) if recycle is None else recycle)
        out = lx.linear_solve(operator, b, self, options={**(options or {}), "recycle": recycle}, throw=False)
        return out, out.stats["recycle"]

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        if operator.in_size() != operator.out_size():
            raise ValueError(f"GCRODR takes a square operator, got {operator.out_size()} x {operator.in_size()}.")
        check_linear(operator)
        given = options.get("preconditioner")
        if given is not None:
            if not isinstance(given, lx.AbstractLinearOperator):
                raise TypeError(
                    f"the preconditioner of GCRODR must be a lineax linear operator, got {type(given).__name__}; a "
                    "callable that is nonlinear or changes from step to step goes with FGMRES."
                )
            check_linear(given, "the preconditioner of GCRODR")
        return lx.linearise(operator)

    def compute(self, state, vector: PyTree[Array], options: dict[str, Any]):
        guess, residual, applied = start(state, vector, options)
        system = _System(state, options, vector)
        residual, directions = system.ravel(residual), self._directions(vector, options)
        size, limit = v.norm(vector), self.limit(vector)
        goal, history = self.goal(size), History(self.history, size)

        # An empty space costs no application of the operator.
        images = jax.lax.cond(jnp.any(directions != 0), jax.vmap(system.product), jnp.zeros_like, directions)
        images, directions = _orthonormal(images, directions)
        applied = applied + jnp.sum(jnp.any(directions != 0, axis=1))

        def going(carry: _Carry):
            return (carry.error > goal) & (carry.steps < limit) & ~carry.stuck & jnp.isfinite(carry.error)

        def cycle(carry: _Carry):
            live = going(carry)
            new = self._cycle(system, carry, jnp.where(live, goal, jnp.inf), limit, history)
            return jax.tree.map(lambda a, b: jnp.where(live, a, b), new, carry)

        error, zero, no = v.norm(residual), jnp.zeros((), int), jnp.zeros((), bool)
        carry = _Carry(
            system.ravel(guess), residual, error, directions, images, zero, applied, no, history.start(error)
        )
        carry = jax.lax.while_loop(lambda c: unvmap_any(going(c)), cycle, carry)
        met = carry.error <= goal
        stats = {
            "num_steps": carry.steps,
            "num_matvecs": carry.products,
            "recycle": Recycle(carry.directions),
        }
        result = verdict(met, met | carry.stuck, ~jnp.isfinite(carry.error))
        return system.unravel(carry.x), result, stats | history.stats(carry.norms)

    def _directions(self, vector: PyTree[Array], options: dict[str, Any]) -> Array:
        empty = self.empty(vector).directions
        given = options["recycle"].directions if "recycle" in options else empty
        if given.shape != empty.shape or given.dtype != empty.dtype:
            raise ValueError(
                f"this GCRODR recycles {empty.shape} directions in {empty.dtype}, got {given.shape} in {given.dtype}; "
                "start with solver.empty(b)."
            )
        return given

    def _cycle(self, system: "_System", carry: "_Carry", goal: Array, limit: int, history: History) -> "_Carry":
        m, k, dtype = self.restart, self.recycled, carry.x.dtype
        part = _multiply(jnp.conj(carry.images), carry.residual)
        update = _multiply(part, carry.directions)
        r = carry.residual - _multiply(part, carry.images)
        beta = v.norm(r)

        def going(search: _Search):
            return (search.error > goal) & (search.steps < limit)

        def unfinished(search: _Search):
            return (search.column < m) & unvmap_any(going(search))

        def arnoldi(search: _Search):
            j, basis, live = search.column, search.basis, going(search)
            w = system.product(basis[j])
            whole = v.norm(w)
            g, w = _project(basis, w)
            # A second projection where the first left little: orthogonal to ten roundings.
            g, w = jax.lax.cond(v.norm(w) < 0.1 * whole, lambda: _project(basis, w, g), lambda: (g, w))
            length = v.norm(w)
            # Left null vector of the Hessenberg part, on which the first unit vector projects to the least residual.
            entry = -jnp.sum(search.null * g) * v.ratio(jnp.ones_like(length), length, length > 0).astype(dtype)
            null = search.null.at[j + 1].set(jnp.where(live, entry, 0))
            error = jnp.where(live, jnp.where(length > 0, beta / v.norm(null), 0), search.error)
            steps = search.steps + live.astype(search.steps.dtype)
            w = w * v.ratio(jnp.ones_like(length), length, live & (length > 0)).astype(dtype)
            matrix = search.matrix.at[:, j].set(
                jnp.where(live, g.at[j + 1].set(length.astype(dtype)), search.matrix[:, j])
            )
            norms = history.record(search.norms, steps, error)
            return _Search(j + 1, basis.at[j + 1].set(w), matrix, null, error, steps, norms)

        # A M [U, V] = [C, V+] G: the Arnoldi process with a basis that starts with C. Columns of steps not taken stay
        # unit vectors, orthogonal to all others, so that they get no weight.
        basis = jnp.zeros((m + 1, r.size), dtype).at[:k].set(carry.images)
        basis = basis.at[k].set(r * v.ratio(jnp.ones_like(beta), beta, beta > 0).astype(dtype))
        matrix = jnp.eye(m + 1, m, dtype=dtype).at[:, k:].set(jnp.eye(m + 1, m - k, -k - 1, dtype=dtype))
        null = jnp.zeros(m + 1, dtype).at[k].set(1)
        search = _Search(jnp.asarray(k), basis, matrix, null, beta, carry.steps, carry.norms)
        search = jax.lax.while_loop(unfinished, arnoldi, search)

        q, upper = jnp.linalg.qr(search.matrix)
        inverse = solve_triangular(upper, jnp.eye(m, dtype=dtype))
        span = jnp.concatenate([carry.directions, search.basis[k:m]])
        weights = _multiply(inverse, beta.astype(dtype) * jnp.conj(q[k]))
        x = carry.x + system.precondition(update + _multiply(weights, span))
        residual = system.right - system.apply(x)
        taken = search.steps - carry.steps

        def renewed():
            # [C, V+] q is orthonormal and the image of [U, V] inverse, whose longest directions are kept.
            gram = _multiply(jnp.conj(span[:k]), span.T)
            inner = jnp.diag(jnp.arange(m) < k + taken).astype(dtype).at[:k].set(gram).at[:, :k].set(jnp.conj(gram).T)
            # First the part of the residual that this cycle removed, so that the next does not bring it back.
            removed = jnp.conj(q[k]) * v.ratio(jnp.ones_like(beta), v.norm(q[k]), beta > 0).astype(dtype)
            others = inverse - jnp.outer(inverse @ removed, jnp.conj(removed))
            longest = jnp.linalg.eigh(jnp.conj(others).T @ inner @ others)[1][:, m + 1 - k :]
            kept = jnp.concatenate([longest, removed[:, None]], axis=1)
            return _multiply(_multiply(inverse, kept).T, span), _multiply(_multiply(q, kept).T, search.basis)

        # Short cycles were measured to spoil a space (four to seven per cent more steps in the systems that follow).
        wanted = (taken >= k) | ~jnp.all(jnp.any(carry.directions != 0, axis=1))
        directions, images = jax.lax.cond(wanted, renewed, lambda: (carry.directions, carry.images))
        error = v.norm(residual)
        stuck = ~(error < carry.error) & (error > goal)
        norms = history.record(search.norms, search.steps, error)
        products = carry.products + taken + 1
        return _Carry(x, residual, error, directions, images, search.steps, products, stuck, norms)


class _System:
    """`A x = b` in flat vectors, and `A M` with the preconditioner `M`."""

    def __init__(self, operator: lx.AbstractLinearOperator, options: dict[str, Any], vector: PyTree[Array]):
        self.right, self.unravel = ravel_pytree(vector)
        self.apply = lambda x: self.ravel(operator.mv(self.unravel(x)))
        self.precondition = lambda r: self.ravel(preconditioner(options)(self.unravel(r)))
        self.product = lambda r: self.apply(self.precondition(r))

    def ravel(self, vector: PyTree[Array]) -> Array:
        return ravel_pytree(vector)[0]


class _Carry(NamedTuple):
    """The state between cycles: `images = A M directions` are orthonormal rows."""

    x: Array
    residual: Array
    error: Array
    directions: Array
    images: Array
    steps: Array
    products: Array
    stuck: Array
    norms: Array


class _Search(NamedTuple):
    """An Arnoldi process under way; `error` is the residual norm that its space allows."""

    column: Array
    basis: Array
    matrix: Array
    null: Array
    error: Array
    steps: Array
    norms: Array


def _orthonormal(images: Array, directions: Array) -> tuple[Array, Array]:
    """Orthonormal combinations of the images, the same of the directions; what is dependent becomes zero.

    Twice, since one pass through the Gram matrix leaves an error of the square of the condition number.
    """
    for _ in range(2):
        values, vectors = jnp.linalg.eigh(_multiply(jnp.conj(images), images.T))
        kept = values > len(images) * jnp.finfo(values.dtype).eps * values[-1]
        scales = v.ratio(jnp.ones_like(values), jnp.sqrt(jnp.abs(values)), kept)
        combination = scales.astype(vectors.dtype)[:, None] * vectors.T
        images, directions = _multiply(combination, images), _multiply(combination, directions)
    return images, directions


def _project(basis: Array, w: Array, before: Array | None = None) -> tuple[Array, Array]:
    """Coefficients of `w` in an orthonormal basis (added to those of `before`), and what is left of it."""
    g = _multiply(jnp.conj(basis), w)
    return g if before is None else before + g, w - _multiply(g, basis)


def _multiply(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
