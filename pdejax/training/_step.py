from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from ..fields import GridField
from ..grids import Grid
from ._state import RunState

# No epoch has this number, so that the keys of the augmentation are not those of the orders of the samples.
_AUGMENT = np.uint32(2**32 - 1)


class Samples(eqx.Module):
    """Inputs and targets on the device, `(samples, channels, *n)`, with their grids."""

    inputs: Array
    targets: Array
    grid: Grid
    target_grid: Grid

    @classmethod
    def of(cls, dataset) -> "Samples":
        """The arrays of a data set in one floating dtype, that of the targets."""
        targets = jnp.asarray(dataset.targets)
        if not jnp.issubdtype(targets.dtype, jnp.inexact):
            targets = targets.astype(jnp.result_type(float))
        return cls(jnp.asarray(dataset.inputs, targets.dtype), targets, dataset.grid, dataset.target_grid)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def losses(
        self, model: Callable, loss: Callable, index: Array, augment: Callable | None = None, key: Array | None = None
    ) -> Array:
        """The loss of each of the samples with these indices, changed by `augment` with keys of their own."""

        def one(a, u, key):
            a, u = GridField(a, self.grid), GridField(u, self.target_grid)
            if augment is not None:
                a, u = augment(key, a, u)
            return loss(model(a), u)

        keys = None if augment is None or key is None else jax.random.split(key, len(index))
        return jax.vmap(one)(self.inputs[index], self.targets[index], keys)


class Recipe(eqx.Module):
    """What stays the same from step to step: the model without its parameters, and how it is trained."""

    static: PyTree
    loss: Callable
    optimizer: optax.GradientTransformation
    batch_size: int
    ema: float | None
    key_kind: str | None
    augment: Callable | None = None

    def objective(self, parameters: PyTree, samples: Samples, index: Array, key: Array) -> Array:
        """Mean loss over a batch, whose samples `key` changes where there is an augmentation."""
        model = eqx.combine(parameters, self.static)
        return jnp.mean(samples.losses(model, self.loss, index, self.augment, key))


def advance(fixed: tuple[Recipe, Samples, Array], state: RunState) -> tuple[RunState, Array, Array]:
    """Optimiser steps until `stop` or a loss that is not finite: `(state, mean loss, whether all were finite)`.

    Not a scan of fixed length: one executable serves every interval, the last one and those of a continued run too, so
    a run gives the same bits however it was cut. A step whose loss or gradient is not finite is not taken and not
    counted.
    """
    # Inside of a loop XLA:CPU has no fast code for convolutions (five times slower), and the matrix products of an FNO
    # take a third longer; on accelerators a loop saves the time of the dispatches.
    return _dispatched(fixed, state) if jax.default_backend() == "cpu" else _compiled(fixed, state)


# The state of a run, the order of the samples in this epoch, the sum of the losses, and whether all were finite.
_Carry = tuple[RunState, Array, Array, Array]


def _dispatched(fixed: tuple[Recipe, Samples, Array], state: RunState) -> tuple[RunState, Array, Array]:
    recipe, samples, stop = fixed
    begin = int(state.step)
    wanted = int(stop) - begin
    # Where no step is wanted, one that is not taken: after it everything is compiled.
    carry = _begun((recipe, samples), state, jnp.array(wanted > 0))
    for _ in range(max(wanted, 1)):
        carry = _once((recipe, samples), carry)
    state, _, total, good = carry
    return state, total / max(int(state.step) - begin, 1), good | (wanted <= 0)


@eqx.filter_jit(donate="all-except-first")
def _once(fixed: tuple[Recipe, Samples], carry: _Carry) -> _Carry:
    return _next(*fixed, carry)


@eqx.filter_jit(donate="all-except-first")
def _begun(fixed: tuple[Recipe, Samples], state: RunState, good: Array) -> _Carry:
    return _first(*fixed, state, good)


