import jax.numpy as jnp

from ..fields import AbstractField, GridField, at_nodes, stack
from ..grids import Uniform, arithmetic_mean


def d(u: AbstractField, name: str, order: int = 1) -> AbstractField:
    """Partial derivative `d^order u / d name^order`, channel by channel.

    **Raises** `ValueError` for an unknown coordinate or an order below one.
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"the order of a derivative is a positive integer, got {order!r}; write d(u, {name!r}, 1).")
    return u.derivative(name, order)


def grad(u: AbstractField) -> AbstractField:
    """Gradient of a one-channel field along the space axes: `ndim` channels.

    **Raises** `ValueError` if `u` has more than one channel.
    """
    _one_channel("grad", u)
    return stack([u.derivative(name) for name in u.space_names])


def div(v: AbstractField) -> AbstractField:
    """Divergence `sum_i d v_i / d x_i` of a field with one channel per space axis.

    **Raises** `ValueError` if the channel count differs.
    """
    _vector("div", v)
    return _sum(v[i].derivative(name) for i, name in enumerate(v.space_names))


def curl(v: AbstractField) -> AbstractField:
    """Curl of a vector field: three channels in three dimensions; in two, the scalar `dv_2/dx_1 - dv_1/dx_2`.

    In two dimensions a scalar (stream function) has the vector curl `(ds/dx_2, -ds/dx_1)`.

    **Raises** `ValueError` in other dimensions.
    """
    names = v.space_names
    if len(names) == 2 and v.channels == 1:
        return stack([v.derivative(names[1]), -v.derivative(names[0])])
    if len(names) not in (2, 3):
        raise ValueError(f"curl exists in two and three dimensions, this field has space axes {names}.")
    _vector("curl", v)
    pairs = [(0, 1)] if len(names) == 2 else [(1, 2), (2, 0), (0, 1)]
    parts = [v[j].derivative(names[i]) - v[i].derivative(names[j]) for i, j in pairs]
    return parts[0] if len(parts) == 1 else stack(parts)


def laplacian(u: AbstractField) -> AbstractField:
    """`sum_i d^2 u / d x_i^2` over the space axes, channel by channel."""
    return _sum(u.derivative(name, 2) for name in u.space_names)


def diffuse(a, u: AbstractField, mean=arithmetic_mean) -> AbstractField:
    """`div(a grad u)` over the space axes, channel by channel.

    `a` is a number, an array with one entry per axis or a matrix of them; or a field with one channel, one channel per
    axis (a diagonal tensor) or one for each entry of a symmetric tensor, row by row.

    On `Uniform` axes in conservative flux form with face coefficients `mean(a)` (`arithmetic_mean`, `harmonic_mean`);
    on other axes by exact differentiation of the basis, where `mean` plays no part. Entries off the diagonal are
    differenced by `cross_derivative`; with arithmetic means the sum is then symmetric and positive definite for every
    positive definite tensor (each node's share of the energy is).

    **Raises** `ValueError` if the number of entries fits none of these.
    """
    names = u.space_names
    entries = _entries(a, len(names))
    return _sum(
        u.diffuse_along(entry, names[i], mean) if i == j else cross_derivative(entry, u, names[i], names[j])
        for (i, j), entry in entries.items()
    )


def cross_derivative(a, u: AbstractField, outer: str, inner: str) -> AbstractField:
    """`d/d outer (a du/d inner)` along two different axes, channel by channel; `a` is a number or one-channel field.

    At order 2 on `Uniform` axes it reaches the four diagonal neighbours, and its sum with `outer` and `inner` exchanged
    is symmetric: no flux of it passes ends with a condition on the slope, where a given slope thus stands for the whole
    flux (the conormal derivative), as in `Uniform.cross_divergence`.

    **Raises** `ValueError` for one axis twice (`diffuse` does that).
    """
    if outer == inner:
        raise ValueError(f"a cross derivative takes two axes, got {outer!r} twice; write diffuse(a, u).")
    if not isinstance(u, GridField):
        return (a * u.derivative(inner)).derivative(outer)
    if isinstance(a, GridField):
        a = a.on(u.grid.as_coefficient())
    flux = a * _across(u, u.grid.axis(inner), inner, Uniform.cross_slope)
    return _across(flux, u.grid.axis(outer), outer, Uniform.cross_divergence)


def _across(u: GridField, axis, name: str, rule) -> GridField:
    if not isinstance(axis, Uniform):
        return u.derivative(name)
    if u.channels > 1:
        return stack([_across(u[i], axis, name, rule) for i in range(u.channels)])
    values = u.values
    out = rule(axis, values, values.ndim - len(u.names) + u.grid.index(name))
    return GridField(out, u.grid.replace(**{name: axis.free}))


def _entries(a, ndim: int) -> dict:
    """The entries of a tensor that are not known to be zero, by row and column."""
    if isinstance(a, AbstractField):
        count, entry = a.channels, lambda i: a[i]
    else:
        count, entry = jnp.size(a), lambda i: jnp.ravel(a)[i]
    if count == 1:
        return {(i, i): a if isinstance(a, AbstractField) else jnp.reshape(a, ()) for i in range(ndim)}
    if count == ndim:
        return {(i, i): entry(i) for i in range(ndim)}
    if count == ndim**2:
        return {(i, j): entry(i * ndim + j) for i in range(ndim) for j in range(ndim)}
    raise ValueError(
        f"a coefficient on {ndim} axes has 1, {ndim} or {ndim**2} entries (isotropic, diagonal, full), got {count}; "
        "join them with stack."
    )


def advect(v: AbstractField, u: AbstractField) -> AbstractField:
    """`(v . grad) u = sum_i v_i du/dx_i`, channel by channel in `u`; `v` has one channel per space axis.

    **Raises** `ValueError` if the channel count of `v` differs.
    """
    _vector("advect", v)
    # One joint transform for all factors.
    speed, *slopes = at_nodes(v, *(u.derivative(name) for name in u.space_names))
    return _sum(speed[i] * slope for i, slope in enumerate(slopes))


def upwind(v, u: AbstractField) -> AbstractField:
    """`(v . grad) u` by first-order differences against the wind on `Uniform` axes, channel by channel in `u`.

    `v` is a number, an array with one entry per axis, or a field with one channel per axis. The central difference less
    `|v| h / 2` times the second one: off-diagonal entries have one sign, so that advection-diffusion stays monotone on
    any grid (Courant, Isaacson & Rees 1952). Functions have no mesh width and are differentiated exactly.

    **Raises** `ValueError` for other axes or orders, and for a wrong number of entries.
    """
    return _sum(_windward(_component(v, i, u), u, name) for i, name in enumerate(u.space_names))


def _windward(speed, u: AbstractField, name: str) -> AbstractField:
    slope = u.derivative(name)
    if not isinstance(u, GridField):
        return speed * slope
    axis = u.grid.axis(name)
    if not (isinstance(axis, Uniform) and axis.order == 2):
        raise ValueError(
            f"upwind differences need Uniform axes of order 2, axis {name!r} is {axis}; write {name}=Uniform({axis.n}, "
            "...), or advect(v, u)."
        )
    size = speed.map(jnp.abs, parity="even") if isinstance(speed, AbstractField) else jnp.abs(speed)
    return speed * slope - (0.5 * axis.spacing) * size * u.derivative(name, 2)


def _component(v, i: int, u: AbstractField):
    if isinstance(v, AbstractField):
        if v.channels != len(u.space_names):
            _vector_error("upwind", v.channels, u)
        return v[i]
    if jnp.ndim(v) and jnp.shape(v) != (len(u.space_names),):
        _vector_error("upwind", jnp.shape(v), u)
    return v if jnp.ndim(v) == 0 else v[i]


def _sum(terms):
    terms = list(terms)
    return sum(terms[1:], terms[0])


def _one_channel(name: str, u: AbstractField) -> None:
    if u.channels != 1:
        raise ValueError(
            f"{name} takes a field with one channel, got {u.channels}; write stack([{name}(u[i]) for i in ...])."
        )


def _vector(name: str, v: AbstractField) -> None:
    if v.channels != len(v.space_names):
        _vector_error(name, v.channels, v)


def _vector_error(name: str, got, like: AbstractField) -> None:
    raise ValueError(
        f"{name} takes a vector field with one channel per space axis ({', '.join(like.space_names)}), got "
        f"{got} channels; join components with stack."
    )
