from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import Cosine, Grid, Uniform
from ._dataset import Dataset
from ._generate import Samples, check_nested
from ._pairs import AbstractPair, pairs
from ._random_fields import GaussianRandomField

_MEAN = 20.0
_SEGMENT = 0.35, 0.65


def helmholtz(
    samples: Samples,
    resolution: int,
    *,
    key: Array,
    omega: float = 1e3,
    solve_at: int = 101,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Time-harmonic waves in a closed square: speed of sound to pressure, `-lap u - (omega / c)^2 u = 0`.

    On the unit square with `u_y = 1` where `0.35 < x < 0.65` on the side `y = 1`, and no flux through the rest of the
    boundary. `c = 20 + tanh(g)` with a Gaussian random field `g ~ N(0, (-Laplacian + 9)^-2)` with zero-Neumann
    Laplacian (De Hoop, Huang, Qian & Stuart 2022, The cost-accuracy trade-off in operator learning with neural
    networks, section 3.2: 101 nodes and `omega = 1e3`, some eight waves a side).

    With `k = omega / 20` and `S = (-lap - k^2)^-1`, which is diagonal in cosines, the equation is the one of the second
    kind `u = w + S((omega / c)^2 - k^2) u`, `w` the wave in the mean medium, a series. It is solved in cosines on
    `solve_at` nodes per axis by GMRES: differences would have to resolve the phase over all waves, five-point ones are
    off by their own size there. The data are every `(solve_at - 1) / (resolution - 1)`-th node. Precision and the
    reference as for `darcy_fno`. Media for which the equation is nearly singular have large pressures.

    **Raises** `ValueError` for a resolution whose nodes are not among those of the solve, and an `omega` at which the
    mean medium resonates.
    """
    stride = check_nested(resolution, solve_at, closed=True)
    wave = _Cavity(stride, solve_at, float(omega))
    gap = float(np.min(np.abs(wave.symbol(4 * solve_at)))) / max(1.0, wave.square)
    if not gap > 1e-6:
        raise ValueError(f"the mean medium resonates at omega={omega!r}; take another, such as {omega * 1.01:g}.")
    facts = {"equation": "-lap u - (omega / c)^2 u = 0 on (0, 1)^2, u_y = 1 on 0.35 < x < 0.65, y = 1, else no flux"}
    facts |= {"parameters": {"omega": wave.omega, "gamma": 2.0, "tau": 3.0}, "solve_at": solve_at}
    facts |= {"input_names": ["speed"], "target_names": ["pressure"], "solver": "cosines, GMRES, second kind"}
    grid = Grid(x=Uniform(resolution), y=Uniform(resolution))
    return pairs(wave, samples, grid, key, solve_at**2, progress, name="helmholtz", **facts)


class _Cavity(AbstractPair):
    stride: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)
    omega: float = eqx.field(static=True)

    @property
    def square(self) -> float:
        """The squared wavenumber of the mean medium."""
        return (self.omega / _MEAN) ** 2

    def symbol(self, n: int) -> np.ndarray:
        """`-lap - k^2` on the first `n` cosines of each axis."""
        each = (np.pi * np.arange(n)) ** 2
        return np.add.outer(each, each) - self.square

    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        drawn = Grid(x=Cosine(self.nodes), y=Cosine(self.nodes))
        g = GaussianRandomField(2.0, 3.0, sigma=1.0).sample(drawn, key=key).resample(drawn.refined(refine))
        c = _MEAN + jnp.tanh(g.values)
        excess = (self.omega / c) ** 2 - self.square
        symbol = jnp.asarray(self.symbol(g.grid.shape[0]), c.dtype)[None]

        def scattered(u: Array) -> Array:
            coefficients = GridField(excess * u, g.grid).coefficients
            return GridField.from_coefficients(coefficients / symbol, g.grid).values

        mean = jnp.asarray(self.mean_wave(g.grid), c.dtype)[None]
        operator = lx.FunctionLinearOperator(lambda u: u - scattered(u), jax.eval_shape(lambda: mean))
        tolerance = max(1e-10, 10 * float(jnp.finfo(c.dtype).eps))
        solver = lx.GMRES(tolerance, tolerance, restart=60, stagnation_iters=60)
        u = lx.linear_solve(operator, mean, solver).value
        at = (slice(None), *(slice(None, None, self.stride * refine),) * 2)
        return c[at], u[at]

    def mean_wave(self, grid: Grid) -> np.ndarray:
        """The wave in the mean medium, `sum_m g_m cos(m pi x) cosh(mu_m y) / (mu_m sinh mu_m)` with
        `mu_m^2 = (m pi)^2 - k^2`.
        """
        x, y = (np.asarray(axis.points, np.float64) for axis in grid.axes)
        waves = np.pi * np.arange(8 * len(x))
        left, right = _SEGMENT
        flux = 2 * (right * np.sinc(waves * right / np.pi) - left * np.sinc(waves * left / np.pi))
        flux[0] /= 2
        mu = np.sqrt(waves**2 - self.square + 0j)[:, None]
        # cosh and sinh divided by exp(mu), which would overflow
        profile = np.exp(mu * (y - 1)) * (1 + np.exp(-2 * mu * y)) / (1 - np.exp(-2 * mu)) / mu
        return np.einsum("m,mx,my->xy", flux, np.cos(np.outer(waves, x)), profile.real, optimize=True)
