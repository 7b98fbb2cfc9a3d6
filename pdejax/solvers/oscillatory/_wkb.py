import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...grids import Chebyshev
from .._solution import RESULTS, SolveError
from ._series import derivative, multiply, power, taylor

# The highest order tried: later terms are below rounding for every epsilon at which the series is of use.
_MAX_ORDER = {"float32": 16, "float64": 32}
_ONE_DIGIT = 0.1


class WKBResults(RESULTS):  # pyright: ignore
    """How a WKB solve ended."""

    not_positive = "The coefficient a(x) is not positive and finite on the whole interval; WKB needs a > 0."
    outside = "Some points lie outside the interval; widen the interval or drop these points."
    unresolved = (
        "The coefficient a(x) is not smooth on the interval, or not resolved by the nodes (see solution.error); pass "
        "more nodes, or split the interval."
    )
    not_oscillatory = (
        "The WKB series gives no correct digit (see solution.error): epsilon is too large, or a(x) comes too close to "
        "zero; integrate with an ODE solver such as diffrax.Dopri8."
    )


class WKBSolution(eqx.Module):
    """What `wkb` returns.

    `points`: where; `value`: `phi`; `slope`: `epsilon phi'`, so that `(value[-1], slope[-1])` starts the next interval;
    `order`: the truncation order `N`; `error`: estimate of the error of `phi` relative to its amplitude, the sum of
    truncation (the first two omitted terms times `sqrt(pi N / 2)`), quadrature and rounding; `result`: how it ended.
    """

    points: Array
    value: Array
    slope: Array
    order: Array
    error: Array
    result: WKBResults

    @property
    def ok(self) -> Array:
        """Whether the series gave at least one correct digit."""
        return self.result == WKBResults.successful


def wkb(
    a: Callable[[Array], Array],
    epsilon: float | Array,
    interval: tuple[float | Array, float | Array],
    initial: tuple[complex | Array, complex | Array],
    points: Array | None = None,
    *,
    order: int | None = None,
    nodes: int = 65,
    throw: bool = True,
) -> WKBSolution:
    """Solve the highly oscillatory `epsilon^2 phi'' + a(x) phi = 0`, `a > 0`, by its optimally truncated WKB series.

    The ansatz `phi = exp(S / epsilon)` with `S' = sum_n epsilon^n S_n'` gives `S_0' = +-i sqrt(a)` and
    `S_n' = -(sum_{j=1}^{n-1} S_j' S_{n-j}' + S_{n-1}'') / (2 S_0')`. The series is cut after `n = N`: the error is
    `O(epsilon^N)` for fixed `N`, and falls exponentially in `1 / epsilon` for the best `N`, at a cost that does not
    depend on `epsilon` (Arnold, Klein, Körner & Melenk, 2024). Derivatives come from Taylor series of `a` at the nodes,
    integrals from Clenshaw-Curtis quadrature.

    **Arguments:**

    - `a`: smooth function of a scalar `x`. Its parameters may be differentiated (closed over, or the leaves of an
      `equinox.Module`), as may `epsilon`, `interval`, `initial` and `points`. A new function object compiles anew.
    - `epsilon`: positive; the wave length is about `2 pi epsilon / sqrt(a)`.
    - `interval`: `(x_0, x_1)`, either way round; `initial`: `(phi(x_0), epsilon phi'(x_0))`. Real values give a real
      solution.
    - `points`: where the solution is wanted, any shape; by default the quadrature nodes.
    - `order`: the truncation order `N >= 1`; by default the least for which the terms left out are smallest, or below
      rounding, among orders up to 32 (float32: 16).
    - `nodes`: number of quadrature nodes; `throw`: raise if the result is not `successful`.

    **Returns** a `WKBSolution`. The call may stand inside `jit`, `vmap` and `grad`.

    **Raises** `ValueError` for bad settings and where `a` is not positive, `TypeError` for an `a` that is not a real
    scalar function or not smooth, `SolveError` with the result's message otherwise.
    """
    _check_settings(epsilon, interval, initial, order, nodes)
    dtype = jnp.result_type(float, epsilon, *interval, *(np.real(number) for number in initial))
    kind = np.result_type(dtype, np.complex64) if any(map(np.iscomplexobj, initial)) else dtype
    state = tuple(jnp.asarray(number, kind) for number in initial)
    epsilon, start, end = (jnp.asarray(number, dtype) for number in (epsilon, *interval))
    out = jax.eval_shape(a, start)
    if dtype.name not in _MAX_ORDER or (out.shape, out.dtype) != ((), dtype):
        raise TypeError(
            f"a must map a scalar x to a scalar of the same dtype, float32 or float64: x is {dtype.name}, a(x) is "
            f"{out.dtype.name}{list(out.shape)}. Sum or index what a returns, and give its parameters the dtype of "
            "epsilon, interval and initial."
        )
    axis = Chebyshev(nodes)
    middle, half = (start + end) / 2, (end - start) / 2
    x = middle + half * jnp.asarray(axis.points, dtype)
    points = x if points is None else jnp.asarray(points, dtype)
    solution = _solve(a, epsilon, axis, (middle, half), state, points, order)
    return _checked(solution, a, x) if throw else solution


