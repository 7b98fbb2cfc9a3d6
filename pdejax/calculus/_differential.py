from ..fields import AbstractField, at_nodes, stack
from ..grids import arithmetic_mean


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
    """`div(a grad u)` over the space axes, channel by channel; `a` is a number or a one-channel field.

    On `Uniform` axes in conservative flux form with face coefficients `mean(a)` (`arithmetic_mean`, `harmonic_mean`);
    on other axes by exact differentiation of the basis, where `mean` plays no part.
    """
    return _sum(u.diffuse_along(a, name, mean) for name in u.space_names)


def advect(v: AbstractField, u: AbstractField) -> AbstractField:
    """`(v . grad) u = sum_i v_i du/dx_i`, channel by channel in `u`; `v` has one channel per space axis.

    **Raises** `ValueError` if the channel count of `v` differs.
    """
    _vector("advect", v)
    # One joint transform for all factors.
    speed, *slopes = at_nodes(v, *(u.derivative(name) for name in u.space_names))
    return _sum(speed[i] * slope for i, slope in enumerate(slopes))


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
        raise ValueError(
            f"{name} takes a vector field with one channel per space axis ({', '.join(v.space_names)}), got "
            f"{v.channels} channels; join components with stack."
        )
