from jaxtyping import Array

from ..calculus import advect, d
from ..fields import AbstractField
from ._base import entry


def transport(velocity: Array, u: AbstractField) -> AbstractField:
    """`velocity . grad u` for a constant velocity: one number for all axes, or one per axis."""
    terms = [entry(velocity, i) * d(u, name) for i, name in enumerate(u.space_names)]
    return sum(terms[1:], terms[0])


def self_advection(u: AbstractField) -> AbstractField:
    """`(u . grad) u`; in one dimension in the form `(u^2 / 2)_x`, which needs one transform fewer."""
    if u.channels == len(u.space_names) == 1:
        return d(u**2, u.space_names[0]) * 0.5
    return advect(u, u)
