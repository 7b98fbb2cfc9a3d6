import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import laplacian
from ..fields import AbstractField, FunctionField, GridField
from ..grids import AbstractBoundary, Dirichlet, Fourier, Grid, Held, Neumann, Uniform
from ._base import AbstractSteady, Example, data


class Biharmonic(AbstractSteady):
    """Biharmonic equation `lap lap u = f`: deflection of a thin plate under the load `source` f (Kirchhoff 1850).

    The grid's `Dirichlet` ends (or `Sine` axes) give the deflection at the edges. By default the plate is simply
    supported: the moment `lap u` vanishes there too, so that the equation is `Poisson` twice, diagonal in the grid's
    modes. With `clamped=True` the slope vanishes instead: on closed `Uniform` axes of order 2, reflection at the edge
    in the inner Laplacian gives the thirteen-point scheme (Bramble 1966, second order), symmetric and positive
    definite; periodic axes need no condition.

    **Raises** `ValueError` where the second condition cannot be imposed: Chebyshev axes with given ends, and a clamped
    edge on other than closed `Uniform` axes of order 2.
    """

    source: Array | AbstractField = eqx.field(converter=data, default=1.0)
    clamped: bool = eqx.field(static=True, default=False)

    def residual(self, u: AbstractField) -> AbstractField:
        if not isinstance(u, GridField):
            return laplacian(laplacian(u)) - self.source
        if self.clamped:
            _check_clamped(u.grid)
            moment = laplacian(_at_edges(u, Neumann(0.0)))
            return laplacian(_at_edges(moment, Held(), u.grid)) - self.source
        return laplacian(_at_edges(laplacian(u), Dirichlet(0.0), u.grid)) - self.source

    @classmethod
    def example(cls) -> Example:
        """`u = sin(pi x) sin(2 pi y)`, hence `f = 25 pi^4 u`: simply supported on the unit square."""
        pi = jnp.pi
        u = FunctionField.from_function(lambda x, y: jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y"))
        f = FunctionField.from_function(lambda x, y: 25 * pi**4 * jnp.sin(pi * x) * jnp.sin(2 * pi * y), ("x", "y"))
        return Example(cls(source=f), u, {"x": (0.0, 2.0), "y": (0.0, 2.0)})


def _at_edges(v: GridField, condition: AbstractBoundary, like: Grid | None = None) -> GridField:
    """The field with another condition where the grid (that of `like`) has a given value."""

    def changed(name: str, axis):
        sides = tuple(getattr(axis, end, None) for end in ("lower", "upper"))
        if not any(isinstance(side, Dirichlet | Held) for side in sides):
            return axis
        if not isinstance(axis, Uniform):
            raise ValueError(
                f"a plate needs a second condition at its edges, which axis {name!r} = {axis} has not; write "
                f"{name}=Sine({axis.n}) or {name}=Uniform({axis.n}, lower=Dirichlet(0.0), upper=Dirichlet(0.0))."
            )
        lower, upper = (condition if isinstance(side, Dirichlet | Held) else side for side in sides)
        return Uniform(axis.n, axis.length, axis.start, lower, upper, axis.order, axis.centred)

    grid = v.grid if like is None else like
    return v.with_grid(grid.with_axes(map(changed, grid.names, grid.axes)))


def _check_clamped(grid: Grid) -> None:
    for name, axis in zip(grid.names, grid.axes, strict=True):
        closed = isinstance(axis, Uniform) and axis.order == 2 and not axis.centred
        if not (closed or isinstance(axis, Fourier)):
            raise ValueError(
                f"a clamped plate needs closed Uniform axes of order 2, axis {name!r} is {axis}; write "
                f"{name}=Uniform({axis.n}, lower=Dirichlet(0.0), upper=Dirichlet(0.0))."
            )
