"""Expressions in functions and their derivatives.

A `FunctionField` is one of these. Differentiation is symbolic down to derivatives of the underlying functions, so that
an equation's residual knows all derivatives it needs before anything is evaluated, and each function is differentiated
once, for all of them together.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._field import AbstractField


class AbstractExpression(eqx.Module):
    """Node of an expression over the coordinates."""

    @abc.abstractmethod
    def children(self) -> tuple["AbstractExpression", ...]:
        """Subexpressions."""

    @abc.abstractmethod
    def evaluate(self, *children: Any) -> Any:
        """Value from the values of the children (arrays, or fields)."""

    @abc.abstractmethod
    def partial(self, of: Callable) -> "AbstractExpression | None":
        """Derivative, where `of(child)` is the derivative of a child; `None` stands for zero."""

    def scaled(self, factor: float) -> "AbstractExpression":
        """This expression times a number."""
        return Product(Constant(jnp.asarray(factor)), self)


class Leaf(AbstractExpression):
    """A derivative of a function: `fn` differentiated `orders[i]` times along coordinate `i`."""

    fn: Callable
    orders: tuple[int, ...] = eqx.field(static=True)

    def children(self):
        return ()

    def evaluate(self, *children):
        raise ValueError("a leaf is evaluated from its function, not from children.")

    def partial(self, of):
        raise ValueError("a leaf is differentiated by raising its orders.")

    def raised(self, axis: int, by: int) -> "Leaf":
        """The leaf differentiated further along one coordinate."""
        return Leaf(self.fn, tuple(o + by * (i == axis) for i, o in enumerate(self.orders)))


class Constant(AbstractExpression):
    """A number."""

    value: Array

    def children(self):
        return ()

    def evaluate(self):
        return self.value

    def partial(self, of):
        return None


class Given(AbstractExpression):
    """A field of data; `names` are the coordinates of the expression it stands in."""

    field: AbstractField
    names: tuple[str, ...] = eqx.field(static=True)

    def children(self):
        return ()

    def evaluate(self, *children):
        return self.field

    def partial(self, of):
        return None


class Sum(AbstractExpression):
    """`a + b`."""

    a: AbstractExpression
    b: AbstractExpression

    def children(self):
        return self.a, self.b

    def evaluate(self, a, b):
        a, b = _alike(a, b)
        return a + b

    def partial(self, of):
        return add(of(self.a), of(self.b))


class Product(AbstractExpression):
    """`a * b`."""

    a: AbstractExpression
    b: AbstractExpression

    def children(self):
        return self.a, self.b

    def evaluate(self, a, b):
        a, b = _alike(a, b)
        return a * b

    def partial(self, of):
        return add(times(of(self.a), self.b), times(self.a, of(self.b)))


class Unary(AbstractExpression):
    """`fn(a)` point by point; `parity` is kept for grids with sine axes."""

    fn: Callable = eqx.field(static=True)
    a: AbstractExpression
    parity: str | None = eqx.field(static=True)

    def children(self):
        return (self.a,)

    def evaluate(self, a):
        return self.fn(a) if isinstance(a, jax.Array) else a.map(self.fn, self.parity)

    def partial(self, of):
        inner = of(self.a)
        opposite = {"odd": "even", "even": "odd", None: None}[self.parity]
        return None if inner is None else Product(Unary(Slope(self.fn), self.a, opposite), inner)


class Linear(AbstractExpression):
    """`fn(a)` for a real-linear `fn` (conjugate, real or imaginary part), which commutes with derivatives along real
    coordinates.
    """

    fn: Callable = eqx.field(static=True)
    a: AbstractExpression

    def children(self):
        return (self.a,)

    def evaluate(self, a):
        if isinstance(a, jax.Array):
            return self.fn(a)
        return {jnp.conj: a.conj, jnp.real: lambda: a.real, jnp.imag: lambda: a.imag}[self.fn]()

    def partial(self, of):
        inner = of(self.a)
        return None if inner is None else Linear(self.fn, inner)


class Slope:
    """Derivative of a scalar function as a function that compares equal for equal functions (a hashable tree label)."""

    def __init__(self, fn: Callable):
        self.fn = fn

    def __call__(self, value: Array) -> Array:
        return jax.jvp(self.fn, (value,), (jnp.ones_like(value),))[1]

    def __eq__(self, other):
        return isinstance(other, Slope) and other.fn == self.fn

    def __hash__(self):
        return hash((Slope, self.fn))


class Power:
    """`v ** exponent` as a hashable function."""

    def __init__(self, exponent: float | Array):
        self.exponent = exponent

    def __call__(self, value: Array) -> Array:
        known = isinstance(self.exponent, int | float)
        return value ** (self.exponent if known else jnp.asarray(self.exponent).astype(value.dtype))

    def __eq__(self, other):
        return isinstance(other, Power) and self._key == other._key

    def __hash__(self):
        return hash((Power, self._key))

    @property
    def _key(self):
        # Arrays have no hash: an exponent that is one stands for itself.
        return self.exponent if isinstance(self.exponent, int | float) else id(self.exponent)


class Channel(AbstractExpression):
    """One channel, kept as a channel axis of length one."""

    a: AbstractExpression
    index: int = eqx.field(static=True)

    def children(self):
        return (self.a,)

    def evaluate(self, a):
        return a[self.index : self.index + 1] if isinstance(a, jax.Array) else a[self.index]

    def partial(self, of):
        inner = of(self.a)
        return None if inner is None else channel(inner, self.index)


class Stack(AbstractExpression):
    """Channels joined: `sizes[i]` of them from each part; a part that is `None` is zero."""

    parts: tuple[AbstractExpression | None, ...]
    sizes: tuple[int, ...] = eqx.field(static=True)

    def children(self):
        return tuple(part for part in self.parts if part is not None)

    def evaluate(self, *values):
        rest = iter(values)
        full = [None if part is None else next(rest) for part in self.parts]
        fields = [v for v in full if v is not None and not isinstance(v, jax.Array)]
        if not fields:
            dtype = next(v.dtype for v in full if v is not None)
            pairs = zip(full, self.sizes, strict=True)
            return jnp.concatenate([jnp.broadcast_to(jnp.zeros((), dtype) if v is None else v, (n,)) for v, n in pairs])
        zero = 0.0 * fields[0]
        whole = [zero if v is None else (zero + v if isinstance(v, jax.Array) else v) for v in full]
        return whole[0].join(whole[1:])

    def partial(self, of):
        inner = tuple(None if part is None else of(part) for part in self.parts)
        return None if all(part is None for part in inner) else Stack(inner, self.sizes)


def channel(node: AbstractExpression, index: int) -> AbstractExpression | None:
    """One channel, looked up in the part of a stack that holds it."""
    if isinstance(node, Stack):
        for part, size in zip(node.parts, node.sizes, strict=True):
            if index < size:
                return part if size == 1 or part is None else Channel(part, index)
            index -= size
    return Channel(node, index)


def add(a: AbstractExpression | None, b: AbstractExpression | None) -> AbstractExpression | None:
    """Sum in which `None` is zero."""
    if a is None or b is None:
        return b if a is None else a
    return Sum(a, b)


def times(a: AbstractExpression | None, b: AbstractExpression | None) -> AbstractExpression | None:
    """Product in which `None` is zero."""
    return None if a is None or b is None else Product(a, b)


def differentiate(node: AbstractExpression, axis: int, order: int) -> AbstractExpression | None:
    """Derivative along a coordinate, by the rules of calculus down to the leaves."""
    if isinstance(node, Leaf):
        return node.raised(axis, order)
    if isinstance(node, Given):
        if node.names[axis] not in node.field.names:
            return None
        return Given(node.field.derivative(node.names[axis], order), node.names)
    once = node.partial(lambda child: differentiate(child, axis, 1))
    return once if order == 1 or once is None else differentiate(once, axis, order - 1)


def variation(node: AbstractExpression, leaf: Leaf) -> AbstractExpression | None:
    """Partial derivative with respect to a leaf (same function, same orders)."""
    if isinstance(node, Leaf):
        same = node.fn is leaf.fn and node.orders == leaf.orders
        return Constant(jnp.ones(())) if same else None
    return node.partial(lambda child: variation(child, leaf))


def nodes(node: AbstractExpression) -> list[AbstractExpression]:
    """The expression and all subexpressions, each object once."""
    found: dict[int, AbstractExpression] = {}

    def visit(n):
        if id(n) not in found:
            found[id(n)] = n
            for child in n.children():
                visit(child)

    visit(node)
    return list(found.values())


def leaves(node: AbstractExpression) -> list[Leaf]:
    """All leaves, each once."""
    found: dict[tuple, Leaf] = {}
    for n in nodes(node):
        if isinstance(n, Leaf):
            found.setdefault((id(n.fn), n.orders), n)
    return list(found.values())


def evaluate(
    node: AbstractExpression, leaf: Callable, constant: Callable, given: Callable = lambda field: field
) -> Any:
    """Value of an expression from the values of its leaves, numbers and data; each node object is evaluated once."""
    done: dict[int, Any] = {}

    def value(n):
        match n:
            case Leaf():
                return leaf(n)
            case Constant():
                return constant(n.value)
            case Given():
                return given(n.field)
        return n.evaluate(*map(visit, n.children()))

    def visit(n):
        if id(n) not in done:
            done[id(n)] = value(n)
        return done[id(n)]

    return visit(node)


def _alike(a, b):
    """A real array beside a complex one becomes complex: strict promotion would refuse the pair."""
    if not (isinstance(a, jax.Array) and isinstance(b, jax.Array)) or jnp.iscomplexobj(a) == jnp.iscomplexobj(b):
        return a, b
    widest = np.result_type(a.dtype, b.dtype, np.complex64)
    return a.astype(widest), b.astype(widest)
