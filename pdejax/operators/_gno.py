import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import (
    KernelIntegral,
    PointLiftProject,
    Pointwise,
    RadiusGraph,
    check_counts,
    envelope_at,
    hidden_grid,
    nodes,
    radius_graph,
)


class GNO(eqx.Module):
    """Graph neural operator: `v_{k+1} = relu(W v_k + K v_k + b)`, `depth` times with the same maps, `u = Q(v_depth)`.

    `v_0 = P(a, x)`, and `K` is a `nn.KernelIntegral` whose kernel sees `a`. Nothing but integrals over balls joins
    points, so one set of weights serves grids of any size (`model(a)`) and clouds of points in the domain
    (`on_points`). Results converge, at first order, as the quadrature of a ball does. On `Sine` axes input and output
    are multiplied by `nn.envelope`, which vanishes at the ends.

    **Arguments:** `width` of the hidden values; `depth` iterations; `radius` of the balls in the units of the axes;
    `kernel_width` of the kernel's network.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Li, Kovachki et al. 2020, Neural operator: graph kernel network for partial differential equations,
    and the authors' scripts. Deviations: the envelope, and those of `nn.KernelIntegral`.
    """

    around: PointLiftProject
    integral: KernelIntegral
    local: Pointwise
    depth: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        depth: int,
        ndim: int,
        *,
        radius: float,
        kernel_width: int = 32,
        key: PRNGKeyArray,
    ):
        check_counts("GNO", depth=depth)
        a, b, c = jax.random.split(key, 3)
        self.around = PointLiftProject(in_channels, out_channels, width, ndim, key=a)
        self.integral = KernelIntegral(width, in_channels, kernel_width, ndim, radius=radius, key=b)
        self.local = Pointwise(width, width, key=c)
        self.depth = depth

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
        default (see `nn.voronoi_weights`). `domain` is a grid whose axes contain the points; its nodes do not count.
        """
        graph = radius_graph(points, self.integral.radius, domain, weights=weights)
        return self.on_graph(values, points, graph, domain)

    def on_graph(
        self, values: Float[Array, "in n"], points: Float[np.ndarray | Array, "n d"], graph: RadiusGraph, domain: Grid
    ) -> Float[Array, "out n"]:
        """`on_points` with the graph of the points made before: graphs of equal sizes share one compiled program."""
        s = envelope_at(points, domain).astype(values.dtype)[None]
        a = s * values
        v = self.around.lift(a, points, domain)
        h = self.integral.kernel(graph, points, domain, a, a)
        step = lambda v, _: (jax.nn.relu(self.local.on_values(v) + self.integral.mean(h, graph, v)), None)
        return s * self.around.project(jax.lax.scan(step, v, length=self.depth)[0])
