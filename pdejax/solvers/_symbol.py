from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import Eigenbasis


class NotDiagonal(ValueError):
    """The operator couples modes of the grid's basis."""


class OtherParity(NotDiagonal):
    """The operator turns sines into cosines."""


_COUPLED: dict = {}  # Whether channels couple, for each structure of equation whose parameters are traced.


def read_symbol(
    operator: eqx.Module, apply: Callable, basis: Eigenbasis, channels: int, real: bool
) -> np.ndarray | Array:
    """Symbol `S` of a linear operator that is diagonal in the modes of a grid: `(L c)_i,k = sum_j S_ij,k c_j,k`.

    The operator is applied to unit coefficients of each channel, and to random fields to check that it is linear and
    diagonal; `apply(operator, field)` applies it. Parameters known now are taken in float64; traced ones (in a gradient
    with respect to a viscosity) stay traced and are not checked.

    **Returns** `(channels, channels, *modes)`, complex128 or float64 (or the traced precision).

    **Raises** `ValueError` if the operator is not linear, `NotDiagonal` if it couples modes.
    """
    if is_traced((operator, basis)):
        # In the default precision, whatever mixture the leaves have.
        operator, basis = jax.tree.map(_default_precision, (operator, basis))
        return _units(operator, apply, basis, channels, real, np.ones(()))
    generator = np.random.default_rng(0)
    with jax.core.eval_context(), jax.enable_x64(True):
        operator, basis = in_float64((operator, basis))
        random = [_random_values(generator, basis, channels, real) for _ in range(2)]
        probed = _probe(operator, apply, basis, channels, real, random, np.ones(()))
        symbol, modes, images = jax.tree.map(np.asarray, probed)
    _check(type(operator).__name__, basis, symbol, modes, images)
    return symbol


def is_coupled(symbol, operator, apply: Callable, basis: Eigenbasis, channels: int, real: bool) -> bool:
    """Whether a symbol couples channels. One of traced parameters is looked at with random positive stand-ins.

    **Raises** `NotDiagonal` if the stand-in operator couples modes.
    """
    if not isinstance(symbol, np.ndarray):
        leaves, structure = jax.tree.flatten((operator, basis))
        key = (structure, tuple(getattr(x, "shape", ()) for x in leaves), channels, real)
        if key not in _COUPLED:
            symbol = read_symbol(stand_in(operator), apply, stand_in(basis), channels, real)
            _COUPLED[key] = is_coupled(symbol, operator, apply, basis, channels, real)
        return _COUPLED[key]
    return any(np.any(symbol[i, j]) for i in range(channels) for j in range(channels) if i != j)


def dense_matrix(
    operator: eqx.Module, apply: Callable, basis: Eigenbasis, channels: int, real: bool, reason: NotDiagonal
) -> np.ndarray | Array:
    """Matrix of a linear operator over all modes of all channels, column by column; float64 where parameters are known.

    **Raises** `ValueError` (from `reason`) if the operator changes the parity of fields.
    """
    if isinstance(reason, OtherParity):
        raise ValueError(
            f"the linear part of {type(operator).__name__} has no exponential here: {reason} Use Fourier axes (or "
            "Sine/Cosine for even derivatives), move the term to nonlinear(u, t), or write solvers.RK4(dt)."
        ) from None
    if is_traced((operator, basis)):
        operator, basis = jax.tree.map(_default_precision, (operator, basis))
        return _columns(operator, apply, basis, channels, real)
    with jax.core.eval_context(), jax.enable_x64(True):
        operator, basis = in_float64((operator, basis))
        return np.asarray(_columns(operator, apply, basis, channels, real))


def stand_in(tree):
    """The tree with random positive numbers for leaves known only to a transformation."""
    generator = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: generator.uniform(0.5, 1.5, x.shape).astype(x.dtype) if isinstance(x, jax.core.Tracer) else x, tree
    )


def is_traced(tree) -> bool:
    """Whether a leaf is known only to a transformation."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def in_float64(tree):
    """The tree with its floating-point leaves in float64 (needs x64 to be on)."""
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x, _wide(x))) if eqx.is_inexact_array(x) else x, tree)


def _random_values(generator: np.random.Generator, basis: Eigenbasis, channels: int, real: bool) -> np.ndarray:
    values = generator.standard_normal((channels, *basis.grid.shape))
    return values if real else values + 1j * generator.standard_normal(values.shape)


@eqx.filter_jit
def _probe(operator, apply, basis: Eigenbasis, channels: int, real: bool, random: list, one):
    """The symbol, and modes and images of two random fields and the image of their sum, in one compilation."""
    # Random node values satisfy the homogeneous conditions once they are modes.
    a, b = (basis.from_values(jnp.asarray(values)).reshape(channels, *basis.shape(real)) for values in random)
    images = [_apply(operator, apply, f, basis, real) for f in (a, b, a + b)]
    return _units(operator, apply, basis, channels, real, one), a, images


@eqx.filter_jit
def _units(operator, apply, basis: Eigenbasis, channels: int, real: bool, one) -> Array:
    # `one` is an argument because XLA would work out transforms of a constant while it compiles, a minute at 129^3.
    columns = []
    for j in range(channels):
        unit = jnp.zeros((channels, *basis.shape(real)), basis.dtype(real))
        unit = unit.at[j].set(jnp.asarray(one).astype(unit.dtype))
        columns.append(_apply(operator, apply, unit, basis, real))
    return jnp.stack(columns, axis=1)


@eqx.filter_jit
def _columns(operator, apply, basis: Eigenbasis, channels: int, real: bool) -> Array:
    shape = (channels, *basis.shape(real))
    units = jnp.eye(int(np.prod(shape)), dtype=basis.dtype(real)).reshape(-1, *shape)
    images = jax.vmap(lambda unit: _apply(operator, apply, unit, basis, real).reshape(-1))(units)
    return images.T


@eqx.filter_jit
def _apply(operator, apply, modal: Array, basis: Eigenbasis, real: bool) -> Array:
    out = apply(operator, basis.backward(modal, real))
    if out._flips or out.grid.parity_flips(basis.grid):
        raise OtherParity(f"it turns fields on {basis.grid} into fields of another parity.")
    return basis.forward(out)


def _check(name: str, basis: Eigenbasis, symbol: np.ndarray, modes: np.ndarray, images: list[np.ndarray]) -> None:
    image, other, both = images
    size = max(np.abs(image).max(), np.abs(other).max(), 1e-300)
    defect = np.abs(image + other - both).max() / size
    if defect > 1e-8:
        raise ValueError(
            f"the linear part of {name} is not linear: L(a + b) differs from L(a) + L(b) by {defect:.1e} (relative); "
            "move the nonlinear terms to nonlinear(u, t)."
        )
    if np.abs(np.einsum("ij...,j...->i...", symbol, modes) - image).max() > 1e-8 * size:
        raise NotDiagonal(f"it couples modes of {basis.grid}.")


def _default_precision(x):
    if not eqx.is_inexact_array(x):
        return x
    return x.astype(jnp.result_type(complex if jnp.iscomplexobj(x) else float))


def _wide(x):
    return np.complex128 if jnp.iscomplexobj(x) else np.float64
