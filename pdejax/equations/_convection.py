"""Convection terms of incompressible flow in the forms that need the fewest transforms."""

from ..calculus import d
from ..fields import AbstractField, at_nodes, stack


def vorticity_convection(stream: AbstractField) -> AbstractField:
    """`v . grad w` in the plane for `v = curl psi`, `w = -lap psi`, as the curl of the momentum flux:
    `(d_xx - d_yy)(v_x v_y) + d_xy(v_y^2 - v_x^2)` (Basdevant 1983).

    Two fields go to the nodes and two come back, where `advect(curl(psi), w)` takes four and one; pairs of real fields
    share one complex transform.
    """
    x, y = stream.space_names
    (velocity,) = at_nodes(stack([d(stream, y), -d(stream, x)]))
    u, v = velocity[0], velocity[1]
    flux = stack([u * v, (v + u) * (v - u)]).as_coefficients()
    return d(flux[0], x, 2) - d(flux[0], y, 2) + d(d(flux[1], x), y)
