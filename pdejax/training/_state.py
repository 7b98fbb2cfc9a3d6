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

    @property
    def evaluated(self) -> PyTree:
        """The parameters that are validated: the average if there is one."""
        return self.parameters if self.average is None else self.average


def copied(tree: PyTree) -> PyTree:
    """The pytree with arrays of its own."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def key_kind(key: PRNGKeyArray) -> str | None:
    """Name of the generator of a key, None for the default one of untyped keys: key data alone do not tell it."""
    return str(jax.random.key_impl(key)) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else None
