import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..grids import Chebyshev, Fourier, Grid, Sine, Uniform, second_derivative_modes
from ._grid_field import GridField, make


class Eigenbasis(eqx.Module):
    """The modes in which the Laplacian of a grid is diagonal: Fourier, sines, cosines, or those of nodal axes.

    Fast diagonalisation (Lynch, Rice & Thomas 1964): on `Uniform` and `Chebyshev` axes the one-dimensional second
    derivative on the unknown nodes is diagonalised once in float64 and applied as a matrix; on long axes with
    differences of order 2 its modes are sines and cosines, applied by FFTs.

    **Raises** `ValueError` if a nodal axis has a `Free` end.
    """

    grid: Grid

    def __check_init__(self):
        for i in self._dense():
            second_derivative_modes(self.grid.axes[i])

    def _dense(self) -> list[int]:
        pairs = enumerate(zip(self.grid.names, self.grid.axes, strict=True))
        return [i for i, (name, axis) in pairs if name != "t" and isinstance(axis, Uniform | Chebyshev)]

    def laplacian(self, real: bool = True) -> np.ndarray:
        """Eigenvalues of the Laplacian (space axes), float64, of the shape of one channel's modes."""
        total, dense = np.zeros(()), self._dense()
        for i, (axis, stored) in enumerate(zip(self.grid.axes, self.grid.coefficient_axes(real), strict=True)):
            if self.grid.names[i] == "t":
                values = np.zeros(len(stored.modes))
            elif i in dense:
                values = second_derivative_modes(axis).eigenvalues
            else:
                values = -((stored.modes * (2 if isinstance(axis, Fourier) else 1) * np.pi / axis.length) ** 2)
            total = np.add.outer(total, values)
        return total

    def shape(self, real: bool = True) -> tuple[int, ...]:
        """Shape of one channel's modes."""
        dense, axes = self._dense(), self.grid.coefficient_axes(real)
        return tuple(
            len(second_derivative_modes(a).eigenvalues) if i in dense else len(a.modes) for i, a in enumerate(axes)
        )

    def active(self, real: bool = True) -> np.ndarray:
        """Which stored modes are functions on the grid: closed sine axes keep two entries that are always zero."""
        out = np.ones((), bool)
        for axis, n in zip(self.grid.axes, self.shape(real), strict=True):
            used = np.ones(n, bool)
            if isinstance(axis, Sine) and not axis.centred:
                used[[0, -1]] = False
            out = np.multiply.outer(out, used)
        return out

    def squares(self, real: bool = True) -> np.ndarray | None:
        """Sums of squares `(*modes)` of the modes over the nodes, closed ends counted half (Parseval: the sum of
        `|u|^2` over the nodes is that of `squares |c|^2`); `None` if the modes of some axis are not orthogonal.
        """
        out, dense = np.ones(()), self._dense()
        for i, (axis, stored) in enumerate(zip(self.grid.axes, self.grid.coefficient_axes(real), strict=True)):
            if i in dense:
                modes = second_derivative_modes(axis)
                if not modes.orthonormal:
                    return None
                values = np.ones(len(modes.eigenvalues))
            elif isinstance(axis, Fourier):
                k = stored.modes
                values = axis.n * np.where((axis is stored) | (k == 0) | (2 * k == axis.n), 1.0, 2.0)
            else:
                cells = axis.n if axis.centred else axis.n - 1
                values = cells * np.where((stored.modes == 0) | (stored.modes == cells), 1.0, 0.5)
            out = np.multiply.outer(out, values)
        return out

    def dtype(self, real: bool = True):
        """Dtype of the modes for fields of the default precision."""
        return jax.eval_shape(
            self.grid.forward, jax.ShapeDtypeStruct(self.grid.shape, float if real else complex)
        ).dtype

    def from_values(self, values: Array) -> Array:
        """Modes of node values `(channels, *shape)`."""
        return self.forward(GridField(values, self.grid))

    def forward(self, field: GridField) -> Array:
        """Field to modal coefficients `(channels, *modes)`."""
        c = field.coefficients
        first = c.ndim - len(self.grid.axes)
        # From the last axis to the first here and back again in `backward`: two transpositions of the array less.
        for i in reversed(self._dense()):
            axis = self.grid.axes[i]
            c = second_derivative_modes(axis).forward(axis.backward(c, first + i), first + i)
        return c

    def backward(self, modal: Array, real: bool = True) -> GridField:
        """Modal coefficients to a field that satisfies the homogeneous conditions."""
        first = modal.ndim - len(self.grid.axes)
        for i in self._dense():
            axis = self.grid.axes[i]
            modal = axis.forward(second_derivative_modes(axis).backward(modal, first + i), first + i)
        return make(modal, self.grid, "coefficients", real)
