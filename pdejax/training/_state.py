import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree


class RunState(eqx.Module):
    """Everything a training run needs to go on, as one pytree: saved and restored whole.

    `parameters` are the trainable leaves of the model, `average` their exponential moving average (None without one),
    `best` those with the lowest validation loss so far (None without validation). `key` (key data) and `step` give the
    order of the data: epoch `step // (samples // batch_size)` has its own permutation, so there is no other cursor.
    `best_loss` and `waited` (intervals since it fell) serve validation and patience.
    """

    parameters: PyTree
    optimizer: PyTree
    average: PyTree
    best: PyTree
    key: Array
    step: Array
    best_loss: Array
    waited: Array

    @classmethod
    def start(
        cls, parameters: PyTree, optimizer: PyTree, key: PRNGKeyArray, averages: bool, validates: bool
    ) -> "RunState":
        """The state before the first step. Arrays are copies: a run gives its buffers away, the caller keeps his."""
        return cls(
            parameters=copied(parameters),
            optimizer=copied(optimizer),
            average=copied(parameters) if averages else None,
            best=copied(parameters) if validates else None,
            key=copied(jax.random.key_data(key)),
            step=jnp.zeros((), jnp.int32),
            best_loss=jnp.full((), jnp.inf, jnp.float32),
            waited=jnp.zeros((), jnp.int32),
        )

    def onto(self, begun: "RunState") -> "RunState":
        """The start of a further stage with the parameters, optimiser, average, order and step that are reached here.

        **Raises** `ValueError` if `begun` is of another model or optimiser.
        """
        average = None if begun.average is None else self.evaluated
        found = (self.parameters, self.optimizer, average, self.evaluated, self.key, self.step)
        parts = lambda s: (s.parameters, s.optimizer, s.average, s.best, s.key, s.step)
        kept = tuple(_like(old, new) for old, new in zip(found, parts(begun), strict=True))
        return eqx.tree_at(parts, begun, kept, is_leaf=lambda leaf: leaf is None)

    @property
    def evaluated(self) -> PyTree:
        """The parameters that are validated: the average if there is one."""
        return self.parameters if self.average is None else self.average


def _like(tree: PyTree, other: PyTree) -> PyTree:
    """Copies of the leaves in the structure of another tree, of which only what is no array may differ."""
    if other is None:
        return None
    came, wanted = ([jnp.shape(leaf) for leaf in jax.tree.leaves(t)] for t in (tree, other))
    if came != wanted:
        raise ValueError(
            f"the state given to fit is of another model or optimiser: it holds {len(came)} arrays, {came[:3]}, .., "
            f"where {len(wanted)}, {wanted[:3]}, .., are needed; give the state of an earlier stage of this model."
        )
    return jax.tree.unflatten(jax.tree.structure(other), jax.tree.leaves(copied(tree)))


def copied(tree: PyTree) -> PyTree:
    """The pytree with arrays of its own."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def key_kind(key: PRNGKeyArray) -> str | None:
    """Name of the generator of a key, None for the default one of untyped keys: key data alone do not tell it."""
    return str(jax.random.key_impl(key)) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else None
