import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import AbstractField, FunctionField, stack
from ..grids import Fourier, Uniform


def shift(u: AbstractField, name: str, distance: float) -> AbstractField:
    """Translation along one coordinate: the field whose value at `x` is `u(x + distance)`.

    On a periodic axis the node values are rolled, so `distance` is a whole number of spacings (give lattice models an
    axis whose length is its number of nodes). A field on product nodes is taken back to the nodes of its grid first. A
    function is evaluated at the translated point.

    **Raises** `ValueError` for a closed axis or a distance between nodes.
    """
    if isinstance(u, FunctionField):
        return FunctionField(_Translated(u, u.names.index(name), distance), u.names)
    if u._flips:
        return stack([shift(u[i], name, distance) for i in range(u.channels)])
    axis, index = u.grid.axis(name), u.grid.index(name)
    if not (isinstance(axis, Fourier) or (isinstance(axis, Uniform) and axis.is_periodic)):
        raise ValueError(
            f"a shift needs a periodic axis, {name!r} is closed ({type(axis).__name__}); "
            f"write {name}=Fourier({axis.n}, length={axis.length:g})."
        )
    nodes = distance * axis.n / axis.length
    steps = round(nodes)
    if abs(nodes - steps) > 1e-6:
        raise ValueError(
            f"a shift by {distance:g} along {name!r} is {nodes:g} spacings of that axis, which has {axis.n} nodes on a "
            f"length of {axis.length:g}; write length={axis.n} for a lattice with unit spacing."
        )
    values = u.values
    return u.with_values(jnp.roll(values, -steps, axis=values.ndim - len(u.grid.axes) + index))


class _Translated(eqx.Module):
    field: FunctionField
    index: int = eqx.field(static=True)
    distance: float = eqx.field(static=True)

    def __call__(self, point: Array) -> Array:
        unit = np.arange(len(point)) == self.index
        return self.field.at_point(point + jnp.asarray(self.distance * unit, point.dtype))
