import numpy as np

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


def inverse_laplacian(f):
    """Field `u` with `laplacian(u) = f` and the homogeneous conditions of the grid, channel by channel.

    Where constants are in the null space (all axes periodic or Neumann), the mean of `f` is dropped and `u` has mean
    zero. One forward and one backward transform (fast diagonalisation on `Uniform` and `Chebyshev` axes, Lynch, Rice &
    Thomas 1964).

    A function field has no domain to solve on, but one that was written as `laplacian(u)` (or a multiple of it) gives
    back its `u`.

    **Raises** `ValueError` if a nodal axis has a `Free` end, `TypeError` for other function fields.
    """
    if not isinstance(f, GridField):
        found = _unlaplacian(f.expression, _space_axes(f))
        if found is None:
            raise TypeError(
                "the Laplacian of a function can be inverted if the function was written as laplacian(psi); write it "
                "so, or write inverse_laplacian(sample(f, grid))."
            )
        return f.rebuilt(found)
    if f._flips:
        return stack([inverse_laplacian(f[i]) for i in range(f.channels)])
    basis = Eigenbasis(f.grid)
    eigenvalues = basis.laplacian(f.is_real)
    singular = np.abs(eigenvalues) <= 1e-12 * np.abs(eigenvalues).max()
    inverse = np.where(singular, 0.0, 1 / np.where(singular, 1.0, eigenvalues))
    return basis.backward(scale(basis.forward(f), inverse[None]), f.is_real)


def _space_axes(f: AbstractExpressionField) -> list[int]:
    return [i for i, name in enumerate(f.coordinates) if name != "t"]


def _unlaplacian(node: AbstractExpression, axes: list[int]) -> AbstractExpression | None:
    match node:
        case Product(a=Constant(), b=inner) | Product(a=inner, b=Constant()):
            factor = node.a if isinstance(node.a, Constant) else node.b
            found = _unlaplacian(inner, axes)
            return None if found is None else Product(factor, found)
    terms = _terms(node)
    if len(terms) != len(axes) or not all(isinstance(term, Leaf) and term.fn is terms[0].fn for term in terms):
        return None
    # Second derivatives of one function along each space axis: lower each and see that the same function is left.
    left = {
        tuple(o - 2 * (i == axis) for i, o in enumerate(term.orders)) for term, axis in zip(terms, axes, strict=True)
    }
    orders = left.pop()
    return None if left or min(orders) < 0 else Leaf(terms[0].fn, orders)


def _terms(node):
    return [*_terms(node.a), *_terms(node.b)] if isinstance(node, Sum) else [node]
