import itertools
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from ..fields import GridField
from ..grids import Fourier, Uniform


class BoxImage(eqx.Module):
    """A symmetry of a box: axes exchanged, then some reflected, `(S u)(x)_i = u(.., length - x_j, ..)`.

    **Arguments:** `order`, which axis of the input comes at each place; `reflected`, one flag per place.

    **Shapes:** scalar fields `(channels, *n)` to fields on the same grid.

    **Raises** `ValueError` for axes that differ and are exchanged, and reflected ones whose nodes have no mirror image.
    """

    order: tuple[int, ...] = eqx.field(static=True)
    reflected: tuple[bool, ...] = eqx.field(static=True)

    def __call__(self, u: GridField) -> GridField:
        self._check(u)
        values = jnp.transpose(u.values, (0, *(1 + i for i in self.order)))
        return u.with_values(jnp.flip(values, self._flipped()))

    def back(self, u: GridField) -> GridField:
        """The inverse."""
        self._check(u)
        inverse = (0, *(1 + self.order.index(i) for i in range(len(self.order))))
        return u.with_values(jnp.transpose(jnp.flip(u.values, self._flipped()), inverse))

    def _flipped(self) -> tuple[int, ...]:
        return tuple(1 + i for i, flag in enumerate(self.reflected) if flag)

    def _check(self, u: GridField) -> None:
        axes = u.grid.axes
        if len(axes) != len(self.order):
            raise ValueError(f"images of a box of ndim={len(self.order)} do not fit a field on {u.grid}.")
        for i, j in enumerate(self.order):
            if type(axes[i]) is not type(axes[j]) or (axes[i].n, axes[i].length) != (axes[j].n, axes[j].length):
                raise ValueError(
                    f"axes {u.grid.names[i]!r} and {u.grid.names[j]!r} of {u.grid} differ and cannot be exchanged; use "
                    "the model alone, or a grid with equal axes."
                )
            if self.reflected[i] and (isinstance(axes[i], Fourier) or _is_ring(axes[i])):
                raise ValueError(
                    f"axis {u.grid.names[i]!r} of {u.grid} is periodic, and its nodes are not their own mirror image; "
                    "write images=exchanges(ndim), or nn.FarEnds for data that stop one node short of the far end."
                )


def exchanges(ndim: int) -> tuple[BoxImage, ...]:
    """The `ndim!` exchanges of the axes of a cube."""
    return tuple(BoxImage(order, (False,) * ndim) for order in itertools.permutations(range(ndim)))


def box_images(ndim: int) -> tuple[BoxImage, ...]:
    """All `2^ndim ndim!` symmetries of a cube: exchanges of its axes and reflections."""
    flags = list(itertools.product((False, True), repeat=ndim))
    return tuple(BoxImage(order, flag) for order in itertools.permutations(range(ndim)) for flag in flags)


class Symmetrised(eqx.Module):
    """A model made equivariant to symmetries of a box: `u = mean over S of S^-1 M(S a)`.

    For scalar fields of isotropic equations on a square: the symmetries are exact, and a model that has them learns
    from each sample as often as there are images and errs less. Costs as many evaluations of `model`.

    **Arguments:** `images`: `nn.exchanges(ndim)`, or with reflections `nn.box_images(ndim)`.

    **Shapes:** those of `model`. **Raises** what the images and the model raise.
    """

    model: Callable[[GridField], GridField]
    images: tuple[BoxImage, ...]

    def __init__(self, model: Callable[[GridField], GridField], images: tuple[BoxImage, ...]):
        self.model, self.images = model, tuple(images)

    def __call__(self, a: GridField) -> GridField:
        outputs = [image.back(self.model(image(a))).values for image in self.images]
        return a.with_values(sum(outputs[1:], outputs[0]) / len(outputs))


class FarEnds(eqx.Module):
    """A model on a closed box, for data on nodes that begin on the boundary and stop one short of the far end.

    Each axis gets the missing node, with the value of the node before it, and is closed (`Uniform`); of the answer the
    nodes of the data are kept.

    **Shapes:** those of `model`. **Raises** what the model raises.
    """

    model: Callable[[GridField], GridField]

    def __call__(self, a: GridField) -> GridField:
        grid = a.grid.with_axes(Uniform(axis.n + 1, axis.length, axis.start) for axis in a.grid.axes)
        closed = jnp.pad(a.values, [(0, 0), *((0, 1) for _ in a.grid.axes)], mode="edge")
        return a.with_values(self.model(GridField(closed, grid)).values[(slice(None), *(slice(0, -1),) * a.grid.ndim)])


def _is_ring(axis) -> bool:
    return isinstance(axis, Uniform) and axis.is_periodic
