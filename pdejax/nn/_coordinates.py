import numpy as np

from ..grids import AbstractAxis, Chebyshev, Cosine, Fourier, Grid, Sine, Uniform


def hidden_grid(grid: Grid, padding: float = 0.0) -> Grid:
    """The grid on which a model holds its hidden fields: the same nodes, bases that pointwise functions do not leave.

    `gelu(u)` of an odd function is neither odd nor even, so on `Sine` axes hidden fields are even functions (`Cosine`);
    finite difference axes take the basis of their nodes, `Fourier` if periodic, else `Cosine`. With padding, which
    continues fields by zero and needs waves that wrap around, closed ones take `Fourier`, of a period of `n` spacings.
    """
    return grid.with_axes(_hidden_axis(axis, padding) for axis in grid.axes)


def _hidden_axis(axis: AbstractAxis, padding: float) -> AbstractAxis:
    if isinstance(axis, Uniform):
        if axis.is_periodic:
            return Fourier(axis.n, axis.length, axis.start)
        if padding and not axis.centred:
            return Fourier(axis.n, axis.length * axis.n / (axis.n - 1), axis.start)
        return Cosine(axis.n, axis.length, axis.start)
    return axis.as_coefficient


def envelope(grid: Grid) -> np.ndarray:
    """`prod_i sin(pi (x_i - start) / length)` over the `Sine` axes, exactly zero at their ends; float64, `(1, ..)`.

    Broadcasts to `(channels, *n)`. An odd function is the envelope times an even one and the envelope times an odd
    function is even, so it leads from the fields of a sine axis to its hidden fields and back without loss of
    smoothness.
    """
    out = np.ones((1,) * (1 + len(grid.axes)))
    for name, axis in zip(grid.names, grid.axes, strict=True):
        if isinstance(axis, Sine):
            wave = np.sin(np.pi * (axis.points - axis.start) / axis.length)
            if not axis.centred:
                wave[[0, -1]] = 0.0
            out = out * grid.broadcast(wave, name)[None]
    return out


def coordinates(grid: Grid, padding: float) -> np.ndarray:
    """One channel per axis that tells where a point is, float64 in [-1, 1], shape `(number of axes, *n)`.

    Each lies in the space of the hidden fields, else its jump or kink would alias differently on every grid:
    `-cos(pi s)` on closed axes, `s = (x - start) / length` (on `Chebyshev` axes the coordinate itself), and
    `-cos(2 pi s)` on periodic ones; `2 s - 1` on a Fourier axis with padding, whose fields are cut off anyway.
    """
    columns = [
        grid.broadcast(_coordinate(axis, padding), name) for name, axis in zip(grid.names, grid.axes, strict=True)
    ]
    return np.stack([np.broadcast_to(column, grid.shape) for column in columns])


def _coordinate(axis: AbstractAxis, padding: float) -> np.ndarray:
    s = (axis.points - axis.start) / axis.length
    if isinstance(axis, Chebyshev) or (isinstance(axis, Fourier) and padding):
        return 2 * s - 1
    return -np.cos((2 if isinstance(axis, Fourier) else 1) * np.pi * s)
