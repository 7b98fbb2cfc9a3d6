import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..grids import Fourier, Grid, Sine, Uniform, arithmetic_mean, scale
from ._field import AbstractField
from ._function_field import FunctionField

VALUES, COEFFICIENTS, PRODUCT = "values", "coefficients", "product"


class GridField(AbstractField):
    """A function given on a tensor grid by values `(channels, *grid.shape)` or by coefficients of the axes' bases.

    Derivatives act on coefficients, products on values (on the grid's product nodes when it dealiases), and a field
    changes its representation only when asked, so a pseudo-spectral expression costs the transforms that a hand-written
    one would. A batch is the same pytree with a leading axis on every leaf, made by `jax.vmap`.

    **Arguments:** `values` of shape `(channels, *grid.shape)`; `grid`.

    **Raises** `ValueError` if the shape does not fit the grid.
    """

    data: Array
    grid: Grid
    _kind: str = eqx.field(static=True)
    _real: bool = eqx.field(static=True)
    # Names of the axes on which a channel has the parity opposite to the grid's (gradients of sine fields);
    # () if none has.
    _flips: tuple[tuple[str, ...], ...] = eqx.field(static=True)

    def __init__(self, values: Array, grid: Grid):
        values = jnp.asarray(values)
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            values = values.astype(jnp.result_type(float))
        if values.ndim != len(grid.shape) + 1 or values.shape[1:] != grid.shape:
            raise ValueError(
                f"a field on {grid} needs values of shape (channels, {', '.join(map(str, grid.shape))}), got "
                f"{values.shape}; add the channel axis with values[None], or make a batch with "
                "jax.vmap(lambda v: GridField(v, grid))(values)."
            )
        self.data, self.grid = values, grid
        self._kind, self._real, self._flips = VALUES, not jnp.iscomplexobj(values), ()

    @classmethod
    def from_function(cls, fn, grid: Grid) -> "GridField":
        """Sample `fn`, which takes one coordinate array per axis and returns an array,
        or a tuple of them (channels).
        """
        dtype = jnp.result_type(float)
        out = fn(*(jnp.asarray(c, dtype) for c in grid.mesh()))
        parts = out if isinstance(out, tuple | list) else (out,)
        arrays = [jnp.asarray(p) for p in parts]
        return cls(jnp.stack([jnp.broadcast_to(a, grid.shape) for a in arrays]), grid)

    @classmethod
    def from_coefficients(cls, coefficients: Array, grid: Grid, real: bool = True) -> "GridField":
        """Field with these coefficients, shape `(channels, *grid.coefficient_shape(real))`.

        **Raises** `ValueError` if the shape does not fit.
        """
        wanted = grid.coefficient_shape(real)
        if coefficients.shape[1:] != wanted:
            raise ValueError(
                f"coefficients of a {'real' if real else 'complex'} field on {grid} have shape (channels, "
                f"{', '.join(map(str, wanted))}), got {coefficients.shape}; take them from field.coefficients."
            )
        return make(coefficients, grid, COEFFICIENTS, real)

    # Representations

    @property
    def values(self) -> Array:
        """Values at the nodes, `(channels, *grid.shape)`."""
        if self._kind == VALUES:
            return self.data
        if self._flips:
            return jnp.concatenate([self[i].values for i in range(self.channels)])
        return self.grid.backward(self.coefficients, self._real)

    @property
    def coefficients(self) -> Array:
        """Coefficients `(channels, *grid.coefficient_shape())`; real fields keep half the spectrum."""
        if self._kind == COEFFICIENTS:
            return self.data
        if self._flips:
            return jnp.concatenate([self[i].coefficients for i in range(self.channels)])
        return self.grid.forward(self.data) if self._kind == VALUES else self.grid.from_product(self.data)

    @property
    def _product_values(self) -> Array:
        if self._kind == PRODUCT:
            return self.data
        if not self.grid.dealiases:
            return self.values
        if self._flips:
            return jnp.concatenate([self[i]._product_values for i in range(self.channels)])
        return self.grid.to_product(self.coefficients, self._real)

    def as_values(self) -> "GridField":
        """The same field holding values."""
        return make(self.values, self.grid, VALUES, self._real, self._flips)

    def as_coefficients(self) -> "GridField":
        """The same field holding coefficients."""
        return make(self.coefficients, self.grid, COEFFICIENTS, self._real, self._flips)

    def with_values(self, values: Array) -> "GridField":
        """Another field on the same grid."""
        return type(self)(values, self.grid)

    def with_coefficients(self, coefficients: Array) -> "GridField":
        """Another field on the same grid, by its coefficients."""
        return type(self).from_coefficients(coefficients, self.grid, self._real)

    def with_grid(self, grid: Grid) -> "GridField":
        """The same data on a grid that differs only in how products are dealiased, or in boundary values."""
        base = self.as_coefficients() if self._kind == PRODUCT else self
        return make(base.data, grid, base._kind, base._real, base._flips)

    def on(self, grid: Grid) -> "GridField":
        """The same node values read on another grid with the same nodes (sine/cosine, other boundary conditions).

        **Raises** `ValueError` if the nodes differ.
        """
        if not self.grid.same_nodes(grid) and not self._same_points(grid):
            raise ValueError(f"{self.grid} and {grid} have different nodes; write field.resample(grid) to interpolate.")
        return type(self)(self.values, grid)

    def _same_points(self, grid: Grid) -> bool:
        pairs = zip(self.grid.axes, grid.axes, strict=False)
        return self.grid.names == grid.names and all(a.n == b.n and np.allclose(a.points, b.points) for a, b in pairs)

    # Facts

    @property
    def channels(self) -> int:
        return self.data.shape[-1 - len(self.grid.axes)]

    @property
    def names(self) -> tuple[str, ...]:
        return self.grid.names

    @property
    def is_real(self) -> bool:
        """Whether the values are real."""
        return self._real

    @property
    def dtype(self):
        """The dtype of the values."""
        return self.data.real.dtype if self._real else self.data.dtype

    # Calculus

    def derivative(self, name: str, order: int = 1) -> "GridField":
        i = self.grid.index(name)
        if self._flips:
            return _join([self[c].derivative(name, order) for c in range(self.channels)])
        axis = self.grid.coefficient_axes(self._real)[i]
        if not axis.is_spectral:
            # Finite differences act along one axis, so any representation of the others will do.
            data, kind = (self.coefficients, COEFFICIENTS) if self._kind == PRODUCT else (self.data, self._kind)
        else:
            data, kind = self.coefficients, COEFFICIENTS
        out, new_axis = axis.differentiate(data, data.ndim - len(self.grid.axes) + i, order)
        return make(out, self.grid.replace(**{name: new_axis}), kind, self._real)

    def diffuse_along(self, coefficient, name: str, mean=arithmetic_mean) -> "GridField":
        a = coefficient
        if isinstance(a, FunctionField):
            a = sample(a, self.grid.as_coefficient(), self.dtype)
        elif isinstance(a, GridField):
            # Coefficients are even across the ends, whatever grid they were stored on.
            check_nodes(self.grid, a.grid)
            a = a.on(self.grid.as_coefficient())
        axis = self.grid.axis(name)
        if not isinstance(axis, Uniform):
            return (a * self.derivative(name)).derivative(name)
        if isinstance(a, GridField):
            a = a.values
        values = self.values
        a = jnp.broadcast_to(_scalar(a, self.dtype), values.shape)
        out = axis.flux_divergence(a, values, values.ndim - len(self.grid.axes) + self.grid.index(name), mean)
        return make(out, self.grid.replace(**{name: axis.free}), VALUES, self._real)

    def coordinate(self, name: str) -> "GridField":
        grid = self.grid.as_coefficient()
        values = np.broadcast_to(grid.broadcast(grid.axis(name).points, name), grid.shape)
        return type(self)(jnp.asarray(values, self.data.real.dtype)[None], grid)

    def map(self, fn, parity: str | None = None) -> "GridField":
        sines = tuple(name for name, axis in zip(self.names, self.grid.axes, strict=True) if isinstance(axis, Sine))
        if (sines or self._flips) and parity not in ("odd", "even"):
            raise ValueError(
                "a function of a field that is odd across the ends of axis "
                f"{', '.join(map(repr, sines)) or 'some channels'} may be odd or even there; "
                'write u.map(fn, parity="odd") if fn(-u) = -fn(u), parity="even" if fn(-u) = fn(u).'
            )
        if self._flips:
            return _join([self[c].map(fn, parity) for c in range(self.channels)])
        grid = self.grid.flipped(sines) if parity == "even" else self.grid
        out = fn(self._product_values)
        return make(out, free(grid), PRODUCT if grid.dealiases else VALUES, not jnp.iscomplexobj(out))

    def as_complex(self) -> "GridField":
        """The same field stored as a complex one, with the whole spectrum."""
        if not self._real:
            return self
        if self._kind == COEFFICIENTS:
            return make(self.grid.whole_spectrum(self.data), self.grid, COEFFICIENTS, False, self._flips)
        return make(self.data.astype(_complex(self.data.dtype)), self.grid, self._kind, False, self._flips)

    def conj(self) -> "GridField":
        if self._real:
            return self
        data, kind = self._pointwise()
        return make(jnp.conj(data), self.grid, kind, False, self._flips)

    @property
    def real(self) -> "GridField":
        if self._real:
            return self
        if self._kind == COEFFICIENTS:
            return make(self.grid.real_spectrum(self.data), self.grid, COEFFICIENTS, True, self._flips)
        return make(jnp.real(self.data), self.grid, self._kind, True, self._flips)

    @property
    def imag(self) -> "GridField":
        if self._real:
            return self * 0.0
        if self._kind == COEFFICIENTS:
            return make(self.grid.real_spectrum(self.data, imaginary=True), self.grid, COEFFICIENTS, True, self._flips)
        return make(jnp.imag(self.data), self.grid, self._kind, True, self._flips)

    def _pointwise(self) -> tuple[Array, str]:
        # The nodes on which products are evaluated, so that u * conj(u) needs one transform.
        if self._flips or not self.grid.dealiases:
            return self.values, VALUES
        return self._product_values, PRODUCT

    # Algebra

    def join(self, others) -> "GridField":
        return _join([self, *others])

    def __getitem__(self, index: int) -> "GridField":
        if not -self.channels <= index < self.channels:
            raise IndexError(
                f"channel {index} asked of a field with {self.channels} channels; write u[0] .. u[{self.channels - 1}]."
            )
        index %= self.channels
        at = (slice(None),) * (self.data.ndim - 1 - len(self.grid.axes)) + (slice(index, index + 1),)
        grid = self.grid.flipped(self._flips[index]) if self._flips else self.grid
        if self.channels > 1:
            grid = jax.tree.map(lambda x: _of_channel(x, index, self.channels, len(grid.axes)), grid)
        return make(self.data[at], grid, self._kind, self._real)

    def __add__(self, other) -> "GridField":
        if isinstance(other, FunctionField):
            other = sample(other, self.grid, self.dtype)
        if not isinstance(other, GridField):
            if isinstance(other, AbstractField):
                return NotImplemented
            return self._add_scalar(other)
        check_nodes(self.grid, other.grid)
        if self._flips or other._flips:
            count = _broadcast_channels(self, other)
            return _join([self[c % self.channels] + other[c % other.channels] for c in range(count)])
        odd = self.grid.parity_flips(other.grid)
        if odd:
            kinds = [
                f"{type(self.grid.axis(n)).__name__.lower()} + {type(other.grid.axis(n)).__name__.lower()}" for n in odd
            ]
            raise ValueError(
                f"cannot add fields of opposite parity along axis {', '.join(map(repr, odd))} ({', '.join(kinds)}); "
                "an odd number of derivatives turns sine into cosine, so check the orders, "
                "or write u.on(grid) to reinterpret."
            )
        _broadcast_channels(self, other)
        grid, real = free(self.grid), self._real and other._real
        if self._kind == other._kind and self._real == other._real:
            return make(self.data + other.data, grid, self._kind, real)
        if self._real != other._real:
            return self.as_complex() + other.as_complex()
        return make(self.coefficients + other.coefficients, grid, COEFFICIENTS, real)

    def _add_scalar(self, other) -> "GridField":
        # On a sine axis the constant is added at the inner nodes (as a source that is odd across the ends).
        kind = self._kind if self._kind != COEFFICIENTS else VALUES
        data = self.values if kind == VALUES else self.data
        other = _scalar(other, data.dtype)
        dtype = jnp.result_type(data.dtype, other.dtype) if jnp.iscomplexobj(other) else data.dtype
        return make(
            data.astype(dtype) + other.astype(dtype), free(self.grid), kind, not jnp.iscomplexobj(dtype.type(0))
        )

    def __mul__(self, other) -> "GridField":
        if isinstance(other, FunctionField):
            other = sample(other, self.grid.as_coefficient(), self.dtype)
        if not isinstance(other, GridField):
            if isinstance(other, AbstractField):
                return NotImplemented
            factor, grid = _scalar(other, self.dtype), free(self.grid)
            if not jnp.iscomplexobj(factor):
                return make(scale(self.data, factor), grid, self._kind, self._real, self._flips)
            whole = self.as_complex()
            return make(whole.data * factor.astype(whole.data.dtype), grid, whole._kind, False, self._flips)
        return self._product(other, jnp.multiply)

    def __truediv__(self, other) -> "GridField":
        if isinstance(other, FunctionField):
            other = sample(other, self.grid.as_coefficient(), self.dtype)
        if not isinstance(other, GridField):
            if isinstance(other, AbstractField):
                return NotImplemented
            return self * (1 / jnp.asarray(other))
        return self._product(other, jnp.divide)

    def __pow__(self, exponent) -> "GridField":
        if isinstance(exponent, int) and exponent == 1:
            return self
        if isinstance(exponent, int):
            return self.map(lambda v: v**exponent, parity="odd" if exponent % 2 else "even")
        return self.map(lambda v: v ** _scalar(exponent, v.dtype))

    def _product(self, other: "GridField", operation) -> "GridField":
        check_nodes(self.grid, other.grid)
        if self._real != other._real:
            return self.as_complex()._product(other.as_complex(), operation)
        count = _broadcast_channels(self, other)
        if self._flips or other._flips:
            return _join([self[c % self.channels]._product(other[c % other.channels], operation) for c in range(count)])
        axes = []
        for a, b in zip(self.grid.axes, other.grid.axes, strict=True):
            # sine x sine and cosine x cosine are even, sine x cosine is odd.
            same = type(a) is type(b)
            axes.append((a.twin if isinstance(a, Sine) else a) if same else (a if isinstance(a, Sine) else a.twin))
        grid = free(self.grid.with_axes(axes))
        out = operation(self._product_values, other._product_values)
        return make(out, grid, PRODUCT if grid.dealiases else VALUES, self._real and other._real)

    # Other points, other grids

    def __call__(self, points: Array) -> Array:
        """Values at arbitrary points `(m, number of axes)`: spectral sums, local polynomials on `Uniform` axes;
        `(m, channels)`.
        """
        points = jnp.asarray(points)
        if points.ndim != 2 or points.shape[1] != len(self.names):
            raise ValueError(
                f"points for a field of ({', '.join(self.names)}) have shape (m, {len(self.names)}), "
                f"got {points.shape}."
            )
        if self._flips:
            return jnp.concatenate([self[c](points) for c in range(self.channels)], axis=1)
        axes = self.grid.coefficient_axes(self._real)
        matrices = [axis.basis(points[:, i]) for i, axis in enumerate(axes)]

        def at_point(rows):
            out = self.coefficients
            for row in reversed(rows):
                out = jnp.matmul(
                    out,
                    row.astype(out.dtype if jnp.iscomplexobj(out) or not jnp.iscomplexobj(row) else row.dtype),
                    precision="highest",
                )
            return out.real if self._real else out

        return jax.vmap(at_point)(matrices)

    def resample(self, grid: Grid | tuple[int, ...]) -> "GridField":
        """The field on another grid of the same axis names (or the same axes with another shape).

        Along an axis of the same kind and interval, coefficients are truncated or padded; elsewhere the basis is
        evaluated at the new nodes.
        """
        if not isinstance(grid, Grid):
            return self.resample(self.grid.with_shape(tuple(grid)))
        if grid == self.grid:
            return self
        if self.grid.names != grid.names:
            raise ValueError(
                f"resampling keeps the axis names: this field has {self.grid.names}, the grid {grid.names}."
            )
        if self._flips:
            return _join([self[c].resample(grid.flipped(self._flips[c])) for c in range(self.channels)])
        axes = self.grid.coefficient_axes(self._real)
        same = [
            a.is_spectral
            and type(a) is type(b)
            and (a.length, a.start) == (b.length, b.start)
            and getattr(a, "centred", False) == getattr(b, "centred", False)
            for a, b in zip(self.grid.axes, grid.axes, strict=True)
        ]
        if all(same):
            return make(self.grid.resize(self.coefficients, grid.shape, self._real), grid, COEFFICIENTS, self._real)
        out, first = self.coefficients, self.data.ndim - len(axes)
        for i, (axis, target) in enumerate(zip(axes, grid.axes, strict=True)):
            matrix = axis.basis(jnp.asarray(target.points, out.real.dtype))
            dtype = jnp.result_type(matrix.dtype, out.dtype) if jnp.iscomplexobj(matrix) else out.dtype
            out = jnp.tensordot(out.astype(dtype), matrix.astype(dtype), axes=((first + i,), (1,)), precision="highest")
            out = jnp.moveaxis(out, -1, first + i)
        return make(out.real if self._real else out, grid, VALUES, self._real)

    def __repr__(self) -> str:
        return f"GridField({self.channels} channels, {self.dtype}, {self._kind}, {self.grid})"


