import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._stencil import Stencil


class AbstractSmoother(eqx.Module):
    """A few steps of an iteration that damps the part of the error which a coarser grid cannot see."""

    @abc.abstractmethod
    def tables(self, stencil: Stencil) -> Any:
        """What the steps need of the operator."""

    @abc.abstractmethod
    def smooth(self, stencil: Stencil, tables: Any, u: Array, f: Array, backward: bool) -> Array:
        """Better values for `A u = f`, from the values `u`; `backward` takes the steps in the adjoint order, so that a
        cycle with as many steps before as after the coarse correction is symmetric.

        Steps are loops for the compiler too: it would otherwise merge one into each of its neighbours in the next, and
        do the work of all over again (twenty times slower on CPU, measured).
        """


class Jacobi(AbstractSmoother):
    """Damped Jacobi: `u <- u + omega D^-1 (f - A u)`, `D` the diagonal (a small matrix per node for systems)."""

    damping: float = eqx.field(static=True, default=0.8)
    sweeps: int = eqx.field(static=True, default=2)

    def tables(self, stencil: Stencil) -> Array:
        return inverse_diagonal(stencil)

    def smooth(self, stencil: Stencil, tables: Array, u: Array, f: Array, backward: bool) -> Array:
        return _sweep(lambda u, _: _step(stencil, tables, u, f, self.damping), u, jnp.arange(self.sweeps))


class Chebyshev(AbstractSmoother):
    """Chebyshev polynomial of `D^-1 A` that is small on the upper part of its spectrum (Adams, Brezina, Hu & Tuminaro
    2003): one Jacobi step for each root. The upper end is Gershgorin's bound; `fraction` is the lower end over it.
    """

    degree: int = eqx.field(static=True, default=2)
    fraction: float = eqx.field(static=True, default=0.25)

    def tables(self, stencil: Stencil) -> tuple[Array, Array]:
        inverse = inverse_diagonal(stencil)
        rows = sum(
            jnp.sum(jnp.abs(jnp.einsum("ab...,bc...->ac...", inverse, stencil.at(o))), axis=1) for o in stencil.offsets
        )
        return inverse, jnp.max(rows)

    def smooth(self, stencil: Stencil, tables, u: Array, f: Array, backward: bool) -> Array:
        inverse, largest = tables
        weights = 1 / (jnp.asarray(_roots(self.degree, self.fraction), largest.dtype) * largest)
        return _sweep(lambda u, weight: _step(stencil, inverse, u, f, weight), u, weights)


class GaussSeidel(AbstractSmoother):
    """Gauss-Seidel in as many colours as nodes in a cell, `2^ndim`; with `relaxation` other than one, SOR.

    Nodes of a colour do not meet, so all of them are relaxed at once; on five-point operators two colours are what is
    known as red-black.
    """

    relaxation: float = eqx.field(static=True, default=1.0)
    sweeps: int = eqx.field(static=True, default=1)

    def tables(self, stencil: Stencil) -> Array:
        return inverse_diagonal(stencil)

    def smooth(self, stencil: Stencil, tables: Array, u: Array, f: Array, backward: bool) -> Array:
        colours, count = _colours(stencil)
        order = np.tile(np.arange(count)[:: -1 if backward else 1], self.sweeps)

        def relax(u, colour):
            return jnp.where(colours == colour, _step(stencil, tables, u, f, self.relaxation), u)

        return _sweep(relax, u, jnp.asarray(order, jnp.int32))


class Line(AbstractSmoother):
    """Damped line relaxation: all lines of nodes along one axis at once, each solved exactly.

    For operators that couple much more strongly along that axis (anisotropy, stretched cells). `axis` is its index;
    without one, the axes take turns.
    """

    axis: int | None = eqx.field(static=True, default=None)
    damping: float = eqx.field(static=True, default=0.8)
    sweeps: int = eqx.field(static=True, default=1)

    def tables(self, stencil: Stencil) -> None:
        if stencil.channels != 1 or any(stencil.periodic[i] for i in self._axes(stencil)):
            raise ValueError(
                "line relaxation needs one channel and an axis with two ends; write Chebyshev() for systems and "
                "periodic axes."
            )

    def smooth(self, stencil: Stencil, tables: None, u: Array, f: Array, backward: bool) -> Array:
        axes = self._axes(stencil)
        for _ in range(self.sweeps):
            for axis in reversed(axes) if backward else axes:
                u = u + self.damping * _solve_lines(stencil, f - stencil.mv(u), axis)
        return u

    def _axes(self, stencil: Stencil) -> list[int]:
        return list(range(len(stencil.shape))) if self.axis is None else [self.axis]


def inverse_diagonal(stencil: Stencil) -> Array:
    """Inverse of the block that couples the channels of a node with each other, `(channels, channels, *shape)`."""
    block = stencil.at((0,) * len(stencil.shape))
    if stencil.channels == 1:
        return 1 / jnp.where(block == 0, jnp.ones((), block.dtype), block)
    return jnp.moveaxis(jnp.linalg.inv(jnp.moveaxis(block, (0, 1), (-2, -1))), (-2, -1), (0, 1))


def _sweep(step: Callable[[Array, Array], Array], u: Array, over: Array) -> Array:
    return jax.lax.scan(lambda u, x: (step(u, x), None), u, over)[0]


def _step(stencil: Stencil, inverse: Array, u: Array, f: Array, weight) -> Array:
    r, channels = f - stencil.mv(u), range(stencil.channels)
    return u + weight * jnp.stack([sum(inverse[a, b] * r[b] for b in channels) for a in channels])


def _roots(degree: int, fraction: float) -> np.ndarray:
    """Roots of the Chebyshev polynomial on `[fraction, 1]`."""
    angles = np.pi * (np.arange(degree) + 0.5) / degree
    return (1 + fraction) / 2 + (1 - fraction) / 2 * np.cos(angles)


def _colours(stencil: Stencil) -> tuple[Array, int]:
    """Colours of the nodes such that no two neighbours have the same, and how many there are."""
    index = [jax.lax.broadcasted_iota(jnp.int32, stencil.shape, i) for i in range(len(stencil.shape))]
    if all(sum(map(abs, o)) <= 1 for o in stencil.offsets):
        return sum(index) % 2, 2
    return sum(2**i * (x % 2) for i, x in enumerate(index)), 2 ** len(index)


def _solve_lines(stencil: Stencil, r: Array, axis: int) -> Array:
    ndim = len(stencil.shape)
    unit = lambda s: tuple(s * int(i == axis) for i in range(ndim))
    lower, centre, upper = (jnp.moveaxis(stencil.at(unit(s))[0, 0], axis, -1) for s in (-1, 0, 1))
    # The solver wants zeros where a line begins and ends.
    lower, upper = lower.at[..., 0].set(0), upper.at[..., -1].set(0)
    out = jax.lax.linalg.tridiagonal_solve(lower, centre, upper, jnp.moveaxis(r[0], axis, -1)[..., None])
    return jnp.moveaxis(out[..., 0], -1, axis)[None]
