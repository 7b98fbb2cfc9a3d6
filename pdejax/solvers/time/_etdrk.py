import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array

from ...equations import AbstractEvolution
from ...fields import Eigenbasis, GridField
from ...grids import scale
from .._method import AbstractMethod, Options
from .._problem import EvolutionProblem
from .._solution import Solution
from .._symbol import NotDiagonal, read_symbol
from ._march import March, check_dt, dealiased, march, plan


class ETDRK4(AbstractMethod):
    """Exponential time differencing, fourth-order Runge-Kutta, for `u_t = L u + N(u, t)`
    with `L` diagonal in the basis.

    Cox & Matthews 2002, eqs. (26)-(29); coefficients by contour means (Kassam & Trefethen 2005, section 3) over the
    full circle, so complex symbols (advection, dispersion) keep fourth order, computed in float64 and cast to the dtype
    of the data. Stiff linear parts put no limit on `dt`; the nonlinear part does.

    **Arguments:** `dt` (adjusted to divide `t1 - t0` evenly, see `stats["dt"]`); `dealias`: factor for the products of
    the nonlinear part, used on spectral axes that set none themselves (3/2 is exact for quadratic terms, 2 for cubic,
    1 is none).

    **Raises** `ValueError` for `dt <= 0` or a linear part that is not linear or not diagonal in the grid's basis.
    """

    dt: float = eqx.field(static=True, converter=float)
    dealias: float = eqx.field(static=True, converter=float, default=1.5)

    def __check_init__(self):
        check_dt("ETDRK4", self.dt)

    def prepare(self, problem: EvolutionProblem, options: Options) -> "tuple[March, Coefficients]":
        steps = plan(problem, self.dt, options)
        u0 = problem.u0
        try:
            symbol = read_symbol(problem.equation, _linear, Eigenbasis(u0.grid), u0.channels, u0.is_real)
        except NotDiagonal as error:
            raise ValueError(
                "ETDRK4 needs a linear part that is diagonal in the grid's basis, and that of "
                f"{type(problem.equation).__name__} is not: {error} Use Fourier axes (or Sine/Cosine for even "
                "derivatives), move the term to nonlinear(u, t), or write solvers.RK4(dt)."
            ) from None
        return steps, coefficients(symbol, steps.dt)

    def run(self, problem: EvolutionProblem, prepared: "tuple[March, Coefficients]", options: Options) -> Solution:
        steps, c = prepared
        u0 = dealiased(problem.u0, self.dealias)
        c = c.cast(u0.coefficients.dtype, u0.dtype)
        dt = steps.dt

        basis = Eigenbasis(u0.grid)

        def nonlinear(v: Array, t: Array) -> Array:
            return basis.forward(problem.equation.nonlinear(basis.backward(v, u0.is_real), t))

        def step(v: Array, t: Array) -> Array:
            half, end = t + jnp.asarray(dt / 2, t.dtype), t + jnp.asarray(dt, t.dtype)
            n0 = nonlinear(v, t)
            drift = apply(c.half, v)
            a = drift + apply(c.q, n0)
            na = nonlinear(a, half)
            b = drift + apply(c.q, na)
            nb = nonlinear(b, half)
            e = apply(c.half, a) + apply(c.q, 2 * nb - n0)
            ne = nonlinear(e, end)
            return apply(c.full, v) + apply(c.f1, n0) + apply(c.f2, na + nb) + apply(c.f3, ne)

        facts = (("method", "ETDRK4"), ("dealias", f"{self.dealias:g}"))
        return march(step, basis.forward(u0), lambda v: basis.backward(v, u0.is_real), problem, steps, options, facts)


class Coefficients(eqx.Module):
    """`exp(z), exp(z/2)` and the four weights of the stages for `z = dt L`: per mode numbers,
    or small matrices over channels.
    """

    full: Array
    half: Array
    q: Array
    f1: Array
    f2: Array
    f3: Array

    def cast(self, complex_dtype, real_dtype) -> "Coefficients":
        """In the precision of the data; real where the symbol is."""
        tables = (self.full, self.half, self.q, self.f1, self.f2, self.f3)
        kind = (
            complex_dtype
            if any(np.iscomplexobj(t) for t in tables) and jnp.issubdtype(complex_dtype, jnp.complexfloating)
            else real_dtype
        )
        return Coefficients(*(jnp.asarray(t).astype(kind) for t in tables))