def make(data: Array, grid: Grid, kind: str, real: bool, flips: tuple[tuple[str, ...], ...] = ()) -> GridField:
    """Build a field without checks: what `vmap` and `scan` see may carry batch axes."""
    field = object.__new__(GridField)
    for name, value in (("data", data), ("grid", grid), ("_kind", kind), ("_real", real), ("_flips", flips)):
        object.__setattr__(field, name, value)
    return field


def _join(fields: list[GridField]) -> GridField:
    # Parities may differ from channel to channel.
    base = fields[0].grid
    for field in fields[1:]:
        check_nodes(base, field.grid)
    if any(field._flips for field in fields):
        fields = [field[c] for field in fields for c in range(field.channels)]
    flips = tuple(base.parity_flips(field.grid) for field in fields for _ in range(field.channels))
    kinds = {field._kind for field in fields}
    real = all(field._real for field in fields)
    kind = kinds.pop() if len(kinds) == 1 and all(f._real == real for f in fields) else VALUES
    data = {VALUES: lambda f: f.values, COEFFICIENTS: lambda f: f.coefficients, PRODUCT: lambda f: f.data}[kind]
    grid = base if all(_same_conditions(base, f.grid) for f in fields) else free(base)
    joined = jnp.concatenate([data(f) for f in fields], axis=fields[0].data.ndim - 1 - len(base.axes))
    return make(joined, grid, kind, real, flips if any(flips) else ())


