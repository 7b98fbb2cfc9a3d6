import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import Grid, Uniform, finite_difference_weights
from ..grids import along as spread


class StaggeredFlow(eqx.Module):
    """A velocity on a staggered grid (Harlow & Welch 1965), with second-order differences in any dimension.

    Component i is stored for each cell at its upper face along axis i: on an axis with walls the last face is the upper
    wall itself and the lower wall is not stored. Along the other axes it sits at cell centres, and ghosts behind a wall
    reflect it, `2 u_wall - u`, so that the mean on the wall is the wall's velocity.

    **Arguments:** `velocity` `(ndim, *shape)`; `grid` of centred `Uniform` axes; `walls`: for each axis `None` if it is
    periodic, or the velocities of its lower and upper wall, `ndim` arrays each that broadcast against one layer of
    cells, component i at the points where it is stored.
    """

    velocity: Array
    grid: Grid
    walls: tuple[tuple[tuple[Array, ...], tuple[Array, ...]] | None, ...]

    def __init__(self, velocity: Array, grid: Grid, walls):
        # The upper walls are known: what is stored there plays no part.
        self.grid, self.walls = grid, walls
        known = [
            u if wall is None else _put_last(u, wall[1][i], i)
            for i, (u, wall) in enumerate(zip(velocity, walls, strict=True))
        ]
        self.velocity = jnp.stack(known)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.walls)

    def spacing(self, j: int) -> float:
        """Width of the cells along axis j."""
        axis = self.grid.axes[j]
        return axis.length / axis.n

    def extended(self, i: int, j: int) -> Array:
        """Component i with one more value at both ends of axis j: wrapped, walls (j = i) or ghosts behind walls."""
        u, wall = self.velocity[i], self.walls[j]
        if wall is None:
            return jnp.concatenate([_cut(u, j, -1, None), u, _cut(u, j, 0, 1)], axis=j)
        lower, upper = (_layer(side[i], u, j) for side in wall)
        if i == j:
            # Nobody asks for what lies beyond the upper wall.
            return jnp.concatenate([lower, u, upper], axis=j)
        return jnp.concatenate([2 * lower - _cut(u, j, 0, 1), u, 2 * upper - _cut(u, j, -1, None)], axis=j)

    def faces(self, i: int) -> Array:
        """Component i at all faces along its own axis, the lower wall included: one value more along axis i."""
        return _cut(self.extended(i, i), i, None, -1)

    def divergence(self) -> Array:
        """`div u` in the cells, `(*shape)`: what flows out through the faces of each."""
        return sum(jnp.diff(self.faces(i), axis=i) * (1 / self.spacing(i)) for i in range(self.ndim))

    def laplacian(self, i: int) -> Array:
        """`lap u_i` where component i is stored, `(*shape)`; without meaning on upper walls."""
        terms = [jnp.diff(self.extended(i, j), 2, axis=j) * self.spacing(j) ** -2 for j in range(self.ndim)]
        return sum(terms[1:], terms[0])

    def convection(self, i: int) -> Array:
        """`sum_j d(u_j u_i)/dx_j` where component i is stored, by central means; without meaning on upper walls.

        It moves kinetic energy and makes none: `sum u . convection(u) = 0` for `div u = 0` and walls that are closed
        (Harlow & Welch 1965; Morinishi, Lund, Vasilyev & Moin 1998).
        """
        terms = []
        for j in range(self.ndim):
            carried = _means(self.extended(i, j), j)
            carrier = carried if i == j else _means(self._beyond(self.faces(j), i), i)
            terms.append(jnp.diff(carrier * carried, axis=j) * (1 / self.spacing(j)))
        return sum(terms[1:], terms[0])

    def gradient(self, pressure: Array, i: int) -> Array:
        """`dp/dx_i` where component i is stored, of cell values `(*shape)`; zero on upper walls."""
        return jnp.diff(self._beyond(pressure, i), axis=i) * (1 / self.spacing(i))

    def with_wall(self, values: Array, on_wall: Array, i: int) -> Array:
        """Values where component i is stored, `(*shape)`, those on the upper wall replaced."""
        return values if self.walls[i] is None else _put_last(values, _cut(on_wall, i, -1, None), i)

    def _beyond(self, v: Array, i: int) -> Array:
        return jnp.concatenate([v, _cut(v, i, 0, 1) if self.walls[i] is None else _cut(v, i, -1, None)], axis=i)

    # Reading

    def at_centres(self) -> GridField:
        """The velocity at the cell centres: means of opposite faces, `ndim` channels."""
        values = jnp.stack([_means(self.faces(i), i) for i in range(self.ndim)])
        return GridField(values, self.grid.with_axes(axis.free for axis in self.grid.axes))

    def at_points(self, points: Array) -> Array:
        """The velocity at arbitrary points `(m, ndim)` by cubic polynomials through stored and wall values;
        `(m, ndim)`.
        """
        points = jnp.asarray(points, self.velocity.dtype)
        columns = []
        for i in range(self.ndim):
            values, rows = self.velocity[i], []
            for j in range(self.ndim):
                values, nodes = self._with_walls(values, i, j)
                rows.append(_cubic_rows(nodes, points[:, j]))
            columns.append(jax.vmap(_contract, (None, 0))(values, rows))
        return jnp.stack(columns, axis=1)

    def stream_function(self) -> GridField:
        """`psi` with `u = (psi_y, -psi_x)` at the corners of the cells, zero at the lower one: exact for `div u = 0`.

        **Raises** `ValueError` unless there are two axes, both with walls.
        """
        if self.ndim != 2 or None in self.walls:
            raise ValueError(
                f"a stream function is for flow in the plane between walls, this one has {self.ndim} axes and "
                f"{self.walls.count(None)} periodic ones; write curl(flow.at_centres()) for the vorticity."
            )
        through = jnp.cumsum(self.faces(0), axis=1) * self.spacing(1)
        below = jnp.cumsum(self.faces(1)[:, 0]) * self.spacing(0)
        values = jnp.pad(through, ((0, 0), (1, 0))) - jnp.pad(below, (1, 0))[:, None]
        corners = self.grid.with_axes(Uniform(axis.n + 1, axis.length, axis.start) for axis in self.grid.axes)
        return GridField(values[None], corners)

    def _with_walls(self, u: Array, i: int, j: int) -> tuple[Array, np.ndarray]:
        """Values of component i with those on the walls of axis j, or three periods' ends, and where they are."""
        axis, h, wall = self.grid.axes[j], self.spacing(j), self.walls[j]
        stored = positions(self.grid, i)[j]
        if wall is None:
            around = [_cut(u, j, -2, None), u, _cut(u, j, 0, 2)]
            return jnp.concatenate(around, axis=j), stored[0] + h * np.arange(-2, axis.n + 2)
        like = self.velocity[i]
        ends = [_layer(side[i], like, j) for side in wall]
        for k in range(j):
            ends = [self._lengthened(end, i, k) for end in ends]
        if i == j:
            return jnp.concatenate([ends[0], u], axis=j), np.concatenate([[axis.start], stored])
        nodes = np.concatenate([[axis.start], stored, [axis.start + axis.length]])
        return jnp.concatenate([ends[0], u, ends[1]], axis=j), nodes

    def _lengthened(self, layer: Array, i: int, k: int) -> Array:
        """Values on a wall continued to its edges along axis k, by a parabola."""
        if self.walls[k] is None:
            return jnp.concatenate([_cut(layer, k, -2, None), layer, _cut(layer, k, 0, 2)], axis=k)
        places = np.arange(min(3, layer.shape[k])) + (1.0 if i == k else 0.5)
        weights = finite_difference_weights(places, derivative=0).tolist()
        lower, upper = (
            sum(w * _cut(side, k, m, m + 1) for m, w in enumerate(weights)) for side in (layer, jnp.flip(layer, k))
        )
        return jnp.concatenate([lower, layer] if i == k else [lower, layer, upper], axis=k)


