import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..solvers import ImplicitAdjoint
from ..solvers._fixed_point import as_arrays
from ..solvers._implicit import default_linear
from ..solvers.linear import _vectors as v
from ._fixed_point import FixedPoint
from ._jacobian_penalty import gain, linearised, noise


class Diagnosis(eqx.Module):
    """What `diagnose` returns, in arrays; printed in words. Under `vmap` every number has the axes of the batch.

    - `residual`: `||body(z) - z|| / ||body(z)||` at the point returned; `iterations`; `converged`.
    - `spectral_radius` of the Jacobian there: below 1 plain iteration converges locally, at this rate.
    - `frobenius`: `||J||_F / sqrt(n)`, the root mean square of its singular values.
    - `adjoint_residual`: `||(I - J)^T w - g|| / ||g||` of what the backward pass makes of a random cotangent `g`;
      `adjoint_steps`: products it took, `None` for adjoints that do not solve the system; `gradient_ok`: whether the
      gradient will be finite.
    """

    residual: Array
    iterations: Array
    converged: Array
    spectral_radius: Array
    frobenius: Array
    adjoint_residual: Array
    adjoint_steps: Array | None
    gradient_ok: Array

    @property
    def unconverged(self) -> Array:
        """The fraction of a batch that has not converged."""
        return 1 - jnp.mean(self.converged)

    def __repr__(self) -> str:
        if not all(
            isinstance(a, jax.Array | np.ndarray) and not isinstance(a, jax.core.Tracer) for a in _numbers(self)
        ):
            return eqx.tree_pformat(self)
        count, radius = self.converged.size, self.spectral_radius
        rate = f"spectral radius {jnp.max(radius):.3g}" + (f" at most, {jnp.mean(radius):.3g} on average" * (count > 1))
        worst = "" if jnp.max(radius) < 1 else ": plain iteration would diverge"
        steps = "" if self.adjoint_steps is None else f" after {_spread(self.adjoint_steps)} products"
        bad = count - int(jnp.sum(self.gradient_ok))
        return (
            f"{count} fixed point{'s' * (count > 1)}: {count - int(jnp.sum(self.converged))} not converged "
            f"({100 * self.unconverged:.3g} %), {_spread(self.iterations)} iterations, relative residual "
            f"{jnp.max(self.residual):.2g}\n"
            f"Jacobian: {rate}{worst}; root mean square singular value {jnp.sqrt(jnp.mean(self.frobenius**2)):.3g}\n"
            f"backward: relative residual {jnp.max(self.adjoint_residual):.2g}{steps}"
            + (f"; {bad} gradient{'s' * (bad > 1)} will be NaN" if bad else "")
        )


@eqx.filter_jit
def diagnose(
    layer: FixedPoint, x: PyTree, z0: PyTree, *, key: PRNGKeyArray, iterations: int = 100, samples: int = 4
) -> Diagnosis:
    """How an implicit layer does on a sample: forward solve, Jacobian at the fixed point, backward solve.

    The spectral radius is the mean growth over the second half of a power iteration (complex pairs do no harm), right
    to a few per cent; the Frobenius norm is Hutchinson's estimate. For a batch: `jax.vmap(lambda x, z0: diagnose(layer,
    x, z0, key=key))(xs, z0s)`. Dropout is switched off.

    **Arguments:** `iterations` of the power method, at least 2; `samples` for the Frobenius norm.
    """
    layer = eqx.nn.inference_mode(layer)
    solution = layer.solve(x, z0)
    point, product = linearised(layer.body, solution.value, x)
    start, probe, cotangent = jax.random.split(key, 3)
    gains = jax.vmap(lambda k: gain(product, point, k))(jax.random.split(probe, samples))
    residual, steps, accept = _backward(layer, x, z0, point, product, noise(jax.random.normal, point, cotangent))
    return Diagnosis(
        residual=solution.error,
        iterations=solution.stats["num_steps"],
        converged=solution.ok,
        spectral_radius=_growth(product, noise(jax.random.normal, point, start), iterations),
        frobenius=jnp.sqrt(jnp.mean(gains)),
        adjoint_residual=residual,
        adjoint_steps=steps,
        gradient_ok=residual <= accept,
    )


def _growth(product, vector: PyTree[Array], iterations: int) -> Array:
    def power(vector, _):
        size = v.norm(vector)
        inverse = 1 / jnp.where(size > 0, size, 1)
        image = product(v.axpy(inverse, vector, v.zeros(vector)))
        return image, jnp.log(v.norm(image))

    _, growth = jax.lax.scan(power, vector, length=iterations)
    return jnp.exp(jnp.mean(growth[iterations // 2 :]))


class _Shifted(eqx.Module):
    """The body with a constant added, whose gradient is that of the fixed point with respect to the residual."""

    body: eqx.Module
    shift: PyTree[Array]

    def __call__(self, z: PyTree, x: PyTree) -> PyTree:
        arrays, wrap = as_arrays(self.body(z, x))
        return wrap(jax.tree.map(jnp.add, arrays, self.shift))


def _backward(layer: FixedPoint, x, z0, point, product, g: PyTree[Array]) -> tuple[Array, Array | None, float]:
    """The relative residual of the layer's adjoint for the cotangent `g`, its products, and what it accepts."""
    transposed = jax.linear_transpose(product, point)
    apply = lambda w: v.subtract(w, transposed(w)[0])
    if isinstance(layer.adjoint, ImplicitAdjoint):
        linear = layer.adjoint.linear
        linear = default_linear(v.dtype(point)) if linear is None else linear
        operator = lx.FunctionLinearOperator(apply, jax.eval_shape(lambda: point))
        out = lx.linear_solve(operator, g, linear, throw=False)
        w, accept = out.value, layer.adjoint.accept
        steps = out.stats.get("num_matvecs", out.stats.get("num_steps"))
    else:
        solve = lambda c: as_arrays(FixedPoint(_Shifted(layer.body, c), *_rest(layer))(x, z0))[0]
        w, steps, accept = jax.vjp(solve, v.zeros(point))[1](g)[0], None, jnp.inf
    return v.norm(v.subtract(apply(w), g)) / v.norm(g), steps, accept


def _rest(layer: FixedPoint) -> tuple:
    return layer.solver, layer.adjoint, layer.max_steps


def _numbers(diagnosis: Diagnosis) -> list:
    return jax.tree.leaves(diagnosis)


def _spread(counts: Array) -> str:
    return f"{jnp.max(counts)}" if counts.size == 1 else f"{jnp.mean(counts):.3g} (at most {jnp.max(counts)})"
