from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


class Recurrence(eqx.Module):
    """`h_t = f(h_{t-1}, x_t)`, `t = 1, ..., T`, from `h_0`; a trajectory holds `h_1, ..., h_T` along the first axis.

    `length` is `T`; `inputs` are stacked in the same way, or `None`.
    """

    step: Callable[[PyTree, PyTree], PyTree]
    start: PyTree[Array]
    inputs: PyTree[Array]
    length: int = eqx.field(static=True)

    def before(self, h: PyTree[Array]) -> PyTree[Array]:
        """`h_0, ..., h_{T-1}`."""
        return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), self.start, h)

    def images(self, h: PyTree[Array]) -> PyTree[Array]:
        """`f(h_{t-1}, x_t)` for all `t` at once; a trajectory that equals its images solves the recurrence."""
        return jax.vmap(self.step)(self.before(h), self.inputs)

    def resting(self) -> PyTree[Array]:
        """The trajectory that never leaves `h_0`."""
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (self.length, *x.shape)), self.start)

    def part(self, start: PyTree[Array], first: int, length: int) -> "Recurrence":
        """`length` steps from number `first` on, from another state."""
        inputs = jax.tree.map(lambda x: x[first : first + length], self.inputs)
        return Recurrence(self.step, start, inputs, length)


def follow(recurrence: Recurrence) -> PyTree[Array]:
    """The trajectory, one step after the other."""

    def one(h: PyTree[Array], x: PyTree[Array]) -> tuple[PyTree[Array], PyTree[Array]]:
        h = recurrence.step(h, x)
        return h, h

    return jax.lax.scan(one, recurrence.start, recurrence.inputs, recurrence.length)[1]


def in_blocks(stacked: PyTree[Array], size: int) -> PyTree[Array]:
    """What is stacked along the first axis as `(blocks, size, ...)`, without the steps that fill no block."""
    cut = lambda x: x[: len(x) // size * size].reshape(len(x) // size, size, *x.shape[1:])
    return jax.tree.map(cut, stacked)


def joined(parts: list[PyTree[Array]]) -> PyTree[Array]:
    """Trajectories one after the other."""
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
