import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import AbstractAxis, Grid, apply_matrix


class AbstractKernel(eqx.Module):
    """Covariance of a process along one axis; over several it is the product."""

    @abc.abstractmethod
    def covariance(self, axis: AbstractAxis) -> np.ndarray:
        """Covariance of the values at the nodes, float64, shape `(n, n)`, one on its diagonal."""


class SquaredExponential(AbstractKernel):
    """`exp(-(x - y)^2 / (2 l^2))`, the radial (RBF) kernel of length l."""

    length: float = eqx.field(static=True)

    def covariance(self, axis: AbstractAxis) -> np.ndarray:
        return np.exp(-(np.subtract.outer(axis.points, axis.points) ** 2) / (2 * self.length**2))


class PeriodicKernel(AbstractKernel):
    """`exp(-sin^2(pi (x - y) / L) / (2 l^2))` with the length L of the axis as period."""

    length: float = eqx.field(static=True)

    def covariance(self, axis: AbstractAxis) -> np.ndarray:
        turn = np.pi / axis.length * np.subtract.outer(axis.points, axis.points)
        return np.exp(-(np.sin(turn) ** 2) / (2 * self.length**2))


class GaussianProcess(eqx.Module):
    """Gaussian process of mean zero and variance one whose covariance is the product of a kernel over the axes,
    in any dimension (Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, section 4.2).

    Unlike a `GaussianRandomField` it lives on any nodes, and needs no boundary conditions.

    **Arguments:** `kernel`: `SquaredExponential(length)` or `PeriodicKernel(length)`.
    """

    kernel: AbstractKernel

    def sample(self, grid: Grid, *, key: Array) -> GridField:
        """One field of one channel by its values at the nodes of the grid, in the default float dtype.

        The same function on other nodes: `process.sample(grid, key=key).resample(finer)`.
        """
        values = jax.random.normal(key, (1, *grid.shape), jnp.result_type(float))
        for i, axis in enumerate(grid.axes):
            values = apply_matrix(square_root(self.kernel.covariance(axis)), values, i + 1)
        return GridField(values, grid)


def square_root(covariance: np.ndarray) -> np.ndarray:
    """A matrix A with `A A^T` the covariance, which rounding may have made slightly indefinite."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(eigenvalues, 0))