def coefficients(symbol: np.ndarray | Array, dt: float) -> Coefficients:
    """ETDRK4 coefficients of a symbol `(C, C, *modes)`; diagonal ones become `(C, *modes)`."""
    xp = np if isinstance(symbol, np.ndarray) else jnp
    channels = symbol.shape[0]
    diagonal = xp.stack([symbol[i, i] for i in range(channels)])
    coupled = (
        channels > 1
        and xp is np
        and any(np.any(symbol[i, j]) for i in range(channels) for j in range(channels) if i != j)
    )
    if coupled:
        return _matrix_coefficients(symbol, dt)
    if xp is np and not np.any(np.imag(diagonal)):
        diagonal = np.real(diagonal)
    return Coefficients(*_contour_means(diagonal * xp.asarray(dt, diagonal.dtype), dt, xp))


def _contour_means(z, dt: float, xp, points: int = 64):
    # Means over a circle of radius 1 around each z: (e^z - 1)/z and its relatives lose all digits near z = 0 otherwise.
    dtype = np.result_type(z.dtype, np.complex64)
    circle = np.exp(2j * np.pi * (np.arange(points) + 0.5) / points).astype(dtype)
    w = z.astype(dtype)

    def add(sums, shift):
        r = w + shift
        e, h = xp.exp(r), xp.exp(r / 2)
        cube = r**3
        terms = (
            (h - 1) / r,
            (-4 - r + e * (4 - 3 * r + r**2)) / cube,
            (2 + r + e * (r - 2)) / cube,
            (-4 - 3 * r - r**2 + e * (4 - r)) / cube,
        )
        return tuple(s + t for s, t in zip(sums, terms, strict=True)), None

    sums = tuple(xp.zeros(w.shape, dtype) for _ in range(4))
    if xp is np:
        for shift in circle:
            sums, _ = add(sums, shift)
    else:
        sums, _ = jax.lax.scan(add, sums, jnp.asarray(circle))
    q, f1, f2, f3 = (dt / points * (s if jnp.iscomplexobj(z) else xp.real(s)) for s in sums)
    return xp.exp(z), xp.exp(z / 2), q, f1, 2 * f2, f3


def _matrix_coefficients(symbol: np.ndarray, dt: float) -> Coefficients:
    # phi functions of small matrices from one exponential of an augmented matrix (Al-Mohy & Higham 2011, theorem 2.1).
    channels = symbol.shape[0]
    a = np.moveaxis(symbol * dt, (0, 1), (-2, -1))

    def phis(matrix):
        big = np.zeros((*matrix.shape[:-2], 4 * channels, 4 * channels), matrix.dtype)
        big[..., :channels, :channels] = matrix
        for j in range(3):
            big[..., j * channels : (j + 1) * channels, (j + 1) * channels : (j + 2) * channels] = np.eye(channels)
        top = scipy.linalg.expm(big)[..., :channels, :]
        return [top[..., j * channels : (j + 1) * channels] for j in range(4)]

    exp, p1, p2, p3 = phis(a)
    half, h1, *_ = phis(a / 2)
    tables = (exp, half, dt / 2 * h1, dt * (p1 - 3 * p2 + 4 * p3), dt * (2 * p2 - 4 * p3), dt * (4 * p3 - p2))
    return Coefficients(*(np.moveaxis(t, (-2, -1), (0, 1)) for t in tables))


def apply(table: Array, v: Array) -> Array:
    """Multiply coefficients `(C, *modes)` by a table of numbers or of matrices over channels."""
    if table.ndim == v.ndim + 1:
        return jnp.einsum("ij...,j...->i...", table.astype(v.dtype), v, precision="highest")
    return table * v if jnp.iscomplexobj(table) else scale(v, table)


def _linear(equation: AbstractEvolution, u: GridField) -> GridField:
    return equation.linear(u)
