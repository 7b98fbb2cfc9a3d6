from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..calculus import inverse_laplacian
from ..fields import GridField
from ..grids import Chebyshev, Dirichlet, Fourier, Grid
from ._dataset import Dataset
from ._gaussian_process import GaussianProcess, PeriodicKernel, SquaredExponential
from ._generate import Samples, check_nested
from ._pairs import AbstractPair, pairs


def nsm_poisson_periodic(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Source to solution of `-lap u = s` on the periodic unit square, `u(0, 0) = 0`.

    `s` is a Gaussian process with the periodic kernel of length 0.2 drawn on 16 nodes per axis, less its mean (Du,
    Chalapathi & Krishnapriyan, Neural Spectral Methods, 2024, section 5.1); u is the exact solution, so one key gives
    the same functions at every `resolution`, of 16 or more.
    """
    facts = {"equation": "-lap u = s, periodic on (0, 1)^2, u(0, 0) = 0", "parameters": {"length": 0.2}}
    facts |= {"input_names": ["source"], "target_names": ["solution"], "solver": "exact", "drawn_at": 16}
    grid = _torus(_drawn(resolution, 16))
    return pairs(_Torus(resolution), samples, grid, key, resolution**2, progress, name="nsm_poisson_periodic", **facts)


def nsm_poisson_dirichlet(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 65,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Source to solution of `-lap u = s` on the unit square, zero on its boundary, at Chebyshev nodes.

    `s` is a Gaussian process with the radial kernel of length 0.2 drawn on 16 Chebyshev nodes per axis, a polynomial
    (Du, Chalapathi & Krishnapriyan, Neural Spectral Methods, 2024, section 5.1). Solved by collocation on `solve_at`
    nodes per axis, which end points belong to; the data are its values at every
    `(solve_at - 1) / (resolution - 1)`-th node, again Chebyshev nodes.
    """
    stride = check_nested(resolution, solve_at, closed=True)
    facts = {"equation": "-lap u = s on (0, 1)^2, u = 0 on the boundary", "parameters": {"length": 0.2}}
    facts |= {"input_names": ["source"], "target_names": ["solution"], "solver": "Chebyshev collocation"}
    facts |= {"solve_at": solve_at, "drawn_at": 16}
    square = _Square(solve_at, stride)
    grid = _square(resolution)
    return pairs(square, samples, grid, key, solve_at**2, progress, name="nsm_poisson_dirichlet", **facts)


def _drawn(resolution: int, drawn: int) -> int:
    """The resolution. **Raises** `ValueError` if it is less than that of the draw."""
    if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < drawn:
        raise ValueError(
            f"the functions are drawn on {drawn} nodes, got resolution={resolution!r}; take {drawn} or more."
        )
    return resolution


def _torus(n: int) -> Grid:
    return Grid(x=Fourier(n, length=1.0), y=Fourier(n, length=1.0))


def _square(n: int, end=None) -> Grid:
    axis = Chebyshev(n, 1.0, 0.0) if end is None else Chebyshev(n, 1.0, 0.0, end, end)
    return Grid(x=axis, y=axis)


class _Torus(AbstractPair):
    resolution: int = eqx.field(static=True)

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        s = GaussianProcess(PeriodicKernel(0.2)).sample(_torus(16), key=key)
        s = (s - jnp.mean(s.values)).resample(_torus(refine * self.resolution))
        u = -inverse_laplacian(s).values
        at = (slice(None), slice(None, None, refine), slice(None, None, refine))
        return s.values[at], (u - u[:, :1, :1])[at]


class _Square(AbstractPair):
    nodes: int = eqx.field(static=True)
    stride: int = eqx.field(static=True)

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        n = refine * (self.nodes - 1) + 1
        s = GaussianProcess(SquaredExponential(0.2)).sample(_square(16), key=key).resample(_square(n))
        u = -inverse_laplacian(GridField(s.values, _square(n, Dirichlet(0.0))))
        at = (slice(None), *2 * (slice(None, None, self.stride * refine),))
        return s.values[at], u.values[at]
