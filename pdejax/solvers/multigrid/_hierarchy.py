from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._interpolation import BlackBoxInterpolation, black_box, galerkin
from ._smoothers import AbstractSmoother
from ._stencil import Stencil

# Below this size a dense inverse costs less than another level.
_COARSEST = 512


class Level(eqx.Module):
    """One grid of a hierarchy: its operator, what its smoother needs, and the way to the next coarser grid."""

    stencil: Stencil
    tables: Any
    transfer: BlackBoxInterpolation


class Hierarchy(eqx.Module):
    """An operator on ever coarser grids (Galerkin products), and the cycles through them.

    Brandt 1977; Trottenberg, Oosterlee & Schueller 2001, chapters 2 and 7. `cycle` is `"V"`, `"W"`, `"F"`, or `"full"`
    for nested iteration from the coarsest grid up with one V-cycle on each.
    """

    levels: tuple[Level, ...]
    coarsest: Array
    smoother: AbstractSmoother
    cycle: str = eqx.field(static=True)

    def apply(self, f: Array) -> Array:
        """One cycle from zero for `A u = f`, arrays `(channels, *shape)`: a linear map, symmetric if the operator is
        and the cycle is `"V"` or `"W"`.
        """
        if self.cycle == "full":
            return self._full(f, 0)
        return self._descend(f, 0, self.cycle)

    def _descend(self, f: Array, depth: int, cycle: str) -> Array:
        if depth == len(self.levels):
            return (self.coarsest @ f.ravel()).reshape(f.shape)
        level = self.levels[depth]
        u, r = self._before(level, f)
        visits = {"V": "V", "W": "WW", "F": "FV"}[cycle] if depth + 1 < len(self.levels) else "V"
        for i, visit in enumerate(visits):
            r = f - level.stencil.mv(u) if i else r
            u = u + level.transfer.prolong(self._descend(level.transfer.restrict(r), depth + 1, visit))
        return self._after(level, u, f)

    # Smoothing steps are loops for the compiler too: what a loop carries is computed once. Otherwise one step is merged
    # into each of its neighbours in the next, and the work of all done over again (twenty times slower on CPU).

    def _before(self, level: Level, f: Array) -> tuple[Array, Array]:
        """Steps from zero: the values and their residual."""

        def step(carry, which):
            u, r = carry
            change = self.smoother.correction(level.stencil, level.tables, r, which)
            return (u + change, r - level.stencil.mv(change)), None

        return jax.lax.scan(step, (jnp.zeros_like(f), f), jnp.asarray(self.smoother.steps))[0]

    def _after(self, level: Level, u: Array, f: Array) -> Array:
        def step(u, which):
            r = f - level.stencil.mv(u)
            return u + self.smoother.correction(level.stencil, level.tables, r, which), None

        return jax.lax.scan(step, u, jnp.asarray(self.smoother.steps[::-1].copy()))[0]

    def _full(self, f: Array, depth: int) -> Array:
        if depth == len(self.levels):
            return self._descend(f, depth, "V")
        level = self.levels[depth]
        u = level.transfer.prolong(self._full(level.transfer.restrict(f), depth + 1))
        return u + self._descend(f - level.stencil.mv(u), depth, "V")


def hierarchy(stencil: Stencil, smoother: AbstractSmoother, cycle: str = "V") -> Hierarchy:
    """Coarsen an operator by black-box interpolation and Galerkin products until it is small.

    **Raises** `ValueError` for an unknown cycle.
    """
    if cycle not in ("V", "W", "F", "full"):
        raise ValueError(f'cycles are "V", "W", "F" and "full", got {cycle!r}; write cycle="V".')
    levels = []
    while stencil.channels * int(np.prod(stencil.shape)) > _COARSEST and max(stencil.shape) > 2:
        transfer = black_box(stencil)
        levels.append(Level(stencil, smoother.tables(stencil), transfer))
        stencil = galerkin(stencil, transfer)
    return Hierarchy(tuple(levels), _inverse(stencil), smoother, cycle)


def _inverse(stencil: Stencil) -> Array:
    shape = (stencil.channels, *stencil.shape)
    size = int(np.prod(shape))
    dtype = stencil.coefficients.dtype
    matrix = jax.vmap(lambda e: stencil.mv(e.reshape(shape)).ravel())(jnp.eye(size, dtype=dtype)).T
    # Scaled to a unit diagonal and shifted by a little more than rounding, so that a null space is no division by zero;
    # what the shift lets through there is for whoever knows the null space to project out.
    diagonal = jnp.abs(jnp.diag(matrix))
    scale = 1 / jnp.sqrt(jnp.where(diagonal == 0, jnp.ones((), diagonal.dtype), diagonal)).astype(dtype)
    shift = 30 * float(jnp.finfo(dtype).eps) * jnp.eye(size, dtype=dtype)
    return scale[:, None] * jnp.linalg.inv(scale[:, None] * matrix * scale[None, :] + shift) * scale[None, :]
