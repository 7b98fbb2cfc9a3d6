from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import Fourier, Grid, Uniform
from ._preconditioner import AbstractPreconditioner
from ._problem import SteadyProblem
from ._steady import Unknowns, unknowns
from ._symbol import in_float64
from .multigrid import AbstractSmoother, Hierarchy, Jacobi, Stencil, box, hierarchy, probe
from .multigrid._stencil import Offset


class Multigrid(AbstractPreconditioner):
    """One multigrid cycle: the number of iterations depends neither on the grid nor much on jumps of coefficients.

    For equations on `Uniform(order=2)` axes (closed, centred or periodic, any dimension and boundary conditions) whose
    operator couples next neighbours: `div(a grad u) + c u` with scalar or tensor a, convection with compact
    differences, systems. The operator is read off by applying it to unit vectors, coarse operators are Galerkin
    products with black-box interpolation (Dendy 1982), so no equation has to describe itself. In single precision at
    most: a preconditioner steers, the residual decides.

    **Arguments:** `cycle`: `"V"` or `"W"`; `"F"` or `"full"` (nested iteration), which are not symmetric, for `GMRES`;
    `smoother`: from `pdejax.solvers.multigrid`: `Jacobi`, `Chebyshev`, `GaussSeidel`, `Line`.

    **Raises** `ValueError` if the operator reaches farther than next neighbours.
    """

    cycle: str = eqx.field(static=True, default="V")
    smoother: AbstractSmoother = Jacobi()
    offsets: tuple[Offset, ...] | None = eqx.field(static=True, default=None)

    @property
    def name(self) -> str:
        return f"multigrid {self.cycle}-cycle, {type(self.smoother).__name__}"

    def prepare(self, problem: SteadyProblem) -> Self:
        return type(self)(self.cycle, self.smoother, _coupled(problem))

    def tabulate(self, problem: SteadyProblem, tags) -> AbstractPreconditioner:
        return Tabulated(_cycle(self, problem, tags), self.name)

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        grid = system.problem.grid
        offsets = box(len(grid.shape)) if self.offsets is None else self.offsets
        single = np.complex64 if np.issubdtype(system.dtype, np.complexfloating) else np.float32
        fine = probe(product.mv, system.problem.channels, grid.shape, wraps(grid), offsets, system.dtype)
        definite = lx.is_positive_semidefinite(product) and self.cycle in ("V", "W")
        return Cycle(hierarchy(fine.astype(single), self.smoother, self.cycle), system.structure(), definite)


class Tabulated(AbstractPreconditioner):
    """An approximate inverse that has been built."""

    inverse: lx.AbstractLinearOperator
    label: str = eqx.field(static=True)

    @property
    def name(self) -> str:
        return self.label

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        return self.inverse


@eqx.filter_jit
def _cycle(recipe: Multigrid, problem: SteadyProblem, tags) -> lx.AbstractLinearOperator:
    system = unknowns(problem)
    product = jax.linearize(system.residual, system.guess())[1]
    return recipe.build(system, lx.FunctionLinearOperator(product, system.structure(), tags))


class Cycle(lx.AbstractLinearOperator):
    """A multigrid cycle as the linear operator that it is."""

    hierarchy: Hierarchy
    structure: jax.ShapeDtypeStruct = eqx.field(static=True)
    definite: bool = eqx.field(static=True)
    transposed: bool = eqx.field(static=True, default=False)

    def mv(self, vector: Array) -> Array:
        """One cycle from zero."""
        single = vector.astype(self.hierarchy.coarsest.dtype)
        if self.transposed:
            out = jax.linear_transpose(self.hierarchy.apply, single)(single)[0]
        else:
            out = self.hierarchy.apply(single)
        return out.astype(vector.dtype)

    def as_matrix(self) -> Array:
        """The dense matrix, column by column."""
        size = int(np.prod(self.structure.shape))
        units = jnp.eye(size, dtype=self.structure.dtype).reshape(size, *self.structure.shape)
        return jax.vmap(lambda e: self.mv(e).ravel())(units).T

    def transpose(self) -> "Cycle":
        """The transposed cycle, itself if it is symmetric."""
        if self.definite and not jnp.issubdtype(self.structure.dtype, jnp.complexfloating):
            return self
        return Cycle(self.hierarchy, self.structure, self.definite, not self.transposed)

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of vectors."""
        return self.structure

    def out_structure(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of images."""
        return self.structure


