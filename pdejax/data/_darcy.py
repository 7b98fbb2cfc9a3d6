import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..equations import Darcy
from ..fields import GridField
from ..grids import Cosine, Dirichlet, Grid, Uniform
from ..solvers import AbstractMethod, ConjugateGradient, SteadyProblem, solve
from ._dataset import Dataset
from ._generate import Samples, check_nested
from ._pairs import AbstractPair, pairs
from ._random_fields import GaussianRandomField

LOW, HIGH = 3.0, 12.0


def darcy_fno(
    samples: Samples,
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
    return _two_phases("darcy_fno", 3.0, samples, resolution, key, solve_at, progress)


def darcy_rough(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 511,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Darcy flow as `darcy_fno` through a finer mixture: the random field is `N(0, (-Laplacian + 25)^-2)`.

    The rough medium of MgNO (He, Liu & Xu, 2024, section 4.1), 512 nodes per axis subsampled to 256 there; here 511
    nodes hold 256, 171, 103, 86, 52, 35 and 31 per axis. Its two values are not known to us: 12 and 3, as in
    `darcy_fno`.
    """
    return _two_phases("darcy_rough", 5.0, samples, resolution, key, solve_at, progress)


def _two_phases(name: str, tau: float, samples, resolution, key, solve_at, progress) -> Dataset:
    medium = _Phases(check_nested(resolution, solve_at, closed=True), solve_at, tau)
    facts = {"parameters": {"gamma": 2.0, "tau": tau, "low": LOW, "high": HIGH, "source": 1.0}}
    facts |= {"solver": "five-point flux form, arithmetic face means, preconditioned conjugate gradients"}
    return darcy(medium, samples, resolution, key, progress, name=name, **facts)


class AbstractMedium(AbstractPair):
    """A permeability on the unit square of each key, and how the pressure is found."""

    stride: eqx.AbstractVar[int]
    nodes: eqx.AbstractVar[int]

    @abc.abstractmethod
    def permeability(self, key: Array, refine: int) -> GridField:
        """The medium on the closed nodes of `1 / refine` of the spacing."""

    @abc.abstractmethod
    def method(self, rtol: float) -> AbstractMethod:
        """What solves for the pressure."""

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        a = self.permeability(key, refine)
        ends = (Uniform(x.n, x.length, x.start, Dirichlet(0.0), Dirichlet(0.0)) for x in a.grid.axes)
        problem = SteadyProblem(Darcy(permeability=a, source=1.0), a.grid.with_axes(ends))
        # The only place that calls the solver.
        u = solve(problem, self.method(tolerance(a.dtype, a.grid.shape[0]))).value
        at = (slice(None), *(slice(None, None, self.stride * refine) for _ in a.grid.axes))
        return a.values[at], u.values[at]


def darcy(medium: AbstractMedium, samples, resolution: int, key: Array, progress, **facts) -> Dataset:
    """The data set of a family of media."""
    facts |= {"equation": "-div(a grad u) = 1 on (0, 1)^2, u = 0 on the boundary", "solve_at": medium.nodes}
    facts |= {"input_names": ["permeability"], "target_names": ["pressure"]}
    facts |= {"rtol": tolerance(jnp.result_type(float), medium.nodes)}
    grid = Grid(x=Uniform(resolution), y=Uniform(resolution))
    return pairs(medium, samples, grid, key, medium.nodes**2, progress, **facts)


class _Phases(AbstractMedium):
    """Two materials, told apart by the sign of a Gaussian random field."""

    stride: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)
    tau: float = eqx.field(static=True)

    def permeability(self, key: Array, refine: int) -> GridField:
        grid = Grid(x=Cosine(self.nodes), y=Cosine(self.nodes))
        series = GaussianRandomField(2.0, self.tau).sample(grid, key=key).resample(grid.refined(refine))
        values = jnp.where(series.values >= 0, HIGH, LOW).astype(series.dtype)
        return GridField(values, series.grid.with_axes(Uniform(a.n, a.length, a.start) for a in series.grid.axes))

    def method(self, rtol: float) -> AbstractMethod:
        return ConjugateGradient(rtol=rtol)


def tolerance(dtype, nodes: int) -> float:
    """Residual reduction (dual norm) to ask for with that many nodes per axis.

    1e-6 leaves about 2e-7 of the discrete solution, far below its own distance from the limit. Rounding of node
    values is rough, and its energy grows with the number of nodes: float32 reaches about half of what is asked for
    here.
    """
    return max(1e-6, float(jnp.finfo(dtype).eps) * nodes)
