import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ._recurrence import Recurrence, follow, in_blocks, joined
from ._sweeps import AbstractParallel, Jacobi, Outcome


class GaussSeidel(AbstractParallel):
    """Blocks of steps one after the other, each evaluated in parallel by another method: windows (Song, Meng, Liao &
    Ermon 2021, algorithm 2, with `Jacobi` within).

    Holds the memory of one block, and suits methods whose sweeps grow in number with the length. The sweeps of all
    blocks are counted together.

    **Arguments:** `size`: steps a block; `within`: the method in a block.

    **Raises** `ValueError` for `size < 1`.
    """

    size: int = eqx.field(static=True)
    within: AbstractParallel = Jacobi()

    def __check_init__(self):
        _check_size(self.size)

    def run(self, recurrence: Recurrence, guess: PyTree[Array] | None, max_steps: int) -> Outcome:
        size = min(self.size, recurrence.length)
        whole = recurrence.length // size * size

        def one(start: PyTree[Array], given: tuple[PyTree[Array], PyTree[Array] | None]):
            inputs, guess = given
            out = self.within.run(Recurrence(recurrence.step, start, inputs, size), guess, max_steps)
            return jax.tree.map(lambda x: x[-1], out.value), out

        blocks = in_blocks((recurrence.inputs, guess), size)
        last, outs = jax.lax.scan(one, recurrence.start, blocks, whole // size)
        values = [jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outs.value)]
        sweeps, error, met = jnp.sum(outs.sweeps), jnp.max(outs.error), jnp.all(outs.met)
        if whole < recurrence.length:
            rest = jax.tree.map(lambda x: x[whole:], guess)
            out = self.within.run(recurrence.part(last, whole, recurrence.length - whole), rest, max_steps)
            values.append(out.value)
            sweeps, error, met = sweeps + out.sweeps, jnp.maximum(error, out.error), met & out.met
        return Outcome(joined(values), sweeps, error, met)


class MultipleShooting(AbstractParallel):
    """Blocks of steps all at once, each one step after the other from its own start; a method corrects the starts.

    The states at the ends of blocks form a recurrence, a block of steps being its step. With `Jacobi` across that is
    the hybrid of Song, Meng, Liao & Ermon 2021 (algorithm 3), with `Parareal(coarse)` parareal on the steps, with
    `DEER` Newton's multiple shooting (Bellen & Zennaro 1989). Only ends of blocks are kept during the sweeps, each of
    which gets a further block right.

    **Arguments:** `size`: steps a block; `across`: the method for the ends of blocks, whose steps have the stacked
    inputs of a block.

    **Raises** `ValueError` for `size < 1`.
    """

    size: int = eqx.field(static=True)
    across: AbstractParallel = Jacobi()

    def __check_init__(self):
        _check_size(self.size)

    def run(self, recurrence: Recurrence, guess: PyTree[Array] | None, max_steps: int) -> Outcome:
        size = min(self.size, recurrence.length)
        count = recurrence.length // size

        def within(start: PyTree[Array], inputs: PyTree[Array]) -> PyTree[Array]:
            return follow(Recurrence(recurrence.step, start, inputs, size))

        def step(start: PyTree[Array], inputs: PyTree[Array]) -> PyTree[Array]:
            return jax.tree.map(lambda x: x[-1], within(start, inputs))

        ends = Recurrence(step, recurrence.start, in_blocks(recurrence.inputs, size), count)
        guess = jax.tree.map(lambda x: x[:, -1], in_blocks(guess, size))
        out = self.across.run(ends, guess, max_steps)
        inner = jax.vmap(within)(ends.before(out.value), ends.inputs)
        values = [jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), inner)]
        if count * size < recurrence.length:
            last = jax.tree.map(lambda x: x[-1], values[0])
            values.append(follow(recurrence.part(last, count * size, recurrence.length - count * size)))
        return out._replace(value=joined(values))


def _check_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"a block has at least one step, got size={size!r}; write size=32.")
