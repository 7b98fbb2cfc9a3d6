from collections.abc import Callable
from functools import cache
from typing import Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import AbstractAxis, along, check_axis, given_ends
from ._boundary import AbstractBoundary, Dirichlet, Free, Held, Neumann, Periodic, Robin
from ._stencil import convolve, finite_difference_weights, near_end, take
from ._trigonometric import _refined_size


class Uniform(AbstractAxis):
    """Equispaced axis with finite differences of order 2, 4 or 6; closed unless periodic or centred.

    `lower` and `upper` are conditions at the two ends: `Dirichlet(value)` sets the end node before differencing,
    `Neumann(slope)` enters the stencils near the end, as does the slope that `Robin(alpha, value)` makes of the value
    there, `Periodic()` (at both ends) wraps and drops the right end node, `Free()` differences one-sided. At order 2 a
    Neumann or Robin end uses the reflected (symmetric) stencil, whose own truncation error is first order at that node
    while solutions stay second order; orders 4 and 6 use one-sided stencils that contain the slope. The "coefficients"
    of this axis are the values themselves.

    With `centred=True` the nodes are the centres of `n` equal cells and the conditions hold at the outer faces, half a
    spacing beyond the last nodes (as on `Sine` and `Cosine` axes); finite volumes need such an axis unless it is
    periodic. Stencils near the ends contain the condition; at order 2 the second derivative reflects the values
    (`2 value - u`, `u - slope spacing`), which is symmetric, inexact at the end nodes, and second order in solutions.

    **Raises** `ValueError` for fewer than two nodes, unknown orders, or `Periodic` at one end only.
    """

    n: int = eqx.field(static=True)
    length: float = eqx.field(static=True, converter=float, default=1.0)
    start: float = eqx.field(static=True, converter=float, default=0.0)
    lower: AbstractBoundary = Free()
    upper: AbstractBoundary = Free()
    order: int = eqx.field(static=True, default=2)
    centred: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_axis("Uniform", self.n, self.length, 1.0, 2)
        if self.order not in (2, 4, 6):
            raise ValueError(f"Uniform has stencils of order 2, 4 and 6, got order={self.order!r}; write order=2.")
        if isinstance(self.lower, Periodic) != isinstance(self.upper, Periodic):
            raise ValueError(
                f"a periodic axis is periodic at both ends, got lower={type(self.lower).__name__}(), "
                f"upper={type(self.upper).__name__}(); write lower=Periodic(), upper=Periodic()."
            )

    @property
    def dealias(self) -> float:
        """Nodal axes do not dealias."""
        return 1.0

    @property
    def is_periodic(self) -> bool:
        """Whether the ends are identified."""
        return isinstance(self.lower, Periodic)

    @property
    def is_spectral(self) -> bool:
        return False

    @property
    def known_ends(self) -> tuple[tuple[int, Dirichlet], ...]:
        return () if self.centred else given_ends(self.n, self.lower, self.upper)

    @property
    def spacing(self) -> float:
        """Distance between nodes."""
        return self.length / (self.n if self.is_periodic or self.centred else self.n - 1)

    @property
    def points(self) -> np.ndarray:
        return self.start + self.spacing * (np.arange(self.n) + 0.5 * self.centred)

    @property
    def weights(self) -> np.ndarray:
        w = np.full(self.n, self.spacing)
        if not (self.is_periodic or self.centred):
            w[[0, -1]] /= 2
        return w

    @property
    def modes(self) -> np.ndarray:
        return np.arange(self.n)

    def forward(self, values: Array, axis: int) -> Array:
        return values

    def backward(self, coefficients: Array, axis: int) -> Array:
        return coefficients

    def low_pass(self, coefficients: Array, axis: int, fraction: float) -> Array:
        return coefficients

    def differentiate(self, coefficients: Array, axis: int, order: int) -> tuple[Array, AbstractAxis]:
        self._need(order + self.order)
        values = self.impose(coefficients, axis)
        reach = (order - 1 + self.order) // 2
        centre = finite_difference_weights(range(-reach, reach + 1), 0.0, order) / self.spacing**order
        if self.is_periodic:
            return convolve(centre, self._wrap(values, axis, reach, reach), axis), self
        inner = convolve(centre, values, axis)
        return self._with_ends(inner, axis, lambda upper: self._closure(values, axis, order, reach, upper)), self.free

    def flux_divergence(self, a: Array, u: Array, axis: int, mean: Callable) -> Array:
        """`d/dx (a du/dx)` in conservative form: fluxes `a du/dx` at the faces between nodes, differenced at the nodes.

        `mean(a, to_faces)` gives the face coefficients. At order 2 with Dirichlet or periodic ends the operator on the
        unknown nodes is symmetric. At a Neumann end the given flux `a slope` is one more face.

        **Raises** `ValueError` for orders 4 and 6 on centred axes that are not periodic.
        """
        if self.centred and not self.is_periodic:
            return self._cell_divergence(a, u, axis, mean)
        self._need(4 if self.order == 2 else self.order + 3)
        u, h, half = self.impose(u, axis), self.spacing, self.order // 2
        if self.is_periodic:
            a, u = (
                self._wrap(a, axis, self.order - 1, self.order - 1),
                self._wrap(u, axis, self.order - 1, self.order - 1),
            )
            faces = np.arange(self.order) - half + 0.5
            to_faces, gradient, divergence = (finite_difference_weights(faces, 0.0, m) for m in (0, 1, 1))
            flux = mean(a, lambda v: convolve(to_faces, v, axis)) * convolve(gradient / h, u, axis)
            return convolve(divergence / h, flux, axis)
        flux = mean(a, lambda v: self._at_faces(v, axis, 0)) * self._at_faces(u, axis, 1) * jnp.asarray(1 / h, u.dtype)
        centre = finite_difference_weights(np.arange(self.order) - half + 0.5, 0.0, 1) / h
        return self._with_ends(
            convolve(centre, flux, axis), axis, lambda upper: self._divergence_closure(a, u, flux, axis, upper)
        )

    def _cell_divergence(self, a: Array, u: Array, axis: int, mean: Callable) -> Array:
        if self.order != 2:
            raise ValueError(
                f"the flux form on a centred axis has order 2, this axis asks for {self.order}; write order=2, or "
                "expand the product: a * laplacian(u) + grad(a) . grad(u)."
            )
        self._need(4)
        difference = np.array([-1.0, 1.0]) / self.spacing
        flux = mean(a, lambda v: convolve(np.array([0.5, 0.5]), v, axis)) * convolve(difference, u, axis)
        lower, upper = (self._end_flux(a, u, flux, axis, mean, upper) for upper in (False, True))
        return convolve(difference, jnp.concatenate([lower, flux, upper], axis=axis), axis)

    def _end_flux(self, a: Array, u: Array, flux: Array, axis: int, mean: Callable, upper: bool) -> Array:
        side = self.upper if upper else self.lower
        if isinstance(side, Dirichlet):
            # The last half cell lies in the medium of its own node: exact where coefficients jump between cells.
            rise = _end(u, axis, upper) - _spread(side.value, u, axis)
            return _end(a, axis, upper) * rise * jnp.asarray((-2.0 if upper else 2.0) / self.spacing, u.dtype)
        if isinstance(side, Neumann | Robin):
            outward = np.array([[1.5, -0.5]])
            return mean(a, lambda v: near_end(outward, v, axis, upper)) * self._slope(u, axis, upper)
        return near_end(np.array([[3.0, -3.0, 1.0]]), flux, axis, upper)

    def _at_faces(self, values: Array, axis: int, derivative: int) -> Array:
        # The error of these stencils jumps where the one-sided ones begin, and the divergence divides the jump by the
        # spacing: two orders more keep the result at the design order. Order 2 needs no one-sided face.
        width = self.order if self.order == 2 else self.order + 2
        centre = finite_difference_weights(np.arange(width) - width // 2 + 0.5, 0.0, derivative)
        inner = convolve(centre, values, axis)
        if width == 2:
            return inner
        rows = np.stack(
            [finite_difference_weights(range(width + 1), i + 0.5, derivative) for i in range(width // 2 - 1)]
        )
        lower = near_end(rows, values, axis, False)
        upper = near_end((-1.0) ** derivative * rows, values, axis, True)
        return jnp.concatenate([lower, inner, upper], axis=axis)

    def _divergence_closure(self, a: Array, u: Array, flux: Array, axis: int, upper: bool) -> Array:
        side, h = self.upper if upper else self.lower, self.spacing
        mirror = -1.0 if upper else 1.0
        faces = np.arange(self.order + 1) + 0.5
        if isinstance(side, Neumann | Robin):
            # Order 2 keeps two data (half a cell), which is symmetric under the trapezoid rule.
            faces = np.concatenate([[0.0], faces[: self.order if self.order > 2 else 1]])
            given = _end(a, axis, upper) * self._slope(u, axis, upper)
            flux = jnp.concatenate([flux, given] if upper else [given, flux], axis=axis)
        rows = np.stack([finite_difference_weights(faces, float(i), 1) for i in range(self.order // 2)])
        return near_end(mirror * rows / h, flux, axis, upper)

    def _wrap(self, values: Array, axis: int, left: int, right: int) -> Array:
        parts = [take(values, axis, self.n - left, None), values, take(values, axis, 0, right)]
        return jnp.concatenate(parts, axis=axis)

    def impose(self, values: Array, axis: int) -> Array:
        """The values with Dirichlet end nodes set to their conditions (centred axes have no end nodes)."""
        for index, side in self.known_ends:
            end = along(np.arange(self.n) == index, axis, values.ndim)
            values = jnp.where(end, _spread(side.value, values, axis), values)
        return values

    def _need(self, nodes: int) -> None:
        if self.n < nodes:
            raise ValueError(
                f"this derivative of order {self.order} needs {nodes} nodes, the axis has {self.n}; "
                f"write Uniform({nodes}) or a lower order."
            )

    def _with_ends(self, inner: Array, axis: int, closure: Callable[[bool], Array]) -> Array:
        """Inner results with those near both ends, where the one-sided stencils stand;
        zero at a `Held` end of order 2.
        """
        missing = self.n - inner.shape[axis]
        held = [isinstance(side, Held) and missing == 2 for side in (self.lower, self.upper)]
        out = inner if held[0] else jnp.concatenate([closure(False), inner], axis=axis)
        out = out if held[1] else jnp.concatenate([out, closure(True)], axis=axis)
        widths = [(0, 0)] * inner.ndim
        widths[axis] = (int(held[0]), int(held[1]))
        # A pad fuses with what follows, a concatenation does not: five times faster products in iterative solvers.
        return jnp.pad(out, widths) if any(held) else out

    def _closure(self, values: Array, axis: int, order: int, reach: int, upper: bool) -> Array:
        side, h = self.upper if upper else self.lower, self.spacing
        slope, value = isinstance(side, Neumann | Robin), self.centred and isinstance(side, Dirichlet)
        if self.centred:
            matrix = centred_closure_weights(order, self.order, reach, Neumann if slope else type(side))
        else:
            matrix = closure_weights(order, self.order, reach, slope)
        # The upper end is the mirror image: reversed nodes, and a sign for odd derivatives and for slopes.
        mirror = (-1.0) ** order if upper else 1.0
        width = matrix.shape[1] - int(slope or value)
        out = near_end(mirror * matrix[:, :width] / h**order, values, axis, upper)
        if slope:
            column = (-mirror if upper else mirror) * matrix[:, -1:] / h ** (order - 1)
            return out + near_end(column, self._slope(values, axis, upper), axis, upper)
        if value:
            return out + near_end(mirror * matrix[:, -1:] / h**order, _spread(side.value, values, axis), axis, upper)
        return out

    def cross_slope(self, values: Array, axis: int) -> Array:
        """`du/dx` at the nodes for mixed second derivatives `d/dy (a du/dx)`.

        At order 2 the difference of two nodes at ends with a condition on the slope, and the reflected value beyond
        centred `Dirichlet` ends: with `cross_divergence` along y the operator reaches one node and, added to that with
        x and y exchanged, is symmetric, first order at the end nodes and second order in solutions.

        **Raises** `ValueError` for conditions on slopes at centred ends or at orders 4 and 6.
        """
        return self._crossed(values, axis, [-1.0, 1.0], [0.5, 0.5])

    def cross_divergence(self, flux: Array, axis: int) -> Array:
        """`d flux / dx` for mixed second derivatives, the adjoint of `cross_slope`: no flux leaves through ends with a
        condition on the slope.

        **Raises** `ValueError` like `cross_slope`.
        """
        return self._crossed(flux, axis, [1.0, 1.0], [-0.5, 0.5])

    def _crossed(self, values: Array, axis: int, sloped: list[float], reflected: list[float]) -> Array:
        slopes = any(isinstance(side, Neumann | Robin) for side in (self.lower, self.upper))
        if slopes and (self.centred or self.order != 2):
            raise ValueError(
                "mixed derivatives beside a Neumann or Robin end need a closed axis of order 2, this one has "
                f"centred={self.centred}, order={self.order}; write Uniform({self.n}, ..., order=2)."
            )
        if self.is_periodic or self.order != 2:
            return self.differentiate(values, axis, 1)[0]
        self._need(3)

        def closure(upper: bool) -> Array:
            side, mirror = self.upper if upper else self.lower, (-1.0 if upper else 1.0) / self.spacing
            if isinstance(side, Neumann | Robin):
                return near_end(mirror * np.array([sloped]), values, axis, upper)
            if isinstance(side, Dirichlet) and self.centred:
                beyond = sloped[0] * mirror * _spread(side.value, values, axis) if sloped[0] < 0 else 0.0
                return near_end(mirror * np.array([reflected]), values, axis, upper) + beyond
            return self.free._closure(values, axis, 1, 1, upper)

        return self._with_ends(convolve(np.array([-0.5, 0.0, 0.5]) / self.spacing, values, axis), axis, closure)

    def _slope(self, values: Array, axis: int, upper: bool) -> Array:
        """Slope along the axis at an end: the given one, or what a Robin condition makes of the values."""
        side = self.upper if upper else self.lower
        if isinstance(side, Neumann):
            return _spread(side.slope, values, axis)
        if jnp.iscomplexobj(side.alpha) and not jnp.iscomplexobj(values):
            raise ValueError(
                "a Robin condition with complex alpha needs a complex field, got a real one; write u.as_complex()."
            )
        alpha, inward = _spread(side.alpha, values, axis), -1.0 if upper else 1.0
        end, distance = _end(values, axis, upper), 0.0
        if self.centred:
            # The value at the face, from the nodes before it and the slope itself.
            row = finite_difference_weights(np.arange(self.order - 1) + 0.5, 0.0, 0, (0.0,))
            end, distance = near_end(row[None, :-1], values, axis, upper), float(-row[-1] * self.spacing)
        return -inward * (_spread(side.value, values, axis) - alpha * end) / (1 + distance * alpha)

    def resize(self, coefficients: Array, axis: int, n: int) -> Array:
        matrix = self.basis(self.with_size(n).points)
        out = jnp.tensordot(coefficients, matrix.astype(coefficients.dtype), axes=((axis,), (1,)), precision="highest")
        return jnp.moveaxis(out, -1, axis)

    def basis(self, points: Array) -> Array:
        points = jnp.asarray(points)
        width = min(self.order + 2, self.n)
        s = (points - self.points[0]) / self.spacing
        first = jnp.floor(s).astype(int) - (width // 2 - 1)
        if not self.is_periodic:
            first = jnp.clip(first, 0, self.n - width)
        local = s[:, None] - first[:, None].astype(s.dtype)
        rows = jnp.stack([_lagrange(local[:, 0], j, width) for j in range(width)], axis=-1)
        index = (first[:, None] + np.arange(width)[None, :]) % self.n
        return jnp.zeros((points.shape[0], self.n), s.dtype).at[jnp.arange(points.shape[0])[:, None], index].add(rows)

    def with_size(self, n: int) -> Self:
        return type(self)(n, self.length, self.start, self.lower, self.upper, self.order, self.centred)

    def refined(self, factor: int = 2) -> Self:
        if self.is_periodic and not self.centred:
            return self.with_size(factor * self.n)
        return self.with_size(_refined_size(self, factor))

    @property
    def free(self) -> "Uniform":
        """The axis without conditions at its ends (a periodic axis stays periodic)."""
        if self.is_periodic:
            return self
        return Uniform(self.n, self.length, self.start, Free(), Free(), self.order, self.centred)

    @property
    def as_coefficient(self) -> AbstractAxis:
        return self.free


@cache
def closure_weights(derivative: int, accuracy: int, rows: int, slope: bool) -> np.ndarray:
    """One-sided stencils for the first `rows` nodes, unit spacing; the last column multiplies the slope if `slope`.

    **Returns** float64 `(rows, width)` or `(rows, width + 1)`.
    """
    if slope and accuracy == 2 and derivative <= 2:
        # Reflection u_{-1} = u_1 - 2 g: keeps the second difference symmetric.
        return np.array([[0.0, 0.0, 1.0]]) if derivative == 1 else np.array([[-2.0, 2.0, -2.0]])
    width = derivative + accuracy - int(slope)
    nodes, slopes = range(width), (0.0,) if slope else ()
    return np.stack([finite_difference_weights(nodes, i, derivative, slopes) for i in range(rows)])


@cache
def centred_closure_weights(derivative: int, accuracy: int, rows: int, side: type) -> np.ndarray:
    """One-sided stencils for the first `rows` cell centres, unit spacing, with the condition half a cell before them.

    `side` is the kind of condition; the last column multiplies the value of a `Dirichlet` or the slope of a `Neumann`.

    **Returns** float64 `(rows, width)`.
    """
    if accuracy == derivative == 2 and side in (Dirichlet, Neumann):
        # Reflections u_{-1} = 2 g - u_0 and u_{-1} = u_0 - g: keep the second difference symmetric.
        return np.array([[-3.0, 1.0, 2.0]]) if side is Dirichlet else np.array([[-1.0, 1.0, -1.0]])
    width = derivative + accuracy - int(side in (Dirichlet, Neumann))
    nodes = (*(np.arange(width) + 0.5), *((0.0,) if side is Dirichlet else ()))
    slopes = (0.0,) if side is Neumann else ()
    return np.stack([finite_difference_weights(nodes, i + 0.5, derivative, slopes) for i in range(rows)])


def _lagrange(s: Array, j: int, width: int) -> Array:
    out = jnp.ones_like(s)
    for i in range(width):
        if i != j:
            out = out * (s - i) / (j - i)
    return out


def arithmetic_mean(a: Array, to_faces: Callable) -> Array:
    """Face coefficients by interpolation of `a` (the average of two neighbours at order 2)."""
    return to_faces(a)


def harmonic_mean(a: Array, to_faces: Callable) -> Array:
    """Face coefficients by interpolation of `1 / a`: exact fluxes for coefficients that jump at nodes."""
    return 1 / to_faces(1 / a)


def _end(array: Array, axis: int, upper: bool) -> Array:
    return take(array, axis, -1, None) if upper else take(array, axis, 0, 1)


def _spread(value: Array, like: Array, axis: int) -> Array:
    """A boundary value as an array of one layer along the axis."""
    layer = like.shape[:axis] + like.shape[axis + 1 :]
    return jnp.expand_dims(jnp.broadcast_to(value.astype(like.dtype), layer), axis)
