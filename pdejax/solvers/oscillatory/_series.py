"""Truncated Taylor series `u(t) = sum_k u_k t^k`, stored as arrays `(length, *shape)`, and their arithmetic.

`jax.experimental.jet` ends at order 20, beyond which the factorials that it carries leave the 64-bit integers.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array


class _Series(NamedTuple):
    """Marks a value that depends on `t`; all other values are constants."""

    coefficients: Array


def taylor(function: Callable[[Array], Array], point: Array, scale: Array, length: int) -> Array:
    """Coefficients `(length, *shape)` of `function(point + scale t)` in powers of `t`.

    The function is traced once and evaluated in series arithmetic, one rule for each operation (Griewank & Walther,
    2008, chapter 13).

    **Raises** `TypeError` for an operation without a rule: `abs`, `maximum`, comparisons and loops have none.
    """
    traced = jax.make_jaxpr(function)(point)
    argument = jnp.zeros(length, point.dtype).at[0].set(point).at[1].set(scale)
    (value,) = _evaluate(traced.jaxpr, traced.consts, [_Series(argument)])
    return _coefficients(value, length)


def multiply(u: Array, v: Array, operation: Callable[[Array, Array], Array] = jnp.multiply) -> Array:
    """Series of a product, `w_k = sum_{i+j=k} u_i v_j`, where any bilinear operation may stand for the product."""
    outer = jax.vmap(jax.vmap(operation, (None, 0)), (0, None))(u, v)
    k, shape = len(u), outer.shape[2:]
    # Rows of length 2k cut at length 2k - 1: each row starts one place further right, so columns have equal i + j.
    rows = jnp.concatenate([outer, jnp.zeros_like(outer)], axis=1).reshape(2 * k * k, *shape)[:-k]
    return rows.reshape(k, 2 * k - 1, *shape)[:, :k].sum(0)


def reciprocal(u: Array) -> Array:
    """Series of `1 / u`, from `y' = -y^2 u'`."""
    return _grow(1 / u[0], (0.0, 0.0, -1.0), derivative(u))


def power(u: Array, exponent: float | np.ndarray | Array) -> Array:
    """Series of `u^p`, from `y' = y p u' / u`; where `u_0` is zero only whole `p >= 0` have one."""
    if not isinstance(exponent, jax.Array) and np.ndim(exponent) == 0 and float(exponent).is_integer():
        base = u if exponent >= 0 else reciprocal(u)
        return functools.reduce(multiply, [base] * abs(int(exponent)), _shifted(jnp.zeros_like(u), 1.0))
    exponent = jnp.asarray(exponent, u.dtype)
    rate = multiply(reciprocal(u), derivative(u)) * jnp.broadcast_to(exponent, u.shape[1:])
    return _grow(u[0] ** exponent, (0.0, 1.0, 0.0), rate)


def derivative(u: Array) -> Array:
    """Series of `du/dt`; its last coefficient is not known and set to zero."""
    return jnp.concatenate([u[1:] * _counts(u), jnp.zeros_like(u[:1])])


def _antiderivative(start: Array, rate: Array) -> Array:
    return jnp.concatenate([start[None], rate[:-1] / _counts(rate)])


def _counts(u: Array) -> Array:
    return jnp.asarray(np.arange(1, len(u)).reshape(-1, *(1,) * (u.ndim - 1)), u.dtype)


def _shifted(u: Array, constant: float) -> Array:
    return u.at[0].add(constant)


def _grow(start: Array, slope: tuple[float, float, float], rate: Array) -> Array:
    """Solve `y' = g rate` with `g = c_0 + c_1 y + c_2 y^2` and `y(0) = start`, one coefficient after another."""
    constant, linear, square = slope

    def step(known, k):
        # Coefficients above the k-th are still zero, so what wraps around here does not count.
        reverse = lambda u: jnp.roll(u[::-1], k + 1, axis=0)
        y, g = known
        g = g.at[k].add(linear * y[k] + square * (y * reverse(y)).sum(0))
        return (y.at[k + 1].set((g * reverse(rate)).sum(0) / (k + 1).astype(y.dtype)), g), None

    known = (jnp.zeros_like(rate).at[0].set(start), jnp.zeros_like(rate).at[0].set(constant))
    return jax.lax.scan(step, known, jnp.arange(len(rate) - 1))[0][0]


def _exp(u: Array) -> Array:
    return _grow(jnp.exp(u[0]), (0.0, 1.0, 0.0), derivative(u))


def _rotation(u: Array) -> Array:
    return _exp(jax.lax.complex(jnp.zeros_like(u), u))


def _by_equation(function: Callable[[Array], Array], *slope: float) -> Callable[[Array], Array]:
    """`y = function(u)` with `dy/du = c_0 + c_1 y + c_2 y^2`."""
    return lambda u: _grow(function(u[0]), slope, derivative(u))


def _by_integral(function: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`y = function(u)` with `dy/du = slope(u)`."""
    return lambda u: _antiderivative(function(u[0]), multiply(slope(u), derivative(u)))


