"""The lowest modes of self-adjoint equations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from equinox.internal import unvmap_any
from jaxtyping import Array

from ..calculus import norm
from ..fields import GridField
from ._preconditioner import AbstractPreconditioner, InverseLaplacian
from ._problem import SteadyProblem, homogeneous, unknown_nodes
from ._solution import RESULTS, SolveError
from ._steady import Unknowns, symmetrising_weights, unknowns
from ._symbol import is_traced


class Modes(eqx.Module):
    """What `modes` returns.

    `eigenvalues` `(count,)` in increasing order; `value`: the modes as a batch of fields with L2 norm one, a leading
    axis on every leaf; `residuals` `(count,)`: the dual norm of `A u - eigenvalue u`, relative to the square root of
    the largest eigenvalue asked for, about the relative error of the mode in the energy norm (that of the eigenvalue is
    its square); `result`: how it ended; `num_steps`: iterations.
    """

    eigenvalues: Array
    value: GridField
    residuals: Array
    result: RESULTS
    num_steps: Array

    @property
    def ok(self) -> Array:
        """Whether the modes met their tolerance."""
        return self.result == RESULTS.successful


def modes(
    problem: SteadyProblem,
    count: int = 6,
    rtol: float | None = None,
    max_steps: int = 200,
    preconditioner: AbstractPreconditioner | None = None,
    throw: bool = True,
) -> Modes:
    """The lowest `count` modes `A u = lambda u` of the linear part `A` of a self-adjoint steady equation.

    Locally optimal block preconditioned conjugate gradients (Knyazev 2001, algorithm 4.1) with the orthogonal basis of
    Hetmaniuk & Lehoucq (2006) and a few guard vectors; sources and boundary data play no part, a nonlinear equation is
    linearised at the problem's guess. The modes are those of the discrete operator, multiplicities included.

    Derivatives of an eigenvalue with respect to coefficients are those of its Rayleigh quotient at the fixed mode
    (Hellmann 1937, Feynman 1939): exact where the eigenvalue is simple, and for sums over a multiple one. The modes
    themselves are constants to differentiation.

    **Arguments:** `rtol`: for the residuals (default 1e-6 in float64, 1e-3 in float32); `max_steps`: iterations;
    `preconditioner`: of `A` (default `InverseLaplacian()`), positive definite; `throw`: whether failure is an error.

    **Raises** `TypeError` unless given a steady problem, `ValueError` for an impossible count or tolerance or an
    operator that is not self-adjoint, `SolveError` if `throw` and the tolerance is not met.
    """
    if not isinstance(problem, SteadyProblem):
        raise TypeError(
            f"modes takes a SteadyProblem, got {type(problem).__name__}; write modes(SteadyProblem(equation, grid))."
        )
    free = unknown_nodes(problem.grid)
    available = problem.channels * (int(np.prod(problem.grid.shape)) if free is None else int(free.sum()))
    if not 1 <= count <= available // 4:
        raise ValueError(
            f"modes finds between 1 and {available // 4} (a quarter of the unknowns) modes on this grid, got "
            f"count={count}; write count=1, or more nodes."
        )
    if rtol is not None and not rtol > 0:
        raise ValueError(f"a relative tolerance must be positive, got rtol={rtol:g}; write rtol=1e-6.")
    if not is_traced(problem):
        asymmetry = float(_asymmetry(problem))
        if asymmetry > 1e3 * float(np.finfo(unknowns(problem).dtype).eps):
            raise ValueError(
                f"modes needs a self-adjoint operator, that of {type(problem.equation).__name__} on this grid differs "
                f"from its adjoint by {asymmetry:.1e} (relative); drop the advection, or write Uniform axes of order 2."
            )
    found = _run(problem, count, rtol, max_steps, InverseLaplacian() if preconditioner is None else preconditioner)
    if not throw:
        return found
    failed = found.result != RESULTS.successful
    if isinstance(failed, jax.core.Tracer):
        return eqx.tree_at(lambda m: m.value, found, found.result.error_if(found.value, failed))
    if failed:
        raise SolveError(RESULTS[found.result])  # pyright: ignore[reportInvalidTypeArguments]
    return found


class _Standard(eqx.Module):
    """The symmetric eigenproblem `A y = lambda y` of a system, for blocks `(m, size)` of vectors `y = W^(1/2) w`.

    `W` are the weights that make the equations symmetric; known nodes are zero.
    """

    system: Unknowns
    preconditioner: AbstractPreconditioner

    def _roots(self) -> Array:
        return jnp.asarray(np.sqrt(symmetrising_weights(self.system.problem.grid)), self.system.dtype)[None]

    def _blockwise(self, apply, block: Array) -> Array:
        shape = self.system.shape
        return jax.vmap(lambda y: self._free(apply(y.reshape(shape))).reshape(-1))(block)

    def _free(self, w: Array) -> Array:
        free = unknown_nodes(self.system.problem.grid)
        return w if free is None else jnp.where(free, w, jnp.zeros((), w.dtype))

    def operators(self):
        """`A` and its preconditioner, as functions of blocks."""
        product = jax.linearize(self.system.residual, self.system.guess())[1]
        linear = lx.FunctionLinearOperator(product, self.system.structure(), lx.positive_semidefinite_tag)
        inverse, roots = self.preconditioner.build(self.system, linear).mv, self._roots()
        apply = lambda block: self._blockwise(lambda y: product(y / roots) / roots, block)
        precondition = lambda block: self._blockwise(lambda r: roots * inverse(roots * r), block)
        return apply, precondition

    def random(self, m: int) -> Array:
        """Random vectors, always the same, `(m, size)`."""
        vectors = jax.random.normal(jax.random.key(0), (m, *self.system.shape), self.system.dtype)
        return self._blockwise(lambda y: y, vectors.reshape(m, -1))

    def nodes(self, block: Array) -> Array:
        """Node values `(m, channels, *shape)` of vectors."""
        return block.reshape(len(block), *self.system.shape) / self._roots()[None]


@eqx.filter_jit
def _asymmetry(problem: SteadyProblem) -> Array:
    standard = _Standard(unknowns(problem), InverseLaplacian())
    apply, precondition = standard.operators()
    # Smooth vectors: rough ones would measure the highest modes alone.
    x = precondition(standard.random(2))
    gram = _dots(x, apply(x))
    return jnp.abs(gram[0, 1] - jnp.conj(gram[1, 0])) / jnp.sqrt(jnp.abs(gram[0, 0] * gram[1, 1]))


@eqx.filter_jit
def _run(problem, count: int, rtol: float | None, max_steps: int, preconditioner) -> Modes:
    arrays, rest = eqx.partition(problem, eqx.is_array)
    fixed = _Standard(unknowns(eqx.combine(jax.lax.stop_gradient(arrays), rest)), preconditioner)
    dtype = jnp.zeros((), fixed.system.dtype).real.dtype
    rtol = (1e-6 if dtype == jnp.float64 else 1e-3) if rtol is None else rtol
    guard = 2 + count // 4
    apply, precondition = fixed.operators()
    x = _orthonormal(precondition(fixed.random(count + guard)))
    x, steps = _iterate(apply, precondition, x, count, jnp.asarray(rtol, dtype), max_steps)
    # From here on derivatives count: quotients of the true operator at fixed vectors.
    x = jax.lax.stop_gradient(x[:count])
    image = _Standard(unknowns(problem), preconditioner).operators()[0](x)
    squares = jnp.sum(jnp.abs(x) ** 2, axis=1)
    eigenvalues = jnp.sum(jnp.conj(x) * image, axis=1).real / squares
    residuals = jax.lax.stop_gradient(_residuals(precondition, x, image, eigenvalues, count)[1])
    # Twice the tolerance: recomputed, the residual differs by rounding.
    met = jnp.all(residuals <= jnp.asarray(2 * rtol, dtype))
    out_of_steps = RESULTS.where(steps >= max_steps, RESULTS.max_steps_reached, RESULTS.tolerance_not_reached)
    result = RESULTS.where(met, RESULTS.successful, out_of_steps)
    grid = homogeneous(problem.grid)

    def field(w: Array) -> GridField:
        mode = GridField(w, grid)
        return GridField(w / norm(mode), grid)

    return Modes(eigenvalues, jax.vmap(field)(fixed.nodes(x)), residuals, result, steps)


def _iterate(apply, precondition, x: Array, count: int, rtol: Array, max_steps: int) -> tuple[Array, Array]:
    """Improved vectors and the number of iterations, from an orthonormal block."""
    m = len(x)
    x, image, theta = _ritz(x, apply(x))

    def going(r, step):
        return jnp.any(r[:count] > rtol) & (step < max_steps)

    def body(carry):
        x, image, p, p_image, theta, w, r, step = carry
        live = going(r, step)
        basis = jnp.concatenate([x, p])
        # Twice is enough (Giraud et al. 2005).
        for _ in range(2):
            w = _orthonormal(w - _combine(_dots(basis, w).T, basis))
        basis = jnp.concatenate([basis, w])
        images = jnp.concatenate([image, p_image, apply(w)])
        projected = _dots(basis, images)
        projected = (projected + jnp.conj(projected.T)) / 2
        # Directions dropped for dependence are zero vectors: moved above all others.
        missing = jnp.diagonal(_dots(basis, basis)).real < 0.5
        top = 2 * jnp.sum(jnp.abs(projected), axis=1).max() + 1
        values, vectors = jnp.linalg.eigh(projected + jnp.diag(jnp.where(missing, top, 0)).astype(projected.dtype))
        lowest = vectors[:, :m]
        # The next direction: what the new vectors owe to the last direction and the residuals, orthogonal to them.
        rest = jnp.where(jnp.arange(3 * m)[:, None] < m, jnp.zeros((), lowest.dtype), lowest)
        rest = rest - jnp.matmul(lowest, jnp.matmul(jnp.conj(lowest.T), rest))
        direction = _orthonormal(rest.T).T
        new = [_combine(c.T, block) for c in (lowest, direction) for block in (basis, images)]
        new_w, new_r = _residuals(precondition, new[0], new[1], values[:m], count)
        new = (*new, values[:m], new_w, new_r, step + 1)
        return jax.tree.map(lambda a, b: jnp.where(live, a, b), new, carry)

    w, r = _residuals(precondition, x, image, theta, count)
    start = (x, image, jnp.zeros_like(x), jnp.zeros_like(x), theta, w, r, jnp.zeros((), int))
    # One answer for a whole batch, so that `vmap` copies no state.
    out = jax.lax.while_loop(lambda carry: unvmap_any(going(*carry[-2:])), body, start)
    return out[0], out[-1]


def _ritz(x: Array, image: Array) -> tuple[Array, Array, Array]:
    projected = _dots(x, image)
    theta, vectors = jnp.linalg.eigh((projected + jnp.conj(projected.T)) / 2)
    return _combine(vectors.T, x), _combine(vectors.T, image), theta


def _residuals(precondition, x: Array, image: Array, theta: Array, count: int) -> tuple[Array, Array]:
    """Preconditioned residuals and their relative dual norms."""
    r = image - theta.astype(x.dtype)[:, None] * x
    w = precondition(r)
    size = jnp.sum(jnp.conj(r) * w, axis=1).real / jnp.max(jnp.abs(theta[:count]))
    return w, jnp.sqrt(jnp.maximum(size, 0))


def _orthonormal(block: Array) -> Array:
    """Orthonormal rows that span those given; zero rows for dependent ones (Stathopoulos & Wu 2002: SVQB)."""
    size = jnp.sqrt(jnp.sum(jnp.abs(block) ** 2, axis=1))
    block = block * jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 0).astype(block.dtype)[:, None]
    squares, vectors = jnp.linalg.eigh(_dots(block, block))
    kept = squares > 10 * len(block) * jnp.finfo(squares.dtype).eps * squares[-1]
    scale = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, squares, 1)), 0)
    return _combine((vectors * scale.astype(vectors.dtype)[None]).T, block)


def _dots(a: Array, b: Array) -> Array:
    return jnp.matmul(jnp.conj(a), b.T, precision="highest")


def _combine(coefficients: Array, block: Array) -> Array:
    return jnp.matmul(coefficients, block, precision="highest")
