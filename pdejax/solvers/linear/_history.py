import jax.numpy as jnp
from jaxtyping import Array


class History:
    """Relative residual norms step by step, in an array of fixed length that a loop carries; `length = 0`: nothing."""

    def __init__(self, length: int, scale: Array):
        self.length, self.scale = length, jnp.where(scale > 0, scale, jnp.ones((), scale.dtype))

    def start(self, norm: Array) -> Array:
        """`length + 1` entries: the norm before the first step, then NaN; empty for length 0."""
        empty = jnp.full(self.length + 1 if self.length else 0, jnp.nan, norm.dtype)
        return self.record(empty, jnp.zeros((), int), norm)

    def record(self, history: Array, step: Array, norm: Array) -> Array:
        """The history with the norm after `step` steps; what does not fit is dropped."""
        return history.at[step].set(norm / self.scale, mode="drop") if self.length else history

    def stats(self, history: Array) -> dict[str, Array]:
        """The entry of a solver's `stats`."""
        return {"residual_history": history} if self.length else {}
