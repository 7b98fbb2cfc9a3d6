import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ...fields import Eigenbasis, GridField
from .._fast_transform import _multiply
from .._preconditioner import AbstractPreconditioner
from .._problem import unknown_nodes
from .._steady import Unknowns, symmetrising_weights


class ModalAverage(AbstractPreconditioner):
    """Inverse of the nearest operator `A - B lap` with constant matrices `A`, `B` over the channels, by transforms.

    `A` and `B` reproduce the action of the operator on its lowest and its highest mode of each channel, projected on
    the same mode: coefficients and reaction terms that vary in space enter by their average, coupling of channels and
    the shifts of `PseudoTransient` exactly. Two products a channel to build. For systems of reactions and diffusion,
    and for singular or indefinite operators, which the inverse Laplacian does not see.
    """

    def build(self, system: Unknowns, product: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        grid, channels = system.problem.grid, system.problem.channels
        basis, free = Eigenbasis(grid), unknown_nodes(grid)
        eigenvalues = -basis.laplacian()
        used = np.where(basis.active(), eigenvalues, np.nan)
        ends = [np.unravel_index(at(used), used.shape) for at in (np.nanargmin, np.nanargmax)]
        weights = jnp.asarray(symmetrising_weights(grid), system.dtype)[None]
        low, high = (_projected(product, _mode(basis, at, system.dtype), weights, channels) for at in ends)
        low_value, high_value = (float(used[at]) for at in ends)
        slope = (high - low) / (high_value - low_value)
        above = jnp.asarray(eigenvalues.ravel() - low_value, system.dtype)
        inverses = _inverted(low[None] + jnp.tensordot(above, slope, 0))
        inverse = jnp.moveaxis(inverses, 0, -1).reshape(channels, channels, *eigenvalues.shape)

        def apply(r: Array) -> Array:
            modal = _multiply(inverse, basis.forward(GridField(r / weights, grid)))
            out = basis.backward(modal).values.astype(r.dtype)
            return out if free is None else jnp.where(free, out, r)

        tags = lx.positive_semidefinite_tag if lx.is_positive_semidefinite(product) else ()
        return lx.FunctionLinearOperator(apply, system.structure(), tags)

    @property
    def name(self) -> str:
        return "modal average"


def _mode(basis: Eigenbasis, at, dtype) -> Array:
    """Node values `(1, *shape)` of one mode."""
    unit = np.zeros((1, *basis.shape()))
    unit[(0, *at)] = 1
    return basis.backward(jnp.asarray(unit, jax.eval_shape(basis.forward, _zero(basis, dtype)).dtype)).values


def _zero(basis: Eigenbasis, dtype) -> GridField:
    return GridField(jnp.zeros((1, *basis.grid.shape), dtype), basis.grid)


def _projected(product: lx.AbstractLinearOperator, mode: Array, weights: Array, channels: int) -> Array:
    """`S_ij`, the part along the mode in channel i of the product with the mode in channel j."""
    size = jnp.sum(weights * mode**2)
    columns = [
        product.mv(jnp.zeros((channels, *mode.shape[1:]), mode.dtype).at[j].set(mode[0])) for j in range(channels)
    ]
    return jnp.stack([jnp.sum(c * mode, axis=tuple(range(1, c.ndim))) / size for c in columns], axis=1)


def _inverted(matrices: Array) -> Array:
    """Inverses of matrices `(k, c, c)`; modes in the null space are damped by rounding."""
    floor = (
        jnp.finfo(matrices.dtype).eps * jnp.max(jnp.abs(matrices)) * jnp.eye(matrices.shape[-1], dtype=matrices.dtype)
    )
    return jnp.linalg.inv(matrices + floor[None])
