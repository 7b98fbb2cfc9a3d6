"""The functions of exponential integrators: `phi_0(z) = e^z`, `phi_{k+1}(z) = (phi_k(z) - 1/k!) / z`."""

import importlib
from functools import cache
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

# A combination of phi functions: the sum of `weight * phi_k(c z)` over triples `(weight, k, c)`.
Combination = tuple[tuple[float, int, float], ...]

_TERMS = 20  # of the Taylor series on the unit disc: 1/20! is below rounding


def phis(z: np.ndarray | Array, highest: int) -> list[np.ndarray | Array]:
    """`[phi_0(z), ..., phi_highest(z)]` number by number, in the precision of `z` (NumPy or JAX).

    Outside the unit disc by the definition, which is stable upwards there; inside by the Taylor series of the highest
    and the definition downwards.
    """
    xp = np if isinstance(z, np.ndarray) else jnp
    small = xp.abs(z) < 1
    one = xp.ones_like(z)
    outer, inner = xp.where(small, one, z), xp.where(small, z, 0 * one)
    up = [xp.exp(outer)]
    for k in range(highest):
        up.append((up[k] - 1 / factorial(k)) / outer)
    series = one * (1 / factorial(highest + _TERMS))
    for j in reversed(range(_TERMS)):
        series = series * inner + 1 / factorial(highest + j)
    down = [series]
    for k in reversed(range(highest)):
        down.append(down[-1] * inner + 1 / factorial(k))
    return [xp.where(small, a, b) for a, b in zip(reversed(down), up, strict=True)]


def matrix_phis(a: np.ndarray | Array, highest: int) -> list[np.ndarray | Array]:
    """`[phi_0(A), ..., phi_highest(A)]` of square matrices `(..., n, n)`, from one exponential of an augmented matrix
    (Al-Mohy & Higham 2011, theorem 2.1).
    """
    xp, expm = (np, _expm) if isinstance(a, np.ndarray) else (jnp, jax.scipy.linalg.expm)
    n = a.shape[-1]
    zero, eye = xp.zeros_like(a), xp.broadcast_to(xp.eye(n, dtype=a.dtype), a.shape)
    rows = [xp.concatenate([a, *(eye if j == 0 else zero for j in range(highest))], axis=-1)]
    for i in range(highest):
        rows.append(xp.concatenate([zero, *(eye if j == i + 1 else zero for j in range(highest))], axis=-1))
    top = expm(xp.concatenate(rows, axis=-2))[..., :n, :]
    return [top[..., j * n : (j + 1) * n] for j in range(highest + 1)]


def _expm(a: np.ndarray) -> np.ndarray:
    # Loaded on first use: scipy.linalg takes as long to import as all of pdejax, and few equations come here.
    return importlib.import_module("scipy.linalg").expm(a)


def combine(combinations: dict[str, Combination], z, functions) -> dict[str, np.ndarray | Array]:
    """Evaluate combinations at `z`, each `phi_k(c z)` once; `functions` is `phis` or `matrix_phis`."""
    top: dict[float, int] = {}
    for combination in combinations.values():
        for _, k, c in combination:
            top[c] = max(top.get(c, 0), k)
    known = {c: functions(z * c, k) for c, k in top.items()}
    return {
        name: sum(weight * known[c][k] for weight, k, c in combination) for name, combination in combinations.items()
    }


@cache
def adams_weights(order: int) -> tuple[Combination, ...]:
    """Weights of `N_n, N_{n-1}, ...` in the exponential Adams-Bashforth step of that order.

    The polynomial through the values at `0, -1, ..., 1 - order` (in steps) is integrated against `exp((1 - s) z)`:
    `s^k` gives `k! phi_{k+1}(z)` (Hochbruck & Ostermann 2010, section 2.5).
    """
    nodes = -np.arange(order, dtype=float)
    powers = np.linalg.inv(np.vander(nodes, increasing=True))
    return tuple(
        tuple((float(factorial(k) * powers[k, j]), k + 1, 1.0) for k in range(order) if abs(powers[k, j]) > 1e-14)
        for j in range(order)
    )
