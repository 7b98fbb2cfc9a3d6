"""Pairs of input and target, each made from a key: what every data set of them shares."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array

from ..grids import Grid
from ._dataset import Dataset
from ._generate import Samples, chunk_size, generate, relative_distance, selected


class AbstractPair(eqx.Module):
    """How a pair is made. All fields are static, so that a second data set of the same kind compiles nothing."""

    @abc.abstractmethod
    def on(self, key: Array, refine: int) -> tuple[Array, Array]:
        """Input and target of a key at the nodes of the data, solved with `1 / refine` of the step and the spacing."""

    def __call__(self, key: Array) -> tuple[Array, Array]:
        return self.on(key, 1)


def pairs(
    sample: AbstractPair,
    samples: Samples,
    grid: Grid,
    key: Array,
    nodes: int,
    progress: Callable[[int, int], None] | None,
    **facts: Any,
) -> Dataset:
    """The data set of pairs on a grid, each solved on `nodes` nodes in all; `facts` are its metadata and its `name`.

    `reference_error` is the relative L2 distance of the target of sample 0, if it is among them, to that of the solve
    with half the step and spacing.
    """
    inputs, targets = generate(sample, samples, key=key, chunk=chunk_size(nodes), progress=progress)
    name = facts.pop("name")
    facts["dtype"] = str(targets.dtype)
    if 0 in selected(samples):
        facts["reference_error"] = relative_distance(targets[0], _refined(sample, jax.random.fold_in(key, 0)))
    return Dataset(inputs, targets, grid, name=name, metadata=facts).check()


@eqx.filter_jit
def _refined(sample: AbstractPair, key: Array) -> Array:
    return sample.on(key, 2)[1]