def positions(grid: Grid, i: int | None = None) -> list[np.ndarray]:
    """Coordinates along each axis of what is stored for velocity component i, or for the pressure (`i=None`)."""
    half = [axis.length / axis.n / 2 for axis in grid.axes]
    return [axis.points + (half[j] if j == i else 0.0) for j, axis in enumerate(grid.axes)]


def _contract(values: Array, rows: list[Array]) -> Array:
    for row in reversed(rows):
        values = jnp.matmul(values, row, precision="highest")
    return values


def _cubic_rows(nodes: np.ndarray, points: Array) -> Array:
    """Matrix `(m, n)` of local Lagrange polynomials through the four nearest nodes (or all)."""
    width, x = min(4, len(nodes)), jnp.asarray(nodes, points.dtype)
    first = jnp.clip(jnp.searchsorted(x, points) - width // 2, 0, len(nodes) - width)
    index = first[:, None] + jnp.arange(width, dtype=first.dtype)[None]
    near = x[index]
    same = np.eye(width, dtype=bool)[None]
    gaps = near[:, :, None] - near[:, None, :]
    ratios = (points[:, None, None] - near[:, None, :]) / jnp.where(same, 1, gaps)
    weights = jnp.prod(jnp.where(same, 1, ratios), axis=2)
    return (
        jnp.zeros((len(points), len(nodes)), points.dtype)
        .at[jnp.arange(len(points), dtype=first.dtype)[:, None], index]
        .set(weights)
    )


def _means(v: Array, axis: int) -> Array:
    return 0.5 * (_cut(v, axis, None, -1) + _cut(v, axis, 1, None))


def _cut(v: Array, axis: int, begin: int | None, end: int | None) -> Array:
    return v[(slice(None),) * axis + (slice(begin, end),)]


def _put_last(v: Array, value: Array, axis: int) -> Array:
    last = spread(np.arange(v.shape[axis]) == v.shape[axis] - 1, axis, v.ndim)
    return jnp.where(last, _layer(value, v, axis), v)


def _layer(value: Array, like: Array, axis: int) -> Array:
    """One layer along the axis of the values on a wall."""
    shape = like.shape[:axis] + (1,) + like.shape[axis + 1 :]
    return jnp.broadcast_to(value, shape)