for _property in (
    lx.is_diagonal,
    lx.is_lower_triangular,
    lx.is_upper_triangular,
    lx.is_tridiagonal,
    lx.has_unit_diagonal,
    lx.is_negative_semidefinite,
):
    _property.register(Cycle)(lambda operator: False)
for _property in (lx.is_symmetric, lx.is_positive_semidefinite):
    _property.register(Cycle)(lambda operator: operator.definite)
for _same in (lx.linearise, lx.materialise):
    _same.register(Cycle)(lambda operator: operator)


@lx.conj.register
def _(operator: Cycle):
    tables = jax.tree.map(lambda x: jnp.conj(x) if eqx.is_inexact_array(x) else x, operator.hierarchy)
    return Cycle(tables, operator.structure, operator.definite, operator.transposed)


def wraps(grid: Grid) -> tuple[bool, ...]:
    """Which axes are rings."""
    return tuple(isinstance(a, Fourier) or (isinstance(a, Uniform) and a.is_periodic) for a in grid.axes)


_KNOWN: dict = {}  # Which neighbours are coupled, for each structure of problem.


def _coupled(problem: SteadyProblem) -> tuple[Offset, ...]:
    """The neighbours that the operator of a problem couples, found on a small grid of the same kind with random data.

    **Raises** `ValueError` if it reaches farther.
    """
    # Inside a user's `jit` too, what stands in for the data is known now.
    with jax.ensure_compile_time_eval():
        small = _shrunk(problem)
    leaves, structure = jax.tree.flatten(small)
    key = (structure, tuple(x.shape if eqx.is_array(x) else x for x in leaves))
    if key not in _KNOWN:
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            _KNOWN[key] = _look(in_float64(small))
    return _KNOWN[key]


def _look(problem: SteadyProblem) -> tuple[Offset, ...]:
    system, grid = unknowns(problem), problem.grid
    point = jnp.asarray(np.random.default_rng(1).standard_normal(system.shape), system.dtype)
    product = jax.jit(lambda v: jax.jvp(system.residual, (point,), (v,))[1])
    found: Stencil = probe(product, problem.channels, grid.shape, wraps(grid), box(len(grid.shape)), system.dtype)
    image = np.asarray(product(point))
    if np.abs(np.asarray(found.mv(point)) - image).max() > 1e-8 * np.abs(image).max():
        raise ValueError(
            f"multigrid needs an operator that couples next neighbours only, {type(problem.equation).__name__} on "
            f"{grid} reaches farther; write axes Uniform(n, ..., order=2), or take solvers.ConjugateGradient() or "
            "solvers.GMRES(), whose preconditioner works on any axis."
        )
    size = np.abs(np.asarray(found.coefficients)).reshape(len(found.offsets), -1).max(axis=1)
    return tuple(o for o, s in zip(found.offsets, size, strict=True) if s > 1e-12 * size.max())


def _shrunk(problem: SteadyProblem) -> SteadyProblem:
    """The problem on a small grid with axes of the same kinds: fields on its grid are replaced by random ones."""
    grid, generator = problem.grid, np.random.default_rng(0)
    small = grid.with_shape(tuple(min(n, 9 + n % 2) for n in grid.shape))
    small = jax.tree.map(lambda x: np.zeros((), jnp.result_type(x)), small)

    def shrink(x):
        if isinstance(x, GridField) and x.grid.shape == grid.shape:
            values = generator.uniform(0.5, 1.5, (x.channels, *small.shape))
            return GridField(jnp.asarray(values.astype(jnp.result_type(x.values))), small.as_coefficient())
        # Numbers too: what is remembered must hold for other values, also where these happen to be zero.
        return generator.uniform(0.5, 1.5, x.shape).astype(x.dtype) if eqx.is_inexact_array(x) else x

    equation = jax.tree.map(shrink, problem.equation, is_leaf=lambda x: isinstance(x, GridField))
    return SteadyProblem(equation, small, problem.channels)
