from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.polynomial.chebyshev import chebint, chebvander

from ..calculus import inverse_laplacian
from ..grids import Chebyshev, Cosine, Grid, Uniform, apply_matrix
from ._dataset import Dataset
from ._gaussian_process import GaussianProcess, SquaredExponential
from ._generate import Samples, check_nested
from ._pairs import AbstractPair, pairs
from ._random_fields import GaussianRandomField

LENGTH, DEVIATION = 0.2, 0.5


def poisson_kernel(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    solve_at: int = 1025,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Source to solution of `-u'' = f` on the unit interval, `u(0) = u(1) = 0`.

    `u(x) = int G(x, y) f(y) dy` with Green's function `G(x, y) = (x + y - |y - x|) / 2 - x y`, the kernel that a linear
    layer without activation has to find (Kovachki et al., Neural Operator, 2023, section 6.1). `f` is a Gaussian random
    field `N(0, 3^3 (-Laplacian + 9)^-2)` with zero-Neumann Laplacian, our choice, of which the first `solve_at` cosines
    are taken, the constant too: sources of mean zero tell nothing about the mean of `G(x, .)`. u is their exact
    solution, so one key gives the same functions at every resolution `n` with `n - 1` a divisor of `solve_at - 1`.
    """
    stride = check_nested(resolution, solve_at, closed=True)
    sample = _Green(solve_at, stride)
    facts = {"equation": "-u'' = f on (0, 1), u(0) = u(1) = 0", "parameters": {"gamma": 2.0, "tau": 3.0}}
    facts |= {"input_names": ["source"], "target_names": ["solution"], "solver": "exact", "solve_at": solve_at}
    grid = Grid(x=Uniform(resolution))
    return pairs(sample, samples, grid, key, solve_at, progress, name="poisson_kernel", **facts)


class _Green(AbstractPair):
    nodes: int = eqx.field(static=True)
    stride: int = eqx.field(static=True)

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        grid = Grid(x=Cosine(self.nodes))
        f = GaussianRandomField(2.0, 3.0).sample(grid, key=key).resample(grid.refined(refine))
        w = -inverse_laplacian(f).values
        x = jnp.linspace(0, 1, w.shape[-1], dtype=w.dtype)
        u = w - w[:, :1] - (w[:, -1:] - w[:, :1]) * x[None]
        # A `GaussianRandomField` leaves the constant out.
        mean = jnp.asarray(3.0**1.5 / 9, u.dtype) * jax.random.normal(jax.random.fold_in(key, 1), dtype=u.dtype)
        at = (slice(None), slice(None, None, self.stride * refine))
        return (f.values + mean)[at], (u + mean * (x * (1 - x) / 2)[None])[at]


def antiderivative(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    nodes: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """A function to its integral from zero, `u' = f`, `u(0) = 0` on the unit interval.

    `f` is a Gaussian process with the radial kernel of length 0.2 (Lu et al., DeepONet, 2021, section 4.1), drawn at
    `nodes` Chebyshev nodes; values and integral are those of the polynomial through them, exact to rounding, at
    `resolution` equidistant nodes with both ends (the source has 100).
    """
    sample = _Integral(resolution, nodes)
    facts = {"equation": "u' = f on (0, 1), u(0) = 0", "parameters": {"length": LENGTH}}
    facts |= {
        "input_names": ["f"],
        "target_names": ["antiderivative"],
        "solver": "Chebyshev integration",
        "solve_at": nodes,
    }
    grid = Grid(x=Uniform(resolution))
    return pairs(sample, samples, grid, key, resolution, progress, name="antiderivative", **facts)


def elliptic(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    nodes: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Coefficient and source to solution of `-(a u')' = f` on the unit interval, `u(0) = u(1) = 0`.

    The one-dimensional problem of general covariance augmentation (Fanaskov et al., 2023), 100 points there. `log a`
    and `f` are independent Gaussian processes with the radial kernel of length 0.2 and deviations 1/2 and 1, our
    choice; u is found by two exact integrations of polynomials through `nodes` Chebyshev nodes, spectrally accurate.
    """
    sample = _Elliptic(resolution, nodes)
    facts = {"equation": "-(a u')' = f on (0, 1), u(0) = u(1) = 0"}
    facts |= {"parameters": {"length": LENGTH, "deviation": DEVIATION}}
    facts |= {"input_names": ["a", "f"], "target_names": ["u"], "solver": "Chebyshev integration", "solve_at": nodes}
    grid = Grid(x=Uniform(resolution))
    return pairs(sample, samples, grid, key, resolution, progress, name="elliptic", **facts)


def _process(key: Array, nodes: int, refine: int) -> Array:
    """A draw at Chebyshev nodes, at those of `refine` times as many intervals."""
    grid = Grid(x=Chebyshev(nodes, length=1.0, start=0.0))
    return GaussianProcess(SquaredExponential(LENGTH)).sample(grid, key=key).resample(grid.refined(refine)).values


def _chebyshev(nodes: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices from values at Chebyshev nodes of (0, 1) to values and integrals from zero at points."""
    at = 2 * Chebyshev(nodes, length=1.0, start=0.0).points - 1
    coefficients = np.linalg.inv(chebvander(at, nodes - 1))
    basis = chebvander(2 * points - 1, nodes)
    return basis[:, :-1] @ coefficients, basis @ chebint(coefficients, lbnd=-1, scl=0.5)


class _Integral(AbstractPair):
    resolution: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        f = _process(key, self.nodes, refine)
        value, integral = _chebyshev(f.shape[-1], np.linspace(0, 1, self.resolution))
        return apply_matrix(value, f, 1), apply_matrix(integral, f, 1)


class _Elliptic(AbstractPair):
    resolution: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        a, f = jnp.exp(DEVIATION * _process(first, self.nodes, refine)), _process(second, self.nodes, refine)
        nodes = Chebyshev(f.shape[-1], length=1.0, start=0.0)
        value, integral = _chebyshev(nodes.n, np.linspace(0, 1, self.resolution))
        # a u' = c - F with F' = f, and c such that u vanishes at the right end.
        load = apply_matrix(_chebyshev(nodes.n, nodes.points)[1], f, 1)
        unit, loaded = apply_matrix(integral, 1 / a, 1), apply_matrix(integral, load / a, 1)
        u = unit * (loaded[:, -1:] / unit[:, -1:]) - loaded
        return jnp.concatenate([apply_matrix(value, a, 1), apply_matrix(value, f, 1)]), u