@eqx.filter_jit(donate="all-except-first")
def _compiled(fixed: tuple[Recipe, Samples, Array], state: RunState) -> tuple[RunState, Array, Array]:
    recipe, samples, stop = fixed

    def going(carry):
        state, _, _, good = carry
        return (state.step < stop) & good

    begin = state.step
    first = _first(recipe, samples, state, jnp.array(True))
    state, _, total, good = jax.lax.while_loop(going, lambda carry: _next(recipe, samples, carry), first)
    return state, total / jnp.maximum(state.step - begin, 1).astype(jnp.float32), good


def _first(recipe: Recipe, samples: Samples, state: RunState, good: Array) -> _Carry:
    order = _shuffled(recipe, samples, state, state.step // _per_epoch(recipe, samples))
    return state, order, jnp.zeros((), jnp.float32), good


def _next(recipe: Recipe, samples: Samples, carry: _Carry) -> _Carry:
    """One step, not taken if it is not finite or one before it was not."""
    state, order, total, before = carry
    key, per_epoch = jax.random.wrap_key_data(state.key, impl=recipe.key_kind), _per_epoch(recipe, samples)
    epoch, place = state.step // per_epoch, state.step % per_epoch
    order = jax.lax.cond(place == 0, lambda: _shuffled(recipe, samples, state, epoch), lambda: order)
    index = jax.lax.dynamic_slice_in_dim(order, place * recipe.batch_size, recipe.batch_size)
    now = jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), state.step)
    value, gradient = jax.value_and_grad(recipe.objective)(state.parameters, samples, index, now)
    finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((value, gradient))]).all()
    good = before & finite
    again = lambda parameters: recipe.objective(parameters, samples, index, now)
    taken = _step(recipe, state, value, gradient, again)
    state = jax.tree.map(lambda new, old: jnp.where(good, new, old), taken, state)
    return state, order, total + jnp.where(good, value, 0).astype(jnp.float32), good


def _shuffled(recipe: Recipe, samples: Samples, state: RunState, epoch: Array) -> Array:
    key = jax.random.wrap_key_data(state.key, impl=recipe.key_kind)
    return jax.random.permutation(jax.random.fold_in(key, epoch), len(samples))


def _per_epoch(recipe: Recipe, samples: Samples) -> int:
    return len(samples) // recipe.batch_size


def _step(recipe: Recipe, state: RunState, value: Array, gradient: PyTree, again: Callable) -> RunState:
    optimizer = optax.with_extra_args_support(recipe.optimizer)
    # Optimisers multiply counters and floats, which strict promotion, if the caller asked for it, refuses.
    with jax.numpy_dtype_promotion("standard"):
        # Line searches evaluate the loss of the same batch again; most optimisers take no notice of what follows.
        extra = {"value": value, "grad": gradient, "value_fn": again}
        updates, optimizer = optimizer.update(gradient, state.optimizer, state.parameters, **extra)
        parameters = optax.apply_updates(state.parameters, updates)
    average = state.average
    if recipe.ema is not None:
        # The weight of the first parameters fades as 1 / step at first, so that short runs are not held back by them.
        decay = jnp.minimum(recipe.ema, (1 + state.step) / (10 + state.step))
        average = jax.tree.map(lambda a, p: a + (1 - decay).astype(p.dtype) * (p - a), average, parameters)
    return eqx.tree_at(
        lambda s: (s.parameters, s.optimizer, s.average, s.step),
        state,
        (parameters, optimizer, average, state.step + 1),
        is_leaf=lambda leaf: leaf is None,
    )


@eqx.filter_jit
def mean_loss(recipe: Recipe, parameters: PyTree, samples: Samples) -> Array:
    """Mean loss over all samples, batch by batch."""
    model = eqx.combine(parameters, recipe.static)
    index = jnp.arange(len(samples))
    losses = jax.lax.map(lambda i: samples.losses(model, recipe.loss, i[None])[0], index, batch_size=recipe.batch_size)
    return jnp.mean(losses)
