"""Multistep methods: the rates of earlier steps are kept, the first steps are taken by a one-step method."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._march import Scheme


class History(eqx.Module):
    """The state `value`, and what is kept of earlier steps: `past[0]` is the latest."""

    value: Array
    past: tuple[Any, ...]


def multistep(
    start: Array,
    keep: Callable[[Array, Array], Any],
    first: Callable[[Array, Array, Array], Array],
    step: Callable[[Array, tuple[Any, ...]], Array],
    depth: int,
    field: Callable,
) -> Scheme:
    """Scheme of a `depth`-step method: `keep(v, t)` is what is remembered of a state, `step(v, past)` makes the next
    state from it (`past[0]` belongs to `v`), and `first` is the one-step method until `depth` states are known.
    """

    def advance(state: History, t: Array, i: Array) -> History:
        past = (keep(state.value, t), *state.past)
        if depth == 1:
            return History(step(state.value, past), ())
        value = jax.lax.cond(
            i < depth - 1,
            lambda v, past: first(v, t, i),
            lambda v, past: step(v, past),
            state.value,
            past,
        )
        return History(value, past[: depth - 1])

    blank = jax.tree.map(jnp.zeros_like, jax.eval_shape(keep, start, jnp.zeros((), start.real.dtype)))
    return Scheme(History(start, (blank,) * (depth - 1)), advance, field, lambda state: state.value)
