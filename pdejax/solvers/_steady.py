"""What every method for steady problems needs: the residual of the unknown nodes, and the fast preconditioner."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ..fields import Eigenbasis, GridField
from ..grids import Chebyshev, Cosine, Dirichlet, Grid, Held, Uniform, scale
from ._problem import SteadyProblem, unknown_nodes


class Unknowns(eqx.Module):
    """A steady problem as equations `F(w) = 0` for arrays `w` of node values `(channels, *shape)`.

    `u = boundary + w` with `w = 0` at Dirichlet nodes, where `F(w) = w`; elsewhere `F` is the residual times the
    weights that make self-adjoint operators symmetric matrices (half at closed ends).
    """

    problem: SteadyProblem
    dtype: np.dtype = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `w`."""
        return (self.problem.channels, *self.problem.grid.shape)

    def field(self, w: Array) -> GridField:
        """The field `boundary + w`."""
        free = unknown_nodes(self.problem.grid)
        inner = w if free is None else jnp.where(free, w, jnp.zeros((), w.dtype))
        return GridField(self.problem.boundary(w.dtype).values + inner, self.problem.grid)

    def residual(self, w: Array) -> Array:
        """`F(w)`."""
        u = self.field(w)
        r = self.problem.equation.residual(u.with_grid(_held(u.grid)))
        if r.channels != self.problem.channels:
            raise ValueError(
                f"{type(self.problem.equation).__name__} gives {r.channels} residuals for {self.problem.channels} "
                f"unknown channels; write SteadyProblem(equation, grid, channels={r.channels})."
            )
        odd = self.problem.grid.parity_flips(r.grid)
        if odd:
            raise ValueError(
                f"the residual has the opposite parity along axis {odd[0]!r}; use an axis that fits the equation."
            )
        out, free = r.as_coefficients().values * self._weights(), unknown_nodes(self.problem.grid)
        return out if free is None else jnp.where(free, out, w)

    def guess(self) -> Array:
        """Zero."""
        return jnp.zeros(self.shape, self.dtype)

    def structure(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of `w`."""
        return jax.ShapeDtypeStruct(self.shape, self.dtype)

    def start(self) -> Array:
        """The problem's guess, zero without one."""
        if self.problem.guess is None:
            return self.guess()
        values, free = self.problem.guess.values.astype(self.dtype), unknown_nodes(self.problem.grid)
        return values if free is None else jnp.where(free, values, jnp.zeros((), self.dtype))

    def preconditioner(self, shift: float = 0.0) -> lx.AbstractLinearOperator:
        """`(shift - lap)^-1` with the grid's homogeneous conditions by fast transform, in single precision at most.

        Modes that it would make infinite are treated as the next ones.
        A preconditioner steers, the residual decides: lower precision costs no accuracy and is about twice as fast.
        """
        basis, free = Eigenbasis(self.problem.grid), unknown_nodes(self.problem.grid)
        real = not np.issubdtype(self.dtype, np.complexfloating)
        single = jnp.float32 if real else jnp.complex64
        eigenvalues = shift - basis.laplacian(real)
        smallest = np.min(eigenvalues[eigenvalues > 1e-12 * eigenvalues.max()])
        inverse = 1 / np.maximum(eigenvalues, smallest)
        weights = symmetrising_weights(self.problem.grid)[None]

        def apply(r: Array) -> Array:
            modal = basis.forward(GridField((r / jnp.asarray(weights, r.dtype)).astype(single), self.problem.grid))
            out = basis.backward(scale(modal, inverse[None]), real).values.astype(r.dtype)
            return out if free is None else jnp.where(free, out, r)

        return lx.FunctionLinearOperator(apply, self.structure(), lx.positive_semidefinite_tag)

    def relative_error(self, w: Array, right: Array, dual: lx.AbstractLinearOperator | None = None) -> Array:
        """Residual of `w` relative to `right = -F(0)` in the norm of an approximate inverse `dual` of the operator.

        If that is not definite (or missing), in the norm of the inverse Laplacian.
        """
        if dual is None or not lx.is_positive_semidefinite(dual):
            dual = self.preconditioner()
        square = lambda r: jnp.sum(jnp.conj(r) * dual.mv(r)).real
        size = square(right)
        return jnp.sqrt(jnp.maximum(square(self.residual(w)), 0) / jnp.where(size > 0, size, jnp.ones((), size.dtype)))

    def _weights(self) -> Array:
        return jnp.asarray(symmetrising_weights(self.problem.grid), self.dtype)[None]


def _held(grid: Grid) -> Grid:
    """The grid with known end nodes in place of Dirichlet conditions of `Uniform` axes:
    their values are set already.
    """

    def held(axis):
        if not isinstance(axis, Uniform) or axis.centred:
            return axis
        lower, upper = (Held() if isinstance(side, Dirichlet) else side for side in (axis.lower, axis.upper))
        return Uniform(axis.n, axis.length, axis.start, lower, upper, axis.order)

    return grid.with_axes(map(held, grid.axes))


def symmetrising_weights(grid: Grid) -> np.ndarray:
    """Relative node weights under which second derivatives on the grid are symmetric: half at closed ends, else one."""
    out = np.ones(())
    for axis in grid.axes:
        w = np.ones(axis.n)
        closed_cosine = isinstance(axis, Cosine) and not axis.centred
        if closed_cosine or (isinstance(axis, Uniform) and not (axis.is_periodic or axis.centred)):
            w[[0, -1]] = 0.5
        elif isinstance(axis, Chebyshev):
            w = axis.weights / axis.weights.max()
        out = np.multiply.outer(out, w)
    return out


def unknowns(problem: SteadyProblem) -> Unknowns:
    """The problem in the precision of its field data (the default one if it has none), complex if any datum is."""
    is_field = lambda x: isinstance(x, GridField)
    leaves = jax.tree.leaves((problem.equation, problem.grid, problem.guess), is_leaf=is_field)
    arrays = [x for x in jax.tree.leaves((problem.equation, problem.guess)) if eqx.is_inexact_array(x) and x.ndim > 1]
    dtype = jnp.result_type(*(x.real.dtype for x in arrays)) if arrays else jnp.result_type(float)
    # Half the spectrum of a real field is complex, the field is not.
    if problem.equation.is_complex or any(
        not x.is_real if is_field(x) else eqx.is_inexact_array(x) and jnp.iscomplexobj(x) for x in leaves
    ):
        dtype = np.result_type(np.dtype(dtype), np.complex64)
    return Unknowns(problem, np.dtype(dtype))
