"""Constants in the null space of an operator: periodic and Neumann domains without a zeroth-order term."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ._problem import SteadyProblem, unknown_nodes
from ._steady import Unknowns, symmetrising_weights, unknowns
from ._symbol import in_float64, stand_in


class Kernel(eqx.Module):
    """The channels whose constants the operator maps to zero, and the projections that this asks for."""

    channels: tuple[bool, ...] = eqx.field(static=True)
    weights: np.ndarray

    def project(self, r: Array) -> Array:
        """A right-hand side without the part that no solution has: zero sum, for a symmetric operator."""
        return self._shifted(r, np.ones(1)) if any(self.channels) else r

    def centred(self, w: Array) -> Array:
        """The solution whose integral vanishes."""
        return self._shifted(w, self.weights) if any(self.channels) else w

    def around(self, approximate: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        """A preconditioner between two projections."""
        if not any(self.channels):
            return approximate
        tags = lx.positive_semidefinite_tag if lx.is_positive_semidefinite(approximate) else ()
        projected = lambda r: self.project(approximate.mv(self.project(r)))
        return lx.FunctionLinearOperator(projected, approximate.in_structure(), tags)

    def is_inconsistent(self, r: Array) -> Array:
        """Whether a right-hand side has a part in the null space beyond rounding."""
        if not any(self.channels):
            return jnp.zeros((), bool)
        lost = jnp.linalg.norm((r - self.project(r)).ravel())
        return lost > float(jnp.finfo(r.dtype).eps) ** 0.5 * jnp.linalg.norm(r.ravel())

    def _shifted(self, w: Array, weights: np.ndarray) -> Array:
        axes = tuple(range(1, w.ndim))
        weights = jnp.broadcast_to(jnp.asarray(weights, w.dtype), w.shape[1:])[None]
        mean = jnp.sum(w * weights, axis=axes, keepdims=True) / jnp.sum(weights)
        return w - jnp.asarray(np.array(self.channels), w.dtype).reshape(-1, *(1,) * (w.ndim - 1)) * mean


def constant_kernel(problem: SteadyProblem) -> Kernel:
    """Find the null space of constants by applying the operator to them, in float64 before anything is compiled."""
    weights = symmetrising_weights(problem.grid)
    if unknown_nodes(problem.grid) is not None:
        return Kernel((False,) * problem.channels, weights)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        system = unknowns(in_float64(stand_in(problem)))
        rough = np.random.default_rng(0).standard_normal(system.shape)
        rough = GridField(jnp.asarray(rough, system.dtype), problem.grid).as_coefficients().values
        images = _images(system, rough)
    images = np.asarray(images)
    size = np.abs(images[-1]).max()
    return Kernel(tuple(bool(np.abs(image).max() <= 1e-11 * size) for image in images[:-1]), weights)


@eqx.filter_jit
def _images(system: Unknowns, rough: Array) -> Array:
    product = jax.linearize(system.residual, system.guess())[1]
    ones = [jnp.zeros(system.shape, system.dtype).at[c].set(1) for c in range(system.shape[0])]
    return jnp.stack([product(v) for v in [*ones, rough]])