_log = _by_integral(jnp.log, reciprocal)
_UNARY: dict[str, Callable[[Array], Array]] = {
    "square": lambda u: multiply(u, u),
    "sqrt": lambda u: power(u, 0.5),
    "rsqrt": lambda u: power(u, -0.5),
    "exp": _exp,
    "expm1": _by_equation(jnp.expm1, 1.0, 1.0, 0.0),
    "log": _log,
    "log1p": _by_integral(jnp.log1p, lambda u: reciprocal(_shifted(u, 1.0))),
    "sin": lambda u: jnp.imag(_rotation(u)),
    "cos": lambda u: jnp.real(_rotation(u)),
    "tan": _by_equation(jnp.tan, 1.0, 0.0, 1.0),
    "sinh": lambda u: 0.5 * (_exp(u) - _exp(-u)),
    "cosh": lambda u: 0.5 * (_exp(u) + _exp(-u)),
    "tanh": _by_equation(jnp.tanh, 1.0, 0.0, -1.0),
    "logistic": _by_equation(jax.nn.sigmoid, 0.0, 1.0, -1.0),
    "atan": _by_integral(jnp.arctan, lambda u: reciprocal(_shifted(multiply(u, u), 1.0))),
    "asinh": _by_integral(jnp.arcsinh, lambda u: power(_shifted(multiply(u, u), 1.0), -0.5)),
    "erf": _by_integral(jax.lax.erf, lambda u: 2 / np.sqrt(np.pi) * _exp(-multiply(u, u))),
}
_LINEAR = set(
    "add add_any sub neg reduce_sum cumsum copy convert_element_type select_n gather broadcast_in_dim reshape squeeze "
    "transpose slice split concatenate rev pad stack unstack".split()
)
_BILINEAR = {"mul", "dot_general"}
_INLINED = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"}


def _evaluate(jaxpr: Any, constants: list[Any], arguments: list[Any]) -> list[Any]:
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments)))
    read = lambda v: np.asarray(v.val, v.aval.dtype) if isinstance(v, Literal) else known[v]
    for equation in jaxpr.eqns:
        results = _apply(equation.primitive, [read(v) for v in equation.invars], equation.params)
        known.update(zip(equation.outvars, results))
    return [read(v) for v in jaxpr.outvars]


def _apply(primitive: Any, operands: list[Any], params: dict[str, Any]) -> list[Any]:
    """Results of one operation on constants and series."""
    name, varying = primitive.name, [isinstance(operand, _Series) for operand in operands]
    smooth = jnp.issubdtype(params.get("new_dtype", float), jnp.inexact)  # a cast to integers is a staircase
    if not any(varying):
        settings = primitive.get_bind_params(params)
        # Older versions of jax hand over the functions of a call apart from its settings.
        functions, settings = settings if isinstance(settings, tuple) else ((), settings)
        results = primitive.bind(*functions, *operands, **settings)
        return list(results) if primitive.multiple_results else [results]
    if name in _INLINED:
        inner = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
        return _evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", []), operands)
    bind = functools.partial(primitive.bind, **params)
    length = len(operands[varying.index(True)].coefficients)
    u, v = operands[0], operands[-1]
    if name in _UNARY:
        results = _UNARY[name](u.coefficients)
    elif name == "integer_pow":
        results = power(u.coefficients, params["y"])
    elif name in _BILINEAR and all(varying):
        results = multiply(u.coefficients, v.coefficients, bind)
    elif name == "div" and varying[1]:
        results = multiply(_coefficients(u, length), reciprocal(v.coefficients))
    elif name == "pow" and varying[1]:
        results = _exp(multiply(_log(_coefficients(u, length)), v.coefficients))
    elif name == "pow":
        results = power(u.coefficients, v)
    elif name in _LINEAR | _BILINEAR | {"div"} and smooth:
        # A constant summand is a series of one term; factors, predicates and indices act on every term alike.
        terms = [s or (name in _LINEAR and jnp.issubdtype(o.dtype, jnp.inexact)) for s, o in zip(varying, operands)]
        arrays = [_coefficients(o, length) if s else o for s, o in zip(terms, operands)]
        results = jax.vmap(bind, [0 if s else None for s in terms])(*arrays)
    else:
        raise TypeError(
            f"the operation {name!r} on x has no Taylor series here: a(x) must be smooth, written with arithmetic, "
            "powers, exp, log, sin, cos, tan, sinh, cosh, tanh, arctan, arcsinh, sigmoid and erf, without abs, "
            "maximum, comparisons or loops (for softplus write log1p(exp(x)))."
        )
    return [_Series(part) for part in results] if primitive.multiple_results else [_Series(results)]


def _coefficients(value: Any, length: int) -> Array:
    if isinstance(value, _Series):
        return value.coefficients
    value = jnp.asarray(value)
    return jnp.zeros((length, *value.shape), value.dtype).at[0].set(value)
