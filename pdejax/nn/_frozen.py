import equinox as eqx
import jax
from jaxtyping import PyTree


class Frozen(eqx.Module):
    """Data that a model carries and saves beside its parameters: `trainable` leaves it out, no gradient reaches it.

    **Arguments:** `content`, arrays or fields; `model.part.read()` gives them back.
    """

    content: PyTree

    def read(self) -> PyTree:
        """The content, constant in every derivative."""
        return jax.lax.stop_gradient(self.content)
