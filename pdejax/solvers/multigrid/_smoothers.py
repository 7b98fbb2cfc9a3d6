import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._stencil import Stencil


class AbstractSmoother(eqx.Module):
    """A few steps `u <- u + B (f - A u)` that damp the part of the error which a coarser grid cannot see."""

    @abc.abstractmethod
    def tables(self, stencil: Stencil) -> Any:
        """What the steps need of the operator."""

    @property
    @abc.abstractmethod
    def steps(self) -> np.ndarray:
        """One entry for each step, in the order before the coarse correction; after it they are taken backwards, so
        that a cycle is symmetric.
        """

    @abc.abstractmethod
    def correction(self, stencil: Stencil, tables: Any, r: Array, step: Array) -> Array:
        """`B r` of a step, for the residual r."""


class Jacobi(AbstractSmoother):
    """Damped Jacobi: `B = omega D^-1` with the diagonal D (a small matrix per node for systems)."""

    damping: float = eqx.field(static=True, default=0.8)
    sweeps: int = eqx.field(static=True, default=2)

    def tables(self, stencil: Stencil) -> Array:
        return inverse_diagonal(stencil)

    @property
    def steps(self) -> np.ndarray:
        return np.full(self.sweeps, self.damping)

    def correction(self, stencil: Stencil, tables: Array, r: Array, step: Array) -> Array:
        return step.astype(r.dtype) * _applied(tables, r)


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

    @property
    def steps(self) -> np.ndarray:
        angles = np.pi * (np.arange(self.degree) + 0.5) / self.degree
        return 1 / ((1 + self.fraction) / 2 + (1 - self.fraction) / 2 * np.cos(angles))

    def correction(self, stencil: Stencil, tables, r: Array, step: Array) -> Array:
        inverse, largest = tables
        return (step.astype(largest.dtype) / largest).astype(r.dtype) * _applied(inverse, r)


class GaussSeidel(AbstractSmoother):
    """Gauss-Seidel in as many colours as nodes in a cell, `2^ndim`; with `relaxation` other than one, SOR.

    Nodes of a colour do not meet, so all of them are relaxed at once. On operators that couple along the axes only,
    two of the four (eight) colours in turn are what is known as red-black.
    """

    relaxation: float = eqx.field(static=True, default=1.0)
    sweeps: int = eqx.field(static=True, default=1)
    ndim: int = eqx.field(static=True, default=2)

    def tables(self, stencil: Stencil) -> Array:
        if len(stencil.shape) != self.ndim:
            raise ValueError(
                f"the grid has {len(stencil.shape)} axes; write GaussSeidel(ndim={len(stencil.shape)}): one colour for "
                "each node of a cell."
            )
        return inverse_diagonal(stencil)

    @property
    def steps(self) -> np.ndarray:
        return np.tile(np.arange(2**self.ndim, dtype=np.int32), self.sweeps)

    def correction(self, stencil: Stencil, tables: Array, r: Array, step: Array) -> Array:
        index = [jax.lax.broadcasted_iota(jnp.int32, stencil.shape, i) for i in range(self.ndim)]
        # Nodes with an even sum of indices first.
        order = [sum(i % 2 for i in kind) % 2 for kind in np.ndindex(*(2,) * self.ndim)]
        place = np.argsort(np.argsort(order, kind="stable"), kind="stable")
        kind = sum(2 ** (self.ndim - 1 - i) * (x % 2) for i, x in enumerate(index))
        mine = (jnp.asarray(place, jnp.int32)[kind] == step)[None]
        return jnp.where(mine, self.relaxation * _applied(tables, r), jnp.zeros((), r.dtype))


class Line(AbstractSmoother):
    """Damped line relaxation: all lines of nodes along one axis at once, each solved exactly.

    For operators that couple much more strongly along that axis (anisotropy, stretched cells). `axes` are their
    indices, taken in turn.
    """

    axes: tuple[int, ...] = eqx.field(static=True, default=(0,))
    damping: float = eqx.field(static=True, default=0.8)
    sweeps: int = eqx.field(static=True, default=2)

    def tables(self, stencil: Stencil) -> None:
        if stencil.channels != 1 or any(stencil.periodic[i] for i in self.axes):
            raise ValueError(
                "line relaxation needs one channel and axes with two ends; write Jacobi() for systems and rings."
            )

    @property
    def steps(self) -> np.ndarray:
        return np.tile(np.arange(len(self.axes)), self.sweeps)

    def correction(self, stencil: Stencil, tables: None, r: Array, step: Array) -> Array:
        along = [lambda r, axis=axis: self.damping * _solve_lines(stencil, r, axis) for axis in self.axes]
        return jax.lax.switch(step, along, r) if len(along) > 1 else along[0](r)


def inverse_diagonal(stencil: Stencil) -> Array:
    """Inverse of the block that couples the channels of a node with each other, `(channels, channels, *shape)`."""
    block = stencil.at((0,) * len(stencil.shape))
    if stencil.channels == 1:
        return 1 / jnp.where(block == 0, jnp.ones((), block.dtype), block)
    return jnp.moveaxis(jnp.linalg.inv(jnp.moveaxis(block, (0, 1), (-2, -1))), (-2, -1), (0, 1))


def _applied(inverse: Array, r: Array) -> Array:
    channels = range(r.shape[0])
    return jnp.stack([sum(inverse[a, b] * r[b] for b in channels) for a in channels])


def _solve_lines(stencil: Stencil, r: Array, axis: int) -> Array:
    ndim = len(stencil.shape)
    unit = lambda s: tuple(s * int(i == axis) for i in range(ndim))
    lower, centre, upper = (jnp.moveaxis(stencil.at(unit(s))[0, 0], axis, -1) for s in (-1, 0, 1))
    # The solver wants zeros where a line begins and ends.
    lower, upper = lower.at[..., 0].set(0), upper.at[..., -1].set(0)
    out = jax.lax.linalg.tridiagonal_solve(lower, centre, upper, jnp.moveaxis(r[0], axis, -1)[..., None])
    return jnp.moveaxis(out[..., 0], -1, axis)[None]