def stack(fields) -> AbstractField:
    """Join the channels of several fields into one field; functions are sampled if any of the fields lives on a grid.

    **Raises** `ValueError` for an empty list or fields on different nodes.
    """
    fields = list(fields)
    if not fields:
        raise ValueError("stack needs at least one field; write stack([u, v]).")
    on_grid = next((field for field in fields if isinstance(field, GridField)), None)
    if on_grid is not None:
        fields = [sample(f, on_grid.grid, on_grid.dtype) if isinstance(f, FunctionField) else f for f in fields]
    return fields[0].join(fields[1:])


def at_nodes(*fields: AbstractField) -> tuple[AbstractField, ...]:
    """The same fields, grid fields on one grid brought to the nodes where products are taken in one joint transform.

    What a product would do field by field; together the transforms are batched.
    """
    first = fields[0]
    if not all(
        isinstance(f, GridField) and f._kind == COEFFICIENTS and f._real and _periodic(f.grid) and f.grid == first.grid
        for f in fields
    ):
        return fields
    data, kind = _join(list(fields))._pointwise()
    ends = np.cumsum([f.channels for f in fields])
    channel = data.ndim - len(first.grid.axes) - 1
    return tuple(
        make(jax.lax.slice_in_dim(data, end - f.channels, end, axis=channel), first.grid, kind, True)
        for f, end in zip(fields, ends, strict=True)
    )


