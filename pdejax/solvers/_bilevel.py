"""Derivatives of what comes out of a training, with respect to what went into it."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from ._fixed_point import as_arrays
from ._implicit import implicit
from .linear import PCG
from .linear import _vectors as v

Loss = Callable[[PyTree, PyTree], Array]  # (w, hyper) -> scalar
_TAGS = frozenset({lx.positive_semidefinite_tag})


class Hypergradient(eqx.Module):
    """What `hypergradient` returns.

    `value`: the outer loss; `gradient`: like `hyper`; `residual`: of the linear system, relative to its right-hand
    side, computed anew; `result` and `num_steps` (`None` if it does not count): what the linear solver says of it;
    `slope`: `||d_w L_T||`, zero at a minimum, which the formula takes for granted.
    """

    value: Array
    gradient: PyTree
    residual: Array
    result: lx.RESULTS
    num_steps: Array | int | None
    slope: Array


@eqx.filter_jit
def hypergradient(
    outer: Loss,
    inner: Loss,
    w: PyTree,
    hyper: PyTree,
    linear: lx.AbstractLinearSolver | None = None,
    *,
    damping: float = 0.0,
) -> Hypergradient:
    """The gradient of `outer(w(hyper), hyper)`, where `w` minimises `inner(w, hyper)`:

    `d_l L_V - d_w L_V [d_ww L_T + damping I]^-1 d_wl L_T` with Hessian-vector products only (Lorraine, Vicol & Duvenaud
    2020, equation 2). Memory and cost do not depend on how `w` was found.

    **Arguments:**

    - `outer`, `inner`: the validation and the training loss, functions `(w, hyper) -> scalar`; full-batch ones, or the
      gradient is that of the batch.
    - `w`: the minimiser of `inner` (a model, a field, any pytree; only floating-point arrays count, complex ones too).
    - `hyper`: what the gradient is taken with respect to, a pytree with any number of floating-point arrays.
    - `linear`: the lineax solver of the system, told that the Hessian is positive semidefinite. Without one, `PCG` to
      1e-8 (float64) or 1e-4. `Neumann(K, scale)`, `scale < 2 / largest_curvature(...)`, is what `K` unrolled steps of
      gradient descent from `w` would give: no promise, but a bias towards smooth directions, like a ridge of
      `1 / (K scale)`. For Hessians that are not definite: `damping`, or `MINRES`.
    - `damping`: added to the Hessian.

    See `minimiser` for the same derivative as a part of larger computations.
    """
    point, back, rest = _unknowns(w)
    changing, fixed = eqx.partition(hyper, eqx.is_inexact_array)

    def loss(fn: Loss, y: PyTree[Array], part: PyTree) -> Array:
        return fn(eqx.combine(back(y), rest), eqx.combine(part, fixed))

    slope = lambda y, part: jax.grad(functools.partial(loss, inner))(y, part)
    value, (right, direct) = jax.value_and_grad(functools.partial(loss, outer), (0, 1))(point, changing)
    now, product = jax.linearize(lambda y: slope(y, changing), point)
    shift = jnp.asarray(damping, v.dtype(point))
    structure = jax.eval_shape(lambda: point)
    operator = lx.FunctionLinearOperator(lambda x: v.axpy(shift, x, product(x)), structure, _TAGS)
    out = lx.linear_solve(operator, right, _default(point) if linear is None else linear, throw=False)
    left, size = v.norm(v.subtract(right, operator.mv(out.value))), v.norm(right)
    indirect = jax.vjp(lambda part: slope(point, part), changing)[1](out.value)[0]
    gradient = jax.tree.map(jnp.subtract, direct, indirect)
    steps = out.stats.get("num_steps")
    return Hypergradient(value, gradient, v.ratio(left, size, size > 0), out.result, steps, v.norm(now))


def minimiser(
    inner: Loss,
    w: PyTree,
    hyper: PyTree,
    linear: lx.AbstractLinearSolver | None = None,
    *,
    damping: float = 0.0,
    accept: float = 1e-2,
) -> PyTree:
    """`w`, with the derivative that it has as the minimiser of `inner(w, hyper)`: `dw = -(d_ww L_T)^-1 d_wl L_T dl`.

    So `jax.grad(lambda hyper: outer(minimiser(inner, w, hyper), hyper))` is `hypergradient`; here `w` may also go
    through more solves, and forward derivatives and batches work. What `inner` closes over counts as `hyper` does; the
    derivative of the `w` handed over does not.

    **Arguments:** as for `hypergradient`; `accept`: derivatives are NaN if the linear system was solved to a larger
    relative residual; 1 takes what a Neumann series of a few terms gives.
    """
    point, back, rest = _unknowns(jax.lax.stop_gradient(eqx.filter(w, eqx.is_array)))
    rest = eqx.combine(rest, eqx.filter(w, eqx.is_array, inverse=True))
    slope = lambda y, hyper: jax.grad(lambda y: inner(eqx.combine(back(y), rest), hyper))(y)
    slope = eqx.filter_closure_convert(slope, point, hyper)
    linear = _default(point) if linear is None else linear
    inputs = (slope, point, hyper, jnp.asarray(damping, v.dtype(point)))
    y, _ = implicit(_given, _stationarity, inputs, linear, accept, _TAGS)
    return eqx.combine(back(y), rest)


@eqx.filter_jit
def largest_curvature(inner: Loss, w: PyTree, hyper: PyTree, steps: int = 30) -> Array:
    """The largest eigenvalue of `d_ww inner`, from below, by the power method: `Neumann(K, 1 / float(...))` converges
    even if it is underestimated by almost a half.
    """
    point, back, rest = _unknowns(w)
    slope = jax.grad(lambda y: inner(eqx.combine(back(y), rest), hyper))
    product = jax.linearize(slope, point)[1]
    leaves, structure = jax.tree.flatten(point)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    draws = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    one = jnp.ones((), v.dtype(point))

    def power(x, _):
        size = v.norm(x)
        x = v.axpy(v.ratio(one, size, size > 0), x, v.zeros(x))
        image = product(x)
        return image, v.dot(x, image)

    return jax.lax.scan(power, jax.tree.unflatten(structure, draws), length=steps)[1][-1]


def _unknowns(w: PyTree) -> tuple[PyTree[Array], Callable[[PyTree[Array]], PyTree], PyTree]:
    """The floating-point arrays of a pytree as real ones, the way back, and everything else."""
    moving, rest = eqx.partition(w, eqx.is_inexact_array)
    return *as_arrays(moving), rest


def _default(point: PyTree[Array]) -> lx.AbstractLinearSolver:
    return PCG(1e-8 if v.dtype(point) == jnp.float64 else 1e-4, max_steps=1000)


def _given(inputs) -> tuple[PyTree[Array], Any]:
    return inputs[1], None


def _stationarity(y: PyTree[Array], rest, inputs) -> PyTree[Array]:
    slope, point, hyper, damping = inputs
    return v.axpy(damping, v.subtract(y, point), slope(y, hyper))
