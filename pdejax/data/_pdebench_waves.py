from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

# Nodes on which the range of an initial state is measured.
_FINE = 4096


class RandomWaves(eqx.Module):
    """The random periodic functions on the unit interval that one-dimensional PDEBench data start from:
    `u = s w(x) |sum_i A_i sin(2 pi k_i x + phi_i)|`, the bars, sign and window being random too.

    Two waves with `k_i` from 1 to 8 (with repetition), amplitudes in (0, 1), any phase; with probability 1/10 each the
    absolute value is taken and all but a smooth window is removed, from (0.1, 0.45) to (0.55, 0.9), whose edges are
    `tanh` of width 0.01 (our choice); the sign is random (Takamoto et al., PDEBench, 2022, appendix D.1).
    """

    waves: int = eqx.field(static=True, default=2)
    highest: int = eqx.field(static=True, default=8)
    rarely: float = eqx.field(static=True, default=0.1)

    def draw(self, key: Array) -> Callable[[Array], Array]:
        """One function of x, which may lie outside of (0, 1)."""
        keys = jax.random.split(key, 7)
        dtype, shape = jnp.result_type(float), (self.waves,)
        k = jax.random.randint(keys[0], shape, 1, self.highest + 1).astype(dtype) * (2 * jnp.pi)
        amplitude = jax.random.uniform(keys[1], shape, dtype)
        phase = jax.random.uniform(keys[2], shape, dtype) * (2 * jnp.pi)
        bars, windowed = (jax.random.bernoulli(keys[i], self.rarely) for i in (3, 4))
        sign = jax.random.rademacher(keys[5], (), dtype)
        left, right = jax.random.uniform(keys[6], (2,), dtype) * 0.35 + jnp.asarray((0.1, 0.55), dtype)

        def u(x: Array) -> Array:
            x = x - jnp.floor(x)
            total = sum(amplitude[i] * jnp.sin(k[i] * x + phase[i]) for i in range(self.waves))
            window = (jnp.tanh((x - left) * 100) - jnp.tanh((x - right) * 100)) / 2
            return sign * jnp.where(bars, jnp.abs(total), total) * jnp.where(windowed, window, 1)

        return u

    def draw_scaled(self, key: Array) -> Callable[[Array], Array]:
        """One function, scaled to the range from zero to one."""
        u = self.draw(key)
        values = u(jnp.arange(_FINE, dtype=jnp.result_type(float)) / _FINE)
        low, high = jnp.min(values), jnp.max(values)
        return lambda x: (u(x) - low) / (high - low)