def sample(field: FunctionField, grid: Grid, dtype=None) -> GridField:
    """Values of a function field at the nodes of a grid (axes in any order, names must agree).

    **Raises** `ValueError` if the names differ.
    """
    missing = [name for name in field.names if name not in grid.names]
    if missing:
        raise ValueError(
            f"a function of ({', '.join(field.names)}) cannot be sampled on {grid}: no axis {missing[0]!r}; "
            f"write function.at({missing[0]}=value) to fix that coordinate."
        )
    dtype = jnp.result_type(float) if dtype is None else dtype
    mesh = grid.mesh()[[grid.index(name) for name in field.names]]
    points = jnp.asarray(mesh.reshape(len(field.names), -1).T, jnp.zeros((), dtype).real.dtype)
    values = field(points)
    if jnp.issubdtype(values.dtype, jnp.floating):
        values = values.astype(dtype)
    return GridField(jnp.moveaxis(values, -1, 0).reshape(-1, *grid.shape), grid)


def free(grid: Grid) -> Grid:
    """The grid without boundary conditions on its nodal axes:
    sums and products do not satisfy their terms' conditions.
    """
    return grid.with_axes(getattr(axis, "free", axis) for axis in grid.axes)


def _of_channel(datum: Array, index: int, channels: int, ndim: int) -> Array:
    """Boundary data `(channels, ...)` of one channel; data for all channels alike stay as they are."""
    own = jnp.ndim(datum) == ndim and datum.shape[0] == channels
    return datum[index : index + 1] if own else datum


