"""Energies on finite difference axes: a quadrature over the cells between nodes, and its gradient."""

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..grids import Dirichlet, Held, Neumann, Periodic, Robin, Uniform, along
from ._expression import AbstractExpression, Leaf, Product, Sum, evaluate, leaves
from ._function_field import FunctionField
from ._grid_field import GridField, check_nodes, free, sample
from ._symbolic_field import SymbolicField


def has_cells(integrand: SymbolicField, u: GridField) -> bool:
    """Whether the energy of `integrand` at `u` is a sum over cells: `Uniform` axes of order 2, first derivatives.

    Robin ends would add an energy of their own on the boundary.
    """
    uniform = all(isinstance(axis, Uniform) and axis.order == 2 and axis.n >= 4 for axis in u.grid.axes)
    uniform = uniform and not any(isinstance(end, Robin) for axis in u.grid.axes for end in (axis.lower, axis.upper))
    first = all(sum(leaf.orders) <= 1 for leaf in leaves(integrand.expression))
    return uniform and first and u.names == integrand.coordinates


def cell_energy(integrand: SymbolicField, u: GridField) -> Array:
    """`E_h(u)`: the integrand at the corners of the cells between nodes, with the slopes of the edges that meet there.

    Each node carries `2^d` corners, one per choice of a side on every axis. For quadratic integrands this is the
    three-point (flux form) discretisation with arithmetic face means; a convex integrand gives a convex `E_h` without
    spurious null vectors, since no difference skips a node. Half cells at the ends of centred axes take the slope from
    the boundary condition. **Returns** a number.
    """
    values = _imposed(u)
    return _interior(integrand, u, values, _data(integrand, u))


def cell_gradient(integrand: SymbolicField, u: GridField) -> GridField:
    """The gradient of `cell_energy` with respect to the node values over the quadrature weights of the nodes.

    It converges to the Euler-Lagrange expression with second order; times the weights it is an exact gradient, so the
    Hessian is symmetric. At a Neumann end the flux `dL/du_n` of the given slope enters; at ends without a condition on
    the slope the expression is extrapolated from the inner nodes, at `Held` ends it is zero.
    """
    values, data = _imposed(u), _data(integrand, u)

    def tested(v: Array) -> Array:
        # Linear in v around zero: E_h'(u) v minus the boundary integral of dL/du_n v over the Neumann ends.
        return _interior(integrand, u, values + v, data) - _boundary(integrand, u, values, v, data)

    out = jax.grad(tested)(jnp.zeros_like(values))
    for i, axis in enumerate(u.grid.axes):
        out = _without_ends(out / along(jnp.asarray(axis.weights, out.dtype), i + 1, out.ndim), axis, i + 1)
    return GridField(out, free(u.grid))


def _interior(integrand: SymbolicField, u: GridField, values: Array, data: dict[int, Array]) -> Array:
    slopes = [_one_sided(axis, values, i + 1) for i, axis in enumerate(u.grid.axes)]
    total = jnp.zeros((), values.dtype)
    for used, part in _parts(integrand.expression).items():
        # Corners differ in the slopes that a part contains; those of the other axes are one.
        for sides in itertools.product(*((0, 1) if i in used else (None,) for i in range(len(slopes)))):
            chosen = [None if side is None else pair[side] for pair, side in zip(slopes, sides, strict=True)]
            density = _density(part, integrand, values, chosen, data)
            weights = zip(u.grid.axes, sides, strict=True)
            total += _sum(density, [a.weights if side is None else _corner_weights(a)[side] for a, side in weights])
    return total


def _parts(expression: AbstractExpression) -> dict[frozenset[int], AbstractExpression]:
    """Summands of the integrand, added up by the axes along which they contain slopes."""
    parts: dict[frozenset[int], AbstractExpression] = {}
    for term in _terms(expression):
        used = frozenset(leaf.orders.index(1) for leaf in leaves(term) if any(leaf.orders))
        parts[used] = Sum(parts[used], term) if used in parts else term
    return parts


def _terms(node: AbstractExpression) -> list[AbstractExpression]:
    if isinstance(node, Sum):
        return _terms(node.a) + _terms(node.b)
    if isinstance(node, Product):
        a, b = _terms(node.a), _terms(node.b)
        if min(len(a), len(b)) == 1:
            return [Product(x, y) for x in a for y in b]
    return [node]


def _boundary(integrand: SymbolicField, u: GridField, values: Array, v: Array, data: dict[int, Array]) -> Array:
    """`oint L(u, u_n = slope + v)`, whose derivative in `v` is the outward flux; signed by the normal."""
    total = jnp.zeros((), values.dtype)
    for i, upper, side in _ends(u):
        if not isinstance(side, Neumann):
            continue
        end = (slice(None),) * (i + 1) + (slice(-1, None) if upper else slice(0, 1),)
        slopes = [
            tuple(s[end] for s in _one_sided(axis, values, j + 1)) if j != i else None
            for j, axis in enumerate(u.grid.axes)
        ]
        normal = v[end] + _layer(side.slope, v[end], i + 1)
        near = {key: field[end] for key, field in data.items()}
        others = [j for j in range(len(slopes)) if j != i]
        for sides in itertools.product((0, 1), repeat=len(others)):
            chosen = dict(zip(others, sides, strict=True))
            at = [normal if j == i else slopes[j][chosen[j]] for j in range(len(slopes))]
            weights = [np.ones(1) if j == i else _corner_weights(axis)[chosen[j]] for j, axis in enumerate(u.grid.axes)]
            total = total + (1.0 if upper else -1.0) * _sum(
                _density(integrand.expression, integrand, values[end], at, near), weights
            )
    return total