@eqx.filter_jit
def _solve(a, epsilon, axis, frame, initial, points, order) -> WKBSolution:
    dtype, (middle, half) = epsilon.dtype, frame
    s = jnp.asarray(axis.points, dtype)
    count = (_MAX_ORDER[dtype.name] if order is None else order) + 3
    terms = jax.vmap(lambda x: _terms(a, x, epsilon, count))(middle + half * s)

    integrate = lambda coefficients: _times(_antiderivative(axis.n), coefficients) * half / epsilon
    sizes = jnp.abs(_times(_polynomials(s, axis.n + 1), integrate(axis.forward(terms, 0)))).max(0)
    # Two omitted terms, since for some a every second one vanishes (a = 1 / x^2).
    omitted = sizes[2:-1] + sizes[3:]
    rounding = 4 * jnp.finfo(dtype).eps * (1 + sizes[0])
    if order is None:
        least = jnp.where(jnp.isfinite(omitted), omitted, jnp.inf).min()
        order = 1 + jnp.argmax(omitted <= jnp.maximum(least, rounding))
    order = jnp.asarray(order)

    # S' / epsilon = growth' + i phase', the real and the imaginary part of sum_n i^(n+1) terms_n.
    n = np.arange(count)
    parts = np.array([[0, 1], [-1, 0], [0, -1], [1, 0]])[n % 4]
    rates = _times(axis.forward(jnp.where(n <= order, terms, 0), 0), parts)
    integrals, where = integrate(rates), (points - middle) / half
    value, slope = _combine(rates, integrals, where, initial)

    # Near the best order, a Stokes line in the interval adds a reflected wave of sqrt(2 pi N) times the smallest term
    # (Berry 1989).
    truncation = omitted[order - 1] * jnp.sqrt(np.pi / 2 * order.astype(dtype))
    tail = jnp.abs(integrals[-axis.n // 4 :]).sum()
    inside = jnp.all(jnp.abs(where) <= 1 + 8 * jnp.finfo(dtype).eps * (1 + jnp.abs(middle / half)))
    result = WKBResults.where(truncation < _ONE_DIGIT, WKBResults.successful, WKBResults.not_oscillatory)
    result = WKBResults.where(tail < _ONE_DIGIT, result, WKBResults.unresolved)
    result = WKBResults.where(inside, result, WKBResults.outside)
    positive = jnp.all(jnp.isfinite(terms[:, 0]) & (terms[:, 0] > 0))
    result = WKBResults.where(positive, result, WKBResults.not_positive)
    return WKBSolution(points, value, slope, order, truncation + tail + rounding, result)


def _combine(rates: Array, integrals: Array, s: Array, initial: tuple[Array, Array]) -> tuple[Array, Array]:
    """`phi` and `epsilon phi'` at `s` in [-1, 1]: the two branches joined so that they meet the initial values.

    `phi = e^growth (c cos(phase) + d sin(phase))` stays real for real initial values.
    """
    c, kind = initial[0], initial[0].dtype
    at = lambda s, coefficients: jnp.moveaxis(_times(_polynomials(s, len(coefficients)), coefficients), -1, 0)
    (growth, phase), (growing, turning) = at(s, integrals).astype(kind), at(s, rates).astype(kind)
    growing_first, turning_first = at(-jnp.ones((), s.dtype), rates).astype(kind)
    d = (initial[1] - growing_first * c) / turning_first
    amplitude, cos, sin = jnp.exp(growth), jnp.cos(phase), jnp.sin(phase)
    value = amplitude * (c * cos + d * sin)
    return value, growing * value + turning * amplitude * (d * cos - c * sin)


def _terms(a: Callable[[Array], Array], x: Array, epsilon: Array, count: int) -> Array:
    """`epsilon^n S_n' / i^(n+1)` at one node, `n < count`: real, from Taylor series in `t`, `x + epsilon t`.

    With `s_n = epsilon^n S_n' / i^(n+1)` the recursion reads `s_n = (ds_{n-1}/dt - sum_j s_j s_{n-j}) / (2 s_0)`.
    """
    coefficient = taylor(a, x, epsilon, count)
    first, inverse = power(coefficient, 0.5), power(coefficient, -0.5) / 2
    dot = functools.partial(jnp.dot, precision="highest")

    def step(carry, n):
        known, last = carry  # known[:, j] is s_j for 0 < j < n, and zero elsewhere
        pairs = multiply(known, jnp.roll(known[:, ::-1], n + 1, axis=1), dot)
        new = multiply(inverse, derivative(last) - pairs)
        return (known.at[:, n].set(new), new), new[0]

    start = (jnp.zeros((count, count), x.dtype), first)
    return jnp.concatenate([first[:1], jax.lax.scan(step, start, jnp.arange(1, count))[1]])


def _times(matrix: Array | np.ndarray, array: Array | np.ndarray) -> Array:
    """Matrix product at full precision, also on accelerators; numpy tables take the dtype of the array they meet."""
    dtype = jnp.result_type(*(factor for factor in (matrix, array) if isinstance(factor, jax.Array)))
    return jnp.matmul(jnp.asarray(matrix, dtype), jnp.asarray(array, dtype), precision="highest")


def _polynomials(s: Array, count: int) -> Array:
    """Chebyshev polynomials `T_0 .. T_{count-1}` at `s`, shape `(*s.shape, count)`; smooth at the ends as well."""
    step = lambda last, _: ((last[1], 2 * s * last[1] - last[0]), last[0])
    values = jax.lax.scan(step, (jnp.ones_like(s), s), None, count)[1]
    return jnp.moveaxis(values, 0, -1)


@functools.lru_cache(maxsize=16)
def _antiderivative(n: int) -> np.ndarray:
    """Matrix `(n + 1, n)` from Chebyshev coefficients to those of the integral from -1:
    `2 k b_k = c_{k-1} - c_{k+1}`, with `c_0` doubled.
    """
    k = np.arange(1, n + 1)[:, None]
    below = (np.eye(n) + np.eye(n)[:, :1] * np.eye(n)[:1]) / (2 * k)
    above = np.eye(n, k=2) / (2 * k)
    return np.concatenate([(-1.0) ** (k.T + 1) @ (below - above), below - above])


def _check_settings(epsilon: Any, interval: Any, initial: Any, order: int | None, nodes: int) -> None:
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in (interval, initial)):
        raise ValueError(
            "interval is a pair (x_0, x_1) and initial a pair (phi(x_0), epsilon phi'(x_0)), got "
            f"{interval} and {initial}."
        )
    if any(map(np.ndim, (epsilon, *interval, *initial))):
        raise ValueError(
            "epsilon, the ends of the interval and the initial values are scalars, got shapes "
            f"{[np.shape(number) for number in (epsilon, *interval, *initial)]}; for several at once use jax.vmap."
        )
    known = lambda *numbers: not any(isinstance(number, jax.core.Tracer) for number in numbers)
    if known(epsilon) and not (np.isrealobj(epsilon) and 0 < epsilon < np.inf):
        raise ValueError(f"epsilon is a finite number > 0, got {epsilon}.")
    if known(*interval) and not (np.all(np.isfinite(interval)) and interval[0] != interval[1]):
        raise ValueError(f"interval needs two different finite ends (x_0, x_1), got {interval}.")
    if known(*initial) and not np.all(np.isfinite(initial)):
        raise ValueError(f"initial needs finite values (phi(x_0), epsilon phi'(x_0)), got {initial}.")
    if order is not None and not (isinstance(order, int) and order >= 1):
        raise ValueError(f"order is the truncation order N, an integer >= 1, or None for the best, got {order!r}.")
    if nodes < 8:
        raise ValueError(f"nodes must be at least 8, got {nodes}; 65 resolve most coefficients.")


def _checked(solution: WKBSolution, a: Callable[[Array], Array], x: Array) -> WKBSolution:
    failed = solution.result != WKBResults.successful
    if isinstance(failed, jax.core.Tracer):
        return eqx.tree_at(lambda s: s.value, solution, solution.result.error_if(solution.value, failed))
    if not failed:
        return solution
    if solution.result != WKBResults.not_positive:
        raise SolveError(f"{WKBResults[solution.result]} Estimated relative error: {float(solution.error):.2g}.")
    values = jax.vmap(a)(x)
    worst = jnp.argmin(jnp.where(jnp.isfinite(values), values, -jnp.inf))
    raise ValueError(
        f"wkb needs a(x) > 0 on the whole interval, got a({x[worst]:.6g}) = {values[worst]:.6g}; "
        "end the interval before the turning point and cross it with an ODE solver."
    )