def check_nodes(a: Grid, b: Grid) -> None:
    """**Raises** `ValueError` if two grids have different nodes."""
    if not a.same_nodes(b):
        raise ValueError(
            f"fields live on different grids: {a} and {b}; "
            "write field.resample(grid) to bring one onto the other's nodes."
        )


def _periodic(grid: Grid) -> bool:
    return all(isinstance(axis, Fourier) for axis in grid.axes)


def _broadcast_channels(a: GridField, b: GridField) -> int:
    if a.channels != b.channels and 1 not in (a.channels, b.channels):
        raise ValueError(
            f"fields with {a.channels} and {b.channels} channels do not combine; "
            "take one channel with u[i] or join with stack."
        )
    return max(a.channels, b.channels)


def _same_conditions(a: Grid, b: Grid) -> bool:
    return all(
        type(getattr(p, end, None)) is type(getattr(q, end, None))
        for p, q in zip(a.axes, b.axes, strict=True)
        for end in ("lower", "upper")
    )


def _complex(dtype):
    return np.result_type(dtype, np.complex64)


def _scalar(value, dtype) -> Array:
    """A number in the precision of `dtype`, complex only if it is."""
    value = jnp.asarray(value)
    real = jnp.zeros((), dtype).real.dtype
    return value.astype(np.result_type(real, np.complex64) if jnp.iscomplexobj(value) else real)
