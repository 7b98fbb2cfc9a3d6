"""Preconditioners for steady flow on staggered grids: blocks by fast transforms, and elimination line by line."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ..equations import SteadyNavierStokes, Stokes
from ..fields import Eigenbasis, GridField
from ..grids import Dirichlet, Grid, Uniform, scale
from ._preconditioner import AbstractPreconditioner
from ._problem import SteadyProblem
from ._steady import Unknowns


class StokesBlocks(AbstractPreconditioner):
    """Inverse of the viscous part of each velocity component by fast transforms, and `nu` times the identity for the
    pressure: symmetric positive definite, for `MINRES` and `FGMRES`.

    The pressure's Schur complement `div (nu lap)^-1 grad` is spectrally equivalent to `-1 / nu`, so the number of steps
    does not grow with the grid (Silvester & Wathen 1994; Elman, Silvester & Wathen 2014, section 4.2). It knows
    nothing of convection: good for Stokes flow in any dimension, for Navier-Stokes at Reynolds numbers of order ten.

    **Raises** `TypeError` for other equations than `Stokes` and `SteadyNavierStokes`.
    """

    def prepare(self, problem: SteadyProblem) -> "StokesBlocks":
        _check_flow("StokesBlocks", problem)
        return self

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        grid, nu = system.problem.grid, jnp.asarray(system.problem.equation.viscosity).astype(system.dtype)
        parts = [_inverse_viscous(grid, i, nu) for i in range(len(grid.axes))]

        def apply(r: Array) -> Array:
            mean = jnp.mean(r[-1])
            return jnp.stack([*(part(r[i]) for i, part in enumerate(parts)), nu * (r[-1] - mean) + mean])

        return lx.FunctionLinearOperator(apply, system.structure(), lx.positive_semidefinite_tag)

    @property
    def name(self) -> str:
        return "Stokes blocks"


class LineElimination(AbstractPreconditioner):
    """Gaussian elimination of the linearised flow, one line of cells after the other (block tridiagonal).

    The coefficients are read off by applying the Jacobian to sets of cells that do not see each other (Curtis, Powell &
    Reid 1974), 27 sets in the plane. The inverse is exact up to rounding, so that a Krylov method needs a few steps at
    any Reynolds number. In single precision at most: the residual decides. Work `n m^3` and memory `n m^2` for `n`
    lines of `m` unknowns: a second or two and 75 MB at 128 x 128, too much for large grids in space.

    **Raises** `TypeError` for other equations than `Stokes` and `SteadyNavierStokes`, `ValueError` without walls.
    """

    def prepare(self, problem: SteadyProblem) -> "LineElimination":
        _check_flow("LineElimination", problem)
        if all(axis.is_periodic for axis in problem.grid.axes):
            raise ValueError(
                f"LineElimination begins at a wall and {problem.grid} has none; write StokesBlocks(), or solve the "
                "evolution equation NavierStokes on Fourier axes."
            )
        return self

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        stencil = _Stencil(system.problem.grid)
        # The mean of the pressure couples all cells; without it the pressure is fixed in one cell instead.
        local = lambda v: product.mv(v).at[-1].add(jnp.mean(v[-1]))
        entries = [e.astype(jnp.float32) for e in stencil.entries(local, system.dtype)]
        inverses = _eliminate(stencil, *entries)

        def apply(r: Array) -> Array:
            mean = jnp.mean(r[-1])
            lines = stencil.to_lines(r.at[-1].add(-mean)).astype(jnp.float32)
            out = stencil.from_lines(_substitute(stencil, inverses, *entries, lines)).astype(r.dtype)
            return out.at[-1].add(-jnp.mean(out[-1]) - mean)

        return lx.FunctionLinearOperator(apply, system.structure())

    @property
    def name(self) -> str:
        return "line elimination"


def _check_flow(name: str, problem: SteadyProblem) -> None:
    if not isinstance(problem.equation, Stokes | SteadyNavierStokes):
        raise TypeError(
            f"{name} is for Stokes and SteadyNavierStokes, got {type(problem.equation).__name__}; write "
            "InverseLaplacian()."
        )


def _inverse_viscous(grid: Grid, i: int, nu: Array) -> Callable[[Array], Array]:
    """`(-nu lap)^-1` for velocity component i, the identity on upper walls; the mean of a flow without walls stays."""
    rest, walled = Dirichlet(), not grid.axes[i].is_periodic
    axes = [
        axis if axis.is_periodic else Uniform(axis.n + (j == i), axis.length, axis.start, rest, rest, centred=j != i)
        for j, axis in enumerate(grid.axes)
    ]
    nodes = grid.with_axes(axes)
    basis = Eigenbasis(nodes)
    eigenvalues = -basis.laplacian()
    free = 1e-12 * eigenvalues.max() < eigenvalues
    inverse = np.where(free, 1 / np.where(free, eigenvalues, 1), 0)
    around = [(int(walled and j == i), 0) for j in range(len(axes))]
    last = np.arange(grid.shape[i]) == grid.shape[i] - 1
    on_wall = grid.broadcast(last & walled, grid.names[i])

    def apply(r: Array) -> Array:
        modal = basis.forward(GridField(jnp.pad(r, around)[None], nodes))
        out = basis.backward(scale(modal, inverse[None])).values[0] / nu
        out = out[(slice(None),) * i + (slice(1, None),)] if walled else out
        return jnp.where(on_wall, r, out) if free.all() else out + jnp.mean(r)

    return apply


class _Stencil:
    """Where the coefficients of nearest neighbours stand in the blocks of a block tridiagonal matrix.

    Lines run across the walled axis with the most cells. All arrays are numpy, made while tracing.
    """

    def __init__(self, grid: Grid):
        self.shape, size = grid.shape, len(grid.axes)
        walled = [j for j, axis in enumerate(grid.axes) if not axis.is_periodic]
        self.across = max(walled, key=lambda j: grid.shape[j])
        self.channels, self.periodic = size + 1, [axis.is_periodic for axis in grid.axes]
        self.colours = [
            next((k for k in range(3, n) if n % k == 0), n) if periodic else min(3, n)
            for n, periodic in zip(self.shape, self.periodic, strict=True)
        ]
        self.line = tuple(n for j, n in enumerate(self.shape) if j != self.across)
        self.width = self.channels * int(np.prod(self.line))
        offsets = np.array(list(np.ndindex(*(3,) * size))) - 1
        self.offsets = [offsets[offsets[:, self.across] == step] for step in (-1, 0, 1)]

    def to_lines(self, v: Array) -> Array:
        """`(channels, *shape)` to `(lines, width)`."""
        return jnp.moveaxis(v, self.across + 1, 0).reshape(self.shape[self.across], self.width)

    def from_lines(self, lines: Array) -> Array:
        """The inverse of `to_lines`."""
        v = lines.reshape(self.shape[self.across], self.channels, *self.line)
        return jnp.moveaxis(v, 0, self.across + 1)

    def entries(self, product: Callable, dtype) -> list[Array]:
        """Coefficients with the line before, the line itself and the line after: `(lines, width, neighbours)` each."""
        index = np.indices(self.shape)
        sets = list(np.ndindex(*self.colours))
        masks = [np.all([i % k == c for i, k, c in zip(index, self.colours, s, strict=True)], axis=0) for s in sets]
        masks = jnp.asarray(np.stack(masks), dtype)
        units = jnp.eye(self.channels, dtype=dtype).reshape(self.channels, self.channels, *(1 for _ in self.shape))
        images = jax.vmap(lambda unit: jax.vmap(lambda mask: product(unit * mask[None]))(masks))(units)
        out = []
        for offsets in self.offsets:
            columns = []
            for c in range(self.channels):
                for offset in offsets:
                    here, inside = self._neighbour(index, offset)
                    colour = np.ravel_multi_index(
                        [i % k for i, k in zip(here, self.colours, strict=True)], self.colours
                    )
                    values = jnp.take_along_axis(images[c], colour[None, None], axis=0)[0]
                    columns.append(self.to_lines(jnp.where(inside[None], values, 0)))
            out.append(jnp.stack(columns, axis=-1))
        return out

    def columns(self, step: int) -> np.ndarray:
        """Which unknown of its line each coefficient belongs to, `(width, neighbours)`."""
        index = np.indices(self.shape)
        numbers = np.arange(self.width).reshape(self.channels, *self.line)
        first = [slice(None)] * len(self.shape)
        first[self.across] = 0
        out = []
        for c in range(self.channels):
            for offset in self.offsets[step + 1]:
                here, _ = self._neighbour(index, offset)
                inside = [np.clip(h[tuple(first)], 0, n - 1) for h, n in zip(here, self.shape, strict=True)]
                del inside[self.across]
                out.append(np.broadcast_to(numbers[c][tuple(inside)], (self.channels, *self.line)).ravel())
        return np.stack(out, axis=-1)

    def _neighbour(self, index: np.ndarray, offset: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        here, inside = [], np.ones(self.shape, bool)
        for i, o, n, periodic in zip(index, offset, self.shape, self.periodic, strict=True):
            here.append((i + o) % n if periodic else i + o)
            inside &= (here[-1] >= 0) & (here[-1] < n)
        return here, inside


def _dense(stencil: _Stencil, entries: Array, step: int) -> Array:
    rows = np.arange(stencil.width)[:, None]
    zero = jnp.zeros((stencil.width, stencil.width), entries.dtype)
    # Beyond a wall the coefficient is zero, whatever its column.
    return zero.at[rows, stencil.columns(step)].add(entries)


def _eliminate(stencil: _Stencil, before: Array, own: Array, after: Array) -> Array:
    """Inverses of the pivot blocks, `(lines, width, width)`."""
    last = np.arange(len(own)) == len(own) - 1
    pin = np.zeros((stencil.width, stencil.width), np.float32)
    pin[-1, -1] = -1.0

    def step(carried, line):
        before, own, after, is_last = line
        block = _dense(stencil, own, 0) - _dense(stencil, before, -1) @ carried
        inverse = jnp.linalg.inv(block + jnp.where(is_last, pin, 0))
        return inverse @ _dense(stencil, after, 1), inverse

    start = jnp.zeros((stencil.width, stencil.width), own.dtype)
    return jax.lax.scan(step, start, (before, own, after, jnp.asarray(last)))[1]


def _substitute(stencil: _Stencil, inverses: Array, before: Array, own: Array, after: Array, lines: Array) -> Array:
    left, right = stencil.columns(-1), stencil.columns(1)

    def forward(z, line):
        r, inverse, before = line
        z = inverse @ (r - jnp.sum(before * z[left], axis=1))
        return z, z

    def backward(x, line):
        z, inverse, after = line
        x = z - inverse @ jnp.sum(after * x[right], axis=1)
        return x, x

    zero = jnp.zeros(stencil.width, lines.dtype)
    _, z = jax.lax.scan(forward, zero, (lines, inverses, before))
    return jax.lax.scan(backward, zero, (z, inverses, after), reverse=True)[1]
