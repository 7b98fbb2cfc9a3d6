from functools import partial

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import (
    KernelIntegral,
    PointLiftProject,
    check_counts,
    envelope_at,
    hidden_grid,
    nodes,
    radius_graph,
)


class MultipoleGNO(eqx.Module):
    """Multipole graph neural operator: kernel integrals within and between levels of points, in V-cycles.

    One cycle: downwards `v_{l+1} <- relu(v_{l+1} + K_{l,l+1} v_l)`; upwards from the coarsest level `v_l <- relu(v_l +
    K_{l,l} v_l)`, then `v_{l-1} <- relu(v_{l-1} + K_{l,l-1} v_l)`. Each `K` is a `nn.KernelIntegral`, the same in all
    cycles; long distances cost little, as they are covered by few points. All levels start from `P(a, x)`, with the
    means of `a` over the balls that lead to them.

    Level 0 has the points of the input, on a grid or anywhere; level `l > 0` has the nodes of a coarse grid on the
    same axes, which do not depend on the input. Boundaries and convergence as for `GNO`.

    **Arguments:** `coarse`: nodes per axis of the levels `1, 2, ..`, from fine to coarse; `radii` of the balls within
    the levels `0, 1, 2, ..`, in the units of the axes, that of the coarser level holding between two; `cycles`;
    `kernel_width` of the kernels' networks, halved from level to level.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or if there is not one radius more than `coarse`.

    Source: Li, Kovachki et al. 2020, Multipole graph neural operator for parametric partial differential equations,
    and the authors' scripts. Deviations: coarse nodes of grids in place of random subsets, and those of
    `nn.KernelIntegral`.
    """

    around: PointLiftProject
    within: tuple[KernelIntegral, ...]
    down: tuple[KernelIntegral, ...]
    up: tuple[KernelIntegral, ...]
    coarse: tuple[int, ...] = eqx.field(static=True)
    cycles: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        coarse: tuple[int, ...],
        radii: tuple[float, ...],
        width: int,
        cycles: int,
        ndim: int,
        *,
        kernel_width: int = 64,
        key: PRNGKeyArray,
    ):
        check_counts("MultipoleGNO", cycles=cycles, kernel_width=kernel_width)
        if len(radii) != len(coarse) + 1:
            raise ValueError(
                f"levels 0 .. {len(coarse)} need {len(coarse) + 1} radii, got radii={tuple(radii)!r} with "
                f"coarse={tuple(coarse)!r}; write coarse=(16, 8), radii=(0.1, 0.2, 0.4)."
            )
        a, *keys = jax.random.split(key, 4)
        self.around = PointLiftProject(in_channels, out_channels, width, ndim, key=a)
        self.coarse, self.cycles = tuple(coarse), cycles

        def integrals(levels, key):
            make = lambda l, key: KernelIntegral(
                width, in_channels, max(kernel_width >> l, 1), ndim, radius=radii[l], key=key
            )
            return tuple(map(make, levels, jax.random.split(key, len(radii))))

        self.within = integrals(range(len(radii)), keys[0])
        self.down, self.up = (integrals(range(1, len(radii)), key) for key in keys[1:])

    def __call__(self, a: GridField) -> GridField:
        values, weights = a.values.reshape(a.channels, -1), hidden_grid(a.grid).weights()
        return a.with_values(self.on_points(values, nodes(a.grid), a.grid, weights).reshape(-1, *a.grid.shape))

    def on_points(
        self,
        values: Float[Array, "in n"],
        points: Float[np.ndarray | Array, "n d"],
        domain: Grid,
        weights: Float[np.ndarray | Array, " n"] | None = None,
    ) -> Float[Array, "out n"]:
        """The output at a cloud of points from the input there, with quadrature weights of the points, equal by
        default. `domain` is a grid whose axes contain the points; its nodes do not count.
        """
        grids = [hidden_grid(domain).with_shape((n,) * len(domain.axes)) for n in self.coarse]
        where, rules = [points, *map(nodes, grids)], [weights, *(grid.weights() for grid in grids)]
        s = envelope_at(points, domain).astype(values.dtype)[None]

        def joined(integral, i, j):
            return radius_graph(where[i], integral.radius, domain, sources=where[j], weights=rules[j])

        def bound(integral, graph, i, j):
            """The integral from level j to level i as a function of the values alone: the cycles share the kernel."""
            return partial(integral.mean, integral.kernel(graph, where[i], domain, a[i], a[j]), graph)

        a, down = [s * values], []
        v = [self.around.lift(a[0], points, domain)]
        for l, integral in enumerate(self.down):
            graph = joined(integral, l + 1, l)
            a.append(graph.average(a[l]))
            v.append(self.around.lift(a[l + 1], where[l + 1], domain))
            down.append(bound(integral, graph, l + 1, l))
        within = [bound(integral, joined(integral, l, l), l, l) for l, integral in enumerate(self.within)]
        up = [bound(integral, joined(integral, l, l + 1), l, l + 1) for l, integral in enumerate(self.up)]

        def cycle(v: list[Array], _):
            v = list(v)
            for l in range(len(down)):
                v[l + 1] = jax.nn.relu(v[l + 1] + down[l](v[l]))
            for l in reversed(range(len(v))):
                v[l] = jax.nn.relu(v[l] + within[l](v[l]))
                if l:
                    v[l - 1] = jax.nn.relu(v[l - 1] + up[l - 1](v[l]))
            return v, None

        return s * self.around.project(jax.lax.scan(cycle, v, length=self.cycles)[0][0])