def _density(
    expression: AbstractExpression,
    integrand: SymbolicField,
    values: Array,
    slopes: list[Array | None],
    data: dict[int, Array],
) -> Array:
    """An expression at every node from the unknowns `(channels, *shape)` and one slope per axis; `(*shape)`."""
    number = {id(unknown.fn): c for c, unknown in enumerate(integrand.unknowns)}
    flat = lambda array: array.reshape(array.shape[0], -1)

    def at_node(value, slope, given):
        def leaf(node: Leaf) -> Array:
            source = slope[node.orders.index(1)] if any(node.orders) else value
            return source[number[id(node.fn)]][None]

        constant = lambda x: x.astype(value.dtype)
        return jnp.sum(evaluate(expression, leaf, constant, lambda field: given[id(field)]))

    flattened = (
        flat(values),
        [None if s is None else flat(s) for s in slopes],
        {key: flat(field) for key, field in data.items()},
    )
    return jax.vmap(at_node, in_axes=-1)(*flattened).reshape(values.shape[1:])


def _data(integrand: SymbolicField, u: GridField) -> dict[int, Array]:
    found = {}
    for field in integrand.data():
        if isinstance(field, FunctionField):
            found[id(field)] = sample(field, u.grid, u.dtype).values
        else:
            check_nodes(u.grid, field.grid)
            found[id(field)] = field.values
    return found


def _imposed(u: GridField) -> Array:
    values = u.values
    for i, axis in enumerate(u.grid.axes):
        values = axis.impose(values, i + 1)
    return values


def _one_sided(axis: Uniform, values: Array, i: int) -> tuple[Array, Array]:
    """Differences towards the node before and the node after; beyond an end what its condition says."""
    before = _take(values, i, -1, None) if axis.is_periodic else None
    steps = jnp.diff(values, axis=i, prepend=before) / jnp.asarray(axis.spacing, values.dtype)
    if axis.is_periodic:
        return steps, jnp.roll(steps, -1, axis=i)
    first, last = (_beyond(axis, values, steps, i, upper) for upper in (False, True))
    return jnp.concatenate([first, steps], axis=i), jnp.concatenate([steps, last], axis=i)


def _beyond(axis: Uniform, values: Array, steps: Array, i: int, upper: bool) -> Array:
    side, near = (axis.upper, slice(-1, None)) if upper else (axis.lower, slice(0, 1))
    at = (slice(None),) * i + (near,)
    if axis.centred and isinstance(side, Dirichlet):
        rise = values[at] - _layer(side.value, values[at], i)
        return rise * jnp.asarray((-2.0 if upper else 2.0) / axis.spacing, values.dtype)
    if axis.centred and isinstance(side, Neumann):
        return _layer(side.slope, values[at], i)
    # On closed axes there is no cell: weight zero, any finite slope will do.
    return steps[at]


def _corner_weights(axis: Uniform) -> tuple[np.ndarray, np.ndarray]:
    before, after = np.full(axis.n, axis.spacing / 2), np.full(axis.n, axis.spacing / 2)
    if not (axis.is_periodic or axis.centred):
        before[0] = after[-1] = 0.0
    return before, after


def _ends(u: GridField) -> Iterator[tuple]:
    for i, axis in enumerate(u.grid.axes):
        yield i, False, axis.lower
        yield i, True, axis.upper


def _without_ends(values: Array, axis: Uniform, i: int) -> Array:
    """End nodes where no condition gives the flux: extrapolated, or zero where they are `Held`."""
    inner = values
    for upper, side in ((False, axis.lower), (True, axis.upper)):
        if isinstance(side, Neumann | Periodic) or (axis.centred and isinstance(side, Dirichlet)):
            continue
        inner = _take(inner, i, 0, -1) if upper else _take(inner, i, 1, None)
        one, two = (
            (_take(values, i, -2, -1), _take(values, i, -3, -2))
            if upper
            else (
                _take(values, i, 1, 2),
                _take(values, i, 2, 3),
            )
        )
        end = jnp.zeros_like(one) if isinstance(side, Held) else 2.0 * one - two
        inner = jnp.concatenate([inner, end] if upper else [end, inner], axis=i)
    return inner


def _sum(density: Array, weights: list[np.ndarray]) -> Array:
    for w in reversed(weights):
        density = jnp.matmul(density, jnp.asarray(w, density.dtype), precision="highest")
    return density


def _take(array: Array, i: int, begin: int | None, end: int | None) -> Array:
    return array[(slice(None),) * i + (slice(begin, end),)]


def _layer(value: Array, like: Array, i: int) -> Array:
    """A boundary value as one layer of nodes of the shape of `like`."""
    layer = like.shape[:i] + like.shape[i + 1 :]
    return jnp.expand_dims(jnp.broadcast_to(value.astype(like.dtype), layer), i)
