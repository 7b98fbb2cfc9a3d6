from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import (
    AbstractExpression,
    AbstractExpressionField,
    Constant,
    Eigenbasis,
    GridField,
    Leaf,
    Product,
    Sum,
    stack,
)
from ..grids import scale


def inverse_laplacian(f, shift=0.0):
    """Field `u` with `laplacian(u) - shift u = f` and the homogeneous conditions of the grid, channel by channel.

    `shift` is a number, zero or positive (inverse length squared). Where constants are in the null space (all axes
    periodic or Neumann, no shift), the mean of `f` is dropped and `u` has mean zero. One forward and one backward
    transform (fast diagonalisation on `Uniform` and `Chebyshev` axes, Lynch, Rice & Thomas 1964).

    A function field has no domain to solve on, but one that was written as `laplacian(u)`, or with a shift as
    `laplacian(u) - shift * u` (or a multiple of it), gives back its `u`.

    **Raises** `ValueError` if a nodal axis has a `Free` end, `TypeError` for other function fields.
    """
    if not isinstance(f, GridField):
        found = _unlaplacian(f.expression, _space_axes(f), shift)
        if found is None:
            raise TypeError(
                "the Laplacian of a function can be inverted if the function was written as laplacian(psi), or as "
                "laplacian(psi) - shift * psi with the number used here; write it so, or write "
                "inverse_laplacian(sample(f, grid))."
            )
        return f.rebuilt(found)
    return multiplied(f, lambda eigenvalues: reciprocal(eigenvalues, shift))


def multiplied(f: GridField, symbol: Callable[[np.ndarray], np.ndarray | Array]) -> GridField:
    """A function of the Laplacian applied to a field: each mode times `symbol(eigenvalue)`."""
    if f._flips:
        return stack([multiplied(f[i], symbol) for i in range(f.channels)])
    basis = Eigenbasis(f.grid)
    factor = symbol(basis.laplacian(f.is_real))
    return basis.backward(scale(basis.forward(f), factor[None]), f.is_real)


def vanishing(eigenvalues: np.ndarray) -> np.ndarray:
    """Which eigenvalues of the Laplacian are zero to rounding."""
    return np.abs(eigenvalues) <= 1e-12 * np.abs(eigenvalues).max()


def reciprocal(eigenvalues: np.ndarray, shift=0.0) -> np.ndarray | Array:
    """`1 / (eigenvalues - shift)`, zero where the denominator vanishes."""
    if isinstance(shift, jax.Array):
        return 1 / (jnp.asarray(eigenvalues, shift.dtype) - shift)
    singular = vanishing(eigenvalues - shift)
    return np.where(singular, 0.0, 1 / np.where(singular, 1.0, eigenvalues - shift))


def _space_axes(f: AbstractExpressionField) -> list[int]:
    return [i for i, name in enumerate(f.coordinates) if name != "t"]


def _unlaplacian(node: AbstractExpression, axes: list[int], shift) -> AbstractExpression | None:
    match node:
        case Product(a=Constant(), b=inner) | Product(a=inner, b=Constant()):
            factor = node.a if isinstance(node.a, Constant) else node.b
            found = _unlaplacian(inner, axes, shift)
            return None if found is None else Product(factor, found)
    terms = _terms(node)
    second = [term for term in terms if isinstance(term, Leaf)]
    if len(second) != len(axes) or not all(term.fn is second[0].fn for term in second):
        return None
    # Second derivatives of one function along each space axis: lower each and see that the same function is left.
    left = {
        tuple(o - 2 * (i == axis) for i, o in enumerate(term.orders)) for term, axis in zip(second, axes, strict=True)
    }
    orders = left.pop()
    if left or min(orders) < 0:
        return None
    found = Leaf(second[0].fn, orders)
    return found if _cancels([term for term in terms if not isinstance(term, Leaf)], found, shift) else None


def _cancels(terms: list[AbstractExpression], leaf: Leaf, shift) -> bool:
    """Whether the terms add up to `-shift` times the leaf, as far as is known now."""
    factors = [shift]
    for term in terms:
        match term:
            case (
                Product(a=Constant(value=factor), b=Leaf() as other)
                | Product(a=Leaf() as other, b=Constant(value=factor))
            ) if other.fn is leaf.fn and other.orders == leaf.orders:
                factors.append(factor)
            case _:
                return False
    if any(isinstance(factor, jax.core.Tracer) for factor in factors):
        return False
    numbers = [float(factor) for factor in factors]
    return abs(sum(numbers)) <= 1e-6 * abs(numbers[0])


def _terms(node):
    return [*_terms(node.a), *_terms(node.b)] if isinstance(node, Sum) else [node]
