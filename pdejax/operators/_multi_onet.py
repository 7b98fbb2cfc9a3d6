import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..nn import BasisFeatures, Pointwise, Sensors, check_counts, envelope, nodes


class MultiONet(eqx.Module):
    """DeepONet that multiplies branch and trunk after every layer: `u(y) = sum_k w_k <t_k(y), b_k(a)> / depth + b_0`.

    `t_k` and `b_k` are what the layers `k = 1 .. depth` of trunk and branch make, with the activations `silu(z) +
    sin(z)` and `silu(z) + z`. Each output channel has `width` of their numbers to itself. Sensors, coordinates and
    boundaries as for `DeepONet`.

    **Arguments:** `sensors` one number or one per axis; `features` of points; `initial` value of all `w_k`. With the
    published 0 a training begins from a constant, and in its first step nothing but `w` and `b_0` moves.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Zang & Koutsourelakis 2025, DGenNO, its MultiONet; weights and activations of the authors' scripts.
    Deviations: several channels, sensors by resampling, the envelope.
    """

    branch: tuple[Pointwise, ...]
    trunk: tuple[Pointwise, ...]
    weight: Array
    bias: Array
    sensors: Sensors
    features: BasisFeatures

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sensors: int | tuple[int, ...],
        width: int,
        depth: int,
        ndim: int,
        *,
        features: BasisFeatures = BasisFeatures(),
        initial: float = 0.0,
        key: PRNGKeyArray,
    ):
        check_counts("MultiONet", out_channels=out_channels, width=width, depth=depth)
        self.sensors, self.features = Sensors(in_channels, sensors, ndim), features
        inner = [out_channels * width] * depth
        layers = lambda first, key: tuple(
            Pointwise(came, made, key=k)
            for came, made, k in zip([first, *inner], inner, jax.random.split(key, depth), strict=False)
        )
        a, b = jax.random.split(key)
        self.branch, self.trunk = layers(self.sensors.size, a), layers(features.size(ndim), b)
        self.weight, self.bias = jnp.full((depth, out_channels), float(initial)), jnp.zeros(out_channels)

    def __call__(self, a: GridField) -> GridField:
        b = self.sensors(a)[:, None]
        t = self.features(nodes(a.grid), a.grid).astype(a.dtype).T
        out, parts = self.bias.astype(a.dtype)[:, None], lambda h: h.reshape(len(self.bias), -1, h.shape[1])
        for branch, trunk, w in zip(self.branch, self.trunk, self.weight / len(self.weight), strict=True):
            b, t = branch.on_values(b), trunk.on_values(t)
            b, t = jax.nn.silu(b) + b, jax.nn.silu(t) + jnp.sin(t)
            out = out + w.astype(a.dtype)[:, None] * jnp.einsum("cjn,cj->cn", parts(t), parts(b)[..., 0])
        return a.with_values(jnp.asarray(envelope(a.grid), a.dtype) * out.reshape(-1, *a.grid.shape))
