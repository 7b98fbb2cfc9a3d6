from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import Darcy
from ..fields import GridField
from ..grids import Cosine, Dirichlet, Grid, Uniform
from ..solvers import ConjugateGradient, SteadyProblem, solve
from ._dataset import Dataset
from ._generate import check_nested, chunk_size, generate, relative_distance
from ._random_fields import GaussianRandomField

LOW, HIGH = 3.0, 12.0


def darcy_fno(
    samples: int,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 421,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Darcy flow through a medium of two materials: permeability to pressure, `-div(a grad u) = 1` on the unit square.

    `u = 0` on the boundary; `a = 12` where a Gaussian random field `N(0, (-Laplacian + 9)^-2)` with zero-Neumann
    Laplacian is `>= 0`, else 3 (Li et al., Fourier Neural Operator, 2021, section 5.2). Five-point flux form with
    arithmetic face means on `solve_at` nodes per axis, both boundary nodes counted; the data are its values at every
    `(solve_at - 1) / (resolution - 1)`-th node, so one key gives the same functions at every resolution: with 421 nodes
    211, 141, 106, 85, 71, 61, 43 and 36. `solve_at=resolution` solves on the nodes of the data themselves (fast, with a
    larger discretisation error). The published code interpolates the thresholded field from cell centres to nodes by
    splines, which over- and undershoot; here the series of the random field is evaluated at the nodes and thresholded.

    Computed in float64 where x64 is enabled, else float32; `metadata["reference_error"]` is the relative L2 distance of
    sample 0 to the solution of the same medium on half the spacing.

    **Raises** `ValueError` for a resolution whose nodes are not among those of the solve.
    """
    stride = check_nested(resolution, solve_at, closed=True)
    medium = _Medium(GaussianRandomField(gamma=2.0, tau=3.0), Grid(x=Cosine(solve_at), y=Cosine(solve_at)), stride)
    inputs, targets = generate(medium, samples, key=key, chunk=chunk_size(solve_at**2), progress=progress)
    facts = {
        "equation": "-div(a grad u) = 1 on (0, 1)^2, u = 0 on the boundary",
        "parameters": {"gamma": 2.0, "tau": 3.0, "low": LOW, "high": HIGH, "source": 1.0},
        "input_names": ["permeability"],
        "target_names": ["pressure"],
        "solver": "five-point flux form, arithmetic face means, preconditioned conjugate gradients",
        "rtol": tolerance(targets.dtype, solve_at),
        "solve_at": solve_at,
        "dtype": str(targets.dtype),
        "reference_error": relative_distance(targets[0], refined(medium, jax.random.fold_in(key, 0))),
    }
    grid = Grid(x=Uniform(resolution), y=Uniform(resolution))
    return Dataset(inputs, targets, grid, name="darcy_fno", metadata=facts).check()


class _Medium(eqx.Module):
    """Permeability and pressure of one key, at every `stride`-th node of the grid."""

    field: GaussianRandomField
    grid: Grid
    stride: int = eqx.field(static=True)

    def __call__(self, key: Array) -> tuple[Array, Array]:
        a = phases(self.field.sample(self.grid, key=key))
        at = (slice(None), *(slice(None, None, self.stride) for _ in self.grid.axes))
        return a.values[at], pressure(a).values[at]


def phases(series: GridField) -> GridField:
    """The two-valued permeability on the closed uniform nodes of a Gaussian random field."""
    values = jnp.where(series.values >= 0, HIGH, LOW).astype(series.dtype)
    return GridField(values, series.grid.with_axes(Uniform(a.n, a.length, a.start) for a in series.grid.axes))


def tolerance(dtype, nodes: int) -> float:
    """Residual reduction (dual norm) to ask for with that many nodes per axis.

    1e-6 leaves about 2e-7 of the discrete solution, far below its own distance from the limit. Rounding of node
    values is rough, and its energy grows with the number of nodes: float32 reaches about half of what is asked for
    here.
    """
    return max(1e-6, float(jnp.finfo(dtype).eps) * nodes)


def pressure(a: GridField) -> GridField:
    """Solution of `-div(a grad u) = 1`, zero at the ends of every axis. The only place that calls the solver."""
    ends = (Uniform(x.n, x.length, x.start, Dirichlet(0.0), Dirichlet(0.0)) for x in a.grid.axes)
    problem = SteadyProblem(Darcy(permeability=a, source=1.0), a.grid.with_axes(ends))
    return solve(problem, ConjugateGradient(rtol=tolerance(a.dtype, max(a.grid.shape)))).value


@eqx.filter_jit
def refined(medium: _Medium, key: Array) -> Array:
    """Pressure of the medium of a key, solved on half the spacing, at the nodes of the data."""
    fine = pressure(phases(medium.field.sample(medium.grid, key=key).resample(medium.grid.refined(2))))
    return fine.values[(slice(None), *(slice(None, None, 2 * medium.stride) for _ in medium.grid.axes))]
