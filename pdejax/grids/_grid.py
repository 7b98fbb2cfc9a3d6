from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._axis import AbstractAxis, along, scale
from ._fourier import Fourier, HalfFourier
from ._trigonometric import Cosine, Sine


class Grid(eqx.Module):
    """Tensor grid of named axes: `Grid(x=Fourier(64), y=Sine(33))`. An axis named `"t"` is time.

    Fields on it have values of shape `(channels, *grid.shape)`, axes in the order of the arguments. `ndim` counts space
    axes only.

    **Raises** `TypeError` if an argument is not an axis, `ValueError` if there is none.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    axes: tuple[AbstractAxis, ...]

    def __init__(self, **axes: AbstractAxis):
        if not axes:
            raise ValueError("a grid needs at least one axis; write Grid(x=Fourier(64)).")
        for name, axis in axes.items():
            if not isinstance(axis, AbstractAxis):
                raise TypeError(
                    f"axis {name!r} must be an axis object, got {type(axis).__name__}; write {name}=Fourier(64)."
                )
        self.names = tuple(axes)
        self.axes = tuple(axes.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of nodes of each axis."""
        return tuple(axis.n for axis in self.axes)

    @property
    def space_names(self) -> tuple[str, ...]:
        """Names of the axes other than time."""
        return tuple(name for name in self.names if name != "t")

    @property
    def ndim(self) -> int:
        """Number of space axes."""
        return len(self.space_names)

    def index(self, name: str) -> int:
        """Position of an axis. **Raises** `ValueError` naming the axes there are."""
        if name not in self.names:
            raise ValueError(f"no axis {name!r} on this grid; its axes are {', '.join(map(repr, self.names))}.")
        return self.names.index(name)

    def axis(self, name: str) -> AbstractAxis:
        """The axis of that name."""
        return self.axes[self.index(name)]

    def replace(self, **axes: AbstractAxis) -> Self:
        """The grid with some axes exchanged."""
        for name in axes:
            self.index(name)
        return type(self)(**{**dict(zip(self.names, self.axes, strict=True)), **axes})

    def without(self, name: str) -> Self:
        """The grid of the other axes. **Raises** `ValueError` for a name that it does not have."""
        self.index(name)
        return type(self)(**{n: axis for n, axis in zip(self.names, self.axes, strict=True) if n != name})

    def with_axes(self, axes) -> Self:
        """The same names with other axes."""
        return type(self)(**dict(zip(self.names, axes, strict=True)))

    def with_shape(self, shape: tuple[int, ...]) -> Self:
        """The same axes with other numbers of nodes."""
        return self.with_axes(axis.with_size(n) for axis, n in zip(self.axes, shape, strict=True))

    def refined(self, factor: int = 2) -> Self:
        """The nested grid with `factor` intervals for each of this one's."""
        return self.with_axes(axis.refined(factor) for axis in self.axes)

    def mesh(self) -> np.ndarray:
        """Coordinates of the nodes, float64, shape `(number of axes, *shape)`."""
        return np.stack(np.meshgrid(*(axis.points for axis in self.axes), indexing="ij"))

    def weights(self) -> np.ndarray:
        """Product quadrature weights, float64, shape `shape`: `sum(weights * u)` is the integral of `u`."""
        out = np.ones(())
        for axis in self.axes:
            out = np.multiply.outer(out, axis.weights)
        return out

    @property
    def volume(self) -> float:
        """Product of the lengths."""
        return float(np.prod([axis.length for axis in self.axes]))

    @property
    def dealiases(self) -> bool:
        """Whether products are evaluated with padding or truncation."""
        return any(axis.dealias != 1 for axis in self.axes)

    def with_dealias(self, factor: float) -> Self:
        """The grid whose spectral axes carry this dealiasing factor."""
        return self.with_axes(_with_dealias(axis, float(factor)) for axis in self.axes)

    def flipped(self, names: tuple[str, ...]) -> Self:
        """The grid with sine and cosine exchanged on the named axes."""
        return self.replace(**{name: self.axis(name).twin for name in names}) if names else self

    def parity_flips(self, other: "Grid") -> tuple[str, ...]:
        """Names of the axes that are sine here and cosine there, or the reverse."""
        pairs = zip(self.names, self.axes, other.axes, strict=True)
        return tuple(name for name, a, b in pairs if isinstance(a, Sine | Cosine) and type(a) is not type(b))

    def same_nodes(self, other: "Grid") -> bool:
        """Whether both grids have the same names, kinds (up to sine/cosine), sizes and intervals."""
        return self.names == other.names and all(map(_same_nodes, self.axes, other.axes))

    def as_coefficient(self) -> Self:
        """The grid on which coefficients that multiply fields of this grid live."""
        return self.with_axes(axis.as_coefficient for axis in self.axes)

    # Transforms. A real field is stored with half the spectrum along its last Fourier axis.

    def coefficient_axes(self, real: bool = True) -> tuple[AbstractAxis, ...]:
        """The axes as the coefficients see them."""
        last = max((i for i, axis in enumerate(self.axes) if isinstance(axis, Fourier)), default=None)
        if not real or last is None:
            return self.axes
        a = self.axes[last]
        half = HalfFourier(a.n, a.length, a.start, a.dealias)
        return self.axes[:last] + (half,) + self.axes[last + 1 :]

    def coefficient_shape(self, real: bool = True) -> tuple[int, ...]:
        """Shape of one channel's coefficients."""
        return tuple(len(axis.modes) for axis in self.coefficient_axes(real))

    def modes(self, real: bool = True) -> tuple[np.ndarray, ...]:
        """Integer mode numbers along each axis of the coefficients."""
        return tuple(axis.modes for axis in self.coefficient_axes(real))

    def forward(self, values: Array) -> Array:
        """Values `(..., *shape)` to coefficients; forward-normalised, hence independent of the resolution."""
        return self._analyse(values, self)

    def backward(self, coefficients: Array, real: bool = True) -> Array:
        """Coefficients `(..., *coefficient_shape)` to values at the nodes."""
        return self._synthesise(coefficients, self, real)

    def _analyse(self, values: Array, fine: "Grid") -> Array:
        """Values on the nodes of `fine` to coefficients on this grid, real channels packed in complex pairs."""
        pairs = 0 if jnp.iscomplexobj(values) else self._pairs(values)
        if not pairs:
            return fine.resize(fine._transform(values), self.shape, not jnp.iscomplexobj(values))
        channel = values.ndim - len(self.axes) - 1
        a, b, rest = _split(values, channel, pairs)
        upper, mirror = self._cut_halves(fine._transform(jax.lax.complex(a, b)), fine)
        parts = [scale(upper + mirror, np.array(0.5)), scale(upper - mirror, np.array(-0.5), imaginary=True)]
        if rest is not None:
            parts.append(fine.resize(fine._transform(rest), self.shape, True))
        return jnp.concatenate(parts, axis=channel)

    def _synthesise(self, coefficients: Array, fine: "Grid", real: bool) -> Array:
        """Coefficients on this grid to values on the nodes of `fine`, real channels packed in complex pairs."""
        pairs = self._pairs(coefficients) if real else 0
        if not pairs:
            return fine._inverse(self.resize(coefficients, fine.shape, real), real)
        channel = coefficients.ndim - len(self.axes) - 1
        a, b, rest = _split(coefficients, channel, pairs)
        sign = lambda s: jax.lax.complex(a.real - s * b.imag, a.imag + s * b.real)
        both = fine._inverse(self._join_halves(sign(1), sign(-1), fine), False)
        parts = [both.real, both.imag]
        if rest is not None:
            parts.append(fine._inverse(self.resize(rest, fine.shape, True), True))
        return jnp.concatenate(parts, axis=channel)

    def _pairs(self, array: Array) -> int:
        # One complex transform costs less than two real ones (1.3 to 1.5 times on CPU, at two and three dimensions).
        channels = array.ndim - len(self.axes) - 1
        if len(self.axes) < 2 or channels < 0 or not all(isinstance(axis, Fourier) for axis in self.axes):
            return 0
        return array.shape[channels] // 2

    def _transform(self, values: Array) -> Array:
        real, first = not jnp.iscomplexobj(values), values.ndim - len(self.axes)
        for i, axis in enumerate(self.axes):
            if axis.is_spectral and not isinstance(axis, Fourier):
                values = axis.forward(values, first + i)
        dims = self._fourier_dims(first)
        if not dims:
            return values
        return (jnp.fft.rfftn if real else jnp.fft.fftn)(values, axes=dims, norm="forward")

    def _inverse(self, coefficients: Array, real: bool) -> Array:
        first: int = coefficients.ndim - len(self.axes)
        dims = self._fourier_dims(first)
        if dims:
            sizes = tuple(self.axes[i - first].n for i in dims)
            inverse = jnp.fft.irfftn if real else jnp.fft.ifftn
            coefficients = inverse(coefficients, s=sizes, axes=dims, norm="forward")
        for i, axis in enumerate(self.axes):
            if axis.is_spectral and not isinstance(axis, Fourier):
                coefficients = axis.backward(coefficients, first + i)
        return coefficients

    def resize(self, coefficients: Array, shape: tuple[int, ...], real: bool = True) -> Array:
        """Coefficients on the same axes with `shape` nodes."""
        first = coefficients.ndim - len(self.axes)
        for i, (axis, n) in enumerate(zip(self.coefficient_axes(real), shape, strict=True)):
            if n != axis.n:
                coefficients = axis.resize(coefficients, first + i, n)
        return coefficients

    def _half_dim(self, ndim: int) -> int | None:
        dims = self._fourier_dims(ndim - len(self.axes))
        return dims[-1] if dims else None

    def _mirrored(self, coefficients: Array, last: int) -> Array:
        """Conjugates at the opposite wave numbers along all Fourier axes but the stored half of `last`."""
        out = jnp.conj(coefficients)
        for dim in self._fourier_dims(coefficients.ndim - len(self.axes)):
            if dim != last:
                first = jax.lax.slice_in_dim(out, 0, 1, axis=dim)
                rest = jnp.flip(jax.lax.slice_in_dim(out, 1, out.shape[dim], axis=dim), dim)
                out = jnp.concatenate([first, rest], axis=dim)
        return out

    def whole_spectrum(self, coefficients: Array) -> Array:
        """All coefficients of a real field from the stored half: `c(-k) = conj(c(k))`."""
        if self._half_dim(coefficients.ndim) is None:
            return coefficients.astype(np.result_type(coefficients.dtype, np.complex64))
        return self._join_halves(coefficients, coefficients, self)

    def real_spectrum(self, coefficients: Array, imaginary: bool = False) -> Array:
        """Stored half of the coefficients of the real (or imaginary) part of a complex field."""
        if self._half_dim(coefficients.ndim) is None:
            return jnp.imag(coefficients) if imaginary else jnp.real(coefficients)
        upper, mirror = self._cut_halves(coefficients, self)
        if imaginary:
            return scale(upper - mirror, np.array(-0.5), imaginary=True)
        return scale(upper + mirror, np.array(0.5))

    def symmetrised(self, coefficients: Array) -> Array:
        """Coefficients of a real field without the part that no real field has.

        Where the stored half of the spectrum holds both `k` and `-k`, rounding makes `c(-k)` differ from `conj(c(k))`;
        transforms to values do not see the difference, so that a growing mode carries it off unopposed.
        """
        dims, last = self._fourier_dims(coefficients.ndim - len(self.axes)), self._half_dim(coefficients.ndim)
        if len(dims) < 2:
            return coefficients
        n = self.axes[last - coefficients.ndim].n
        for k in (0, n // 2) if n % 2 == 0 else (0,):
            plane = jax.lax.slice_in_dim(coefficients, k, k + 1, axis=last)
            change = scale(self._mirrored(plane, last) - plane, np.array(0.5))
            widths = [(0, 0)] * coefficients.ndim
            widths[last] = (k, coefficients.shape[last] - k - 1)
            # Added to all, so that it fuses with what follows: an update of the plane in place costs 4 % of a step.
            coefficients = coefficients + jnp.pad(change, widths)
        return coefficients

    def _join_halves(self, upper: Array, opposite: Array, fine: "Grid") -> Array:
        """Complex coefficients on `fine` whose half with stored wave numbers is `upper` and whose other half is
        `opposite`, conjugated, at the opposite wave numbers.
        """
        last = self._half_dim(upper.ndim)
        n, wide = (grid.axes[last - upper.ndim].n for grid in (self, fine))
        lower = jax.lax.slice_in_dim(self._mirrored(opposite, last), 1, (n + 1) // 2, axis=last)
        upper, lower = (self._resize_others(part, fine, last) for part in (upper, jnp.flip(lower, last)))
        if n % 2 == 0 and wide != n:
            whole = jnp.concatenate([upper, lower], axis=last)
            return self.axes[last - upper.ndim].resize(whole, last, wide)
        shape = list(upper.shape)
        shape[last] = wide - n
        return jnp.concatenate([upper, jnp.zeros(shape, upper.dtype), lower], axis=last)

    def _cut_halves(self, coefficients: Array, fine: "Grid") -> tuple[Array, Array]:
        """The stored half on this grid of complex coefficients on `fine`, and the conjugates at the opposite wave
        numbers.
        """
        last = self._half_dim(coefficients.ndim)
        n, wide = (grid.axes[last - coefficients.ndim].n for grid in (self, fine))
        if n % 2 == 0 and wide != n:
            coefficients, wide = fine.axes[last - coefficients.ndim].resize(coefficients, last, n), n
        first = jax.lax.slice_in_dim(coefficients, 0, 1, axis=last)
        upper = jax.lax.slice_in_dim(coefficients, 0, n // 2 + 1, axis=last)
        lower = jnp.flip(jax.lax.slice_in_dim(coefficients, wide - n // 2, wide, axis=last), last)
        lower = jnp.concatenate([first, lower], axis=last)
        upper, lower = (fine._resize_others(part, self, last) for part in (upper, lower))
        return upper, self._mirrored(lower, last)

    def _resize_others(self, coefficients: Array, other: "Grid", last: int) -> Array:
        first = coefficients.ndim - len(self.axes)
        for i, (axis, target) in enumerate(zip(self.axes, other.axes, strict=True)):
            if first + i != last and axis.n != target.n:
                coefficients = axis.resize(coefficients, first + i, target.n)
        return coefficients

    def _fourier_dims(self, first: int) -> tuple[int, ...]:
        return tuple(first + i for i, axis in enumerate(self.axes) if isinstance(axis, Fourier))

    # Products. Quadratic terms are evaluated on the product nodes:
    # more nodes (dealias > 1) or fewer modes (dealias < 1).

    def product_grid(self) -> Self:
        """The grid on whose nodes products are evaluated."""
        return self.with_shape(tuple(axis.product_size for axis in self.axes))

    def to_product(self, coefficients: Array, real: bool = True) -> Array:
        """Values on the product nodes."""
        return self._synthesise(self._low_pass(coefficients, real), self.product_grid(), real)

    def from_product(self, values: Array) -> Array:
        """Coefficients on this grid of values on the product nodes."""
        return self._low_pass(self._analyse(values, self.product_grid()), not jnp.iscomplexobj(values))

    def _low_pass(self, coefficients: Array, real: bool) -> Array:
        first = coefficients.ndim - len(self.axes)
        for i, axis in enumerate(self.coefficient_axes(real)):
            if axis.dealias < 1:
                coefficients = axis.low_pass(coefficients, first + i, axis.dealias)
        return coefficients

    def reached_by_products(self, coefficients: Array, real: bool = True) -> Array:
        """The coefficients of the modes that products have: those that truncation keeps, and where products are padded
        all but the highest of an even periodic axis, of which a finer one holds both signs.
        """
        first = coefficients.ndim - len(self.axes)
        for i, (axis, stored) in enumerate(zip(self.axes, self.coefficient_axes(real), strict=True)):
            if isinstance(axis, Fourier) and axis.dealias > 1 and axis.n % 2 == 0:
                keep = 2 * np.abs(stored.modes) < axis.n
                coefficients = scale(coefficients, along(keep, first + i, coefficients.ndim))
        return self._low_pass(coefficients, real)

    def broadcast(self, vector: np.ndarray, name: str) -> np.ndarray:
        """Reshape a vector along one axis so that it broadcasts against `(*shape)`."""
        return along(vector, self.index(name), len(self.axes))

    def __repr__(self) -> str:
        return f"Grid({', '.join(f'{name}={_short(axis)}' for name, axis in zip(self.names, self.axes, strict=True))})"


def _split(array: Array, axis: int, pairs: int) -> tuple[Array, Array, Array | None]:
    """The first `pairs` entries along an axis, the next `pairs`, and what is left."""
    a = jax.lax.slice_in_dim(array, 0, pairs, axis=axis)
    b = jax.lax.slice_in_dim(array, pairs, 2 * pairs, axis=axis)
    left = array.shape[axis] > 2 * pairs
    return a, b, jax.lax.slice_in_dim(array, 2 * pairs, array.shape[axis], axis=axis) if left else None


def _short(axis: AbstractAxis) -> str:
    return f"{type(axis).__name__}({axis.n}, length={axis.length:g}, start={axis.start:g})"


def _with_dealias(axis: AbstractAxis, factor: float) -> AbstractAxis:
    if not axis.is_spectral:
        return axis
    fields = {name: getattr(axis, name) for name in axis.__dataclass_fields__}
    return type(axis)(**{**fields, "dealias": factor})


def _same_nodes(a: AbstractAxis, b: AbstractAxis) -> bool:
    trigonometric = isinstance(a, Sine | Cosine) and isinstance(b, Sine | Cosine)
    if getattr(a, "centred", False) != getattr(b, "centred", False):
        return False
    return (trigonometric or type(a) is type(b)) and (a.n, a.length, a.start) == (b.n, b.length, b.start)
