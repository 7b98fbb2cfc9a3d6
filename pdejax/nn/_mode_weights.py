"""Weights of spectral convolutions: a matrix per mode, each number of its own or made of fewer."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ._checks import check_counts


def dense_modes(in_channels: int, out_channels: int, modes: tuple[int, ...], *, key: PRNGKeyArray) -> Array:
    """A full matrix for each mode, `(2, out, in, *modes)`: normal with deviation `1 / (3 in)`."""
    return jax.random.normal(key, (2, out_channels, in_channels, *modes)) / (3 * in_channels)


def depthwise_modes(in_channels: int, out_channels: int, modes: tuple[int, ...], *, key: PRNGKeyArray) -> Array:
    """A number for each mode and channel, `(2, channels, 1, *modes)`: channels are not mixed.

    **Raises** `ValueError` if there are not as many channels out as in.
    """
    check_depthwise(in_channels, out_channels)
    return jax.random.normal(key, (2, in_channels, 1, *modes)) / 3


def check_depthwise(in_channels: int, out_channels: int) -> None:
    """**Raises** `ValueError` if there are not as many channels out as in."""
    if in_channels != out_channels:
        raise ValueError(
            f"depthwise weights keep the channels apart, got {in_channels} in and {out_channels} out; "
            f"write out_channels={in_channels}, or leave weights=dense_modes."
        )


class TuckerModes(eqx.Module):
    """Matrices in Tucker form: `R_k = sum G_abc.. U_a V_b W^1_c(k_1) W^2_d(k_2) ..`, a small core, a factor per axis.

    **Arguments:** `rank`: numbers in the core as a fraction of those of full matrices, the same fraction of every axis.

    **Shapes:** `core` `(2, *ranks)`; `factors` one `(size, rank)` for outputs, inputs and each axis of modes.

    **Raises** `ValueError` for a rank outside `(0, 1]`.

    Source: Kossaifi, Kovachki, Azizzadenesheli & Anandkumar 2023, Multi-grid tensorized Fourier neural operator.
    Deviation: only the core is complex.
    """

    core: Array
    factors: tuple[Array, ...]

    def __init__(self, in_channels: int, out_channels: int, modes, *, rank: float = 0.1, key: PRNGKeyArray):
        if not 0 < rank <= 1:
            raise ValueError(f"a rank is a fraction of full size in (0, 1], got rank={rank!r}; write rank=0.1.")
        sizes = (out_channels, in_channels, *modes)
        ranks = [max(1, round(size * rank ** (1 / len(sizes)))) for size in sizes]
        keys = jax.random.split(key, 1 + len(sizes))
        self.factors = tuple(
            jax.random.normal(k, (size, r)) / r**0.5 for k, size, r in zip(keys[1:], sizes, ranks, strict=True)
        )
        self.core = jax.random.normal(keys[0], (2, *ranks)) / (3 * in_channels)

    def __call__(self) -> Array:
        """The full matrices, `(2, out, in, *modes)`."""
        full = self.core
        for factor in self.factors:
            # The axis in front is used up and its full one goes to the end: after all axes the order is the old one.
            full = jnp.tensordot(full, factor, axes=((1,), (1,)), precision="highest")
        return full


class CPModes(eqx.Module):
    """Matrices as a sum of `rank` products of one factor per axis: `R_k = sum_r u_r v_r w^1_r(k_1) w^2_r(k_2) ..`.

    **Shapes:** `factors` one `(size, rank)` for outputs, inputs and each axis of modes; `outputs` is a complex pair.

    **Raises** `ValueError` for a rank below 1.

    Source: Kossaifi, Kovachki, Azizzadenesheli & Anandkumar 2023, Multi-grid tensorized Fourier neural operator.
    Deviation: only the factor of the outputs is complex.
    """

    outputs: Array
    factors: tuple[Array, ...]

    def __init__(self, in_channels: int, out_channels: int, modes, *, rank: int = 32, key: PRNGKeyArray):
        check_counts("CPModes", rank=rank)
        a, *keys = jax.random.split(key, 2 + len(modes))
        self.outputs = jax.random.normal(a, (2, out_channels, rank)) / (3 * in_channels * rank**0.5)
        self.factors = tuple(
            jax.random.normal(k, (size, rank)) for k, size in zip(keys, (in_channels, *modes), strict=True)
        )

    def __call__(self) -> Array:
        """The full matrices, `(2, out, in, *modes)`."""
        full = self.outputs
        for factor in self.factors[:-1]:
            shape = (1,) * (full.ndim - 1)
            full = full[..., None, :] * factor.reshape(*shape, *factor.shape)
        return jnp.tensordot(full, self.factors[-1], axes=((full.ndim - 1,), (1,)), precision="highest")


def full_matrices(weight) -> Array:
    """The array `(2, out, in / groups, *modes)` of weights, whatever keeps them."""
    return weight() if callable(weight) else weight
