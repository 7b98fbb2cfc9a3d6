import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..nn import BasisFeatures, Perceptron, Sensors, check_counts, envelope


class SeparableDeepONet(eqx.Module):
    """DeepONet with one trunk network per axis: `u(y) = sum_k b_k(a) sum_j prod_i (1 + t^i_kj(y_i)) + b_0`.

    The trunks are evaluated at the nodes of each axis, not at their product: of all evaluations only the sum is left
    for every node of the grid. Sensors, coordinates and boundaries as for `DeepONet`.

    **Arguments:** `sensors` one number or one per axis; `width`: terms `k` and width of the networks; `rank`: terms
    `j`; `depth` hidden layers; `features` of points.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Yu et al. 2024, Separable operator networks; Mandl et al. 2024, Separable DeepONet. Deviations: those of
    `DeepONet`, and the ones, without which the products of several axes are tiny at initial weights.
    """

    branch: Perceptron
    trunks: tuple[Perceptron, ...]
    bias: Array
    sensors: Sensors
    features: BasisFeatures

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sensors: int | tuple[int, ...],
        width: int,
        rank: int,
        depth: int,
        ndim: int,
        *,
        features: BasisFeatures = BasisFeatures(),
        key: PRNGKeyArray,
    ):
        check_counts("SeparableDeepONet", out_channels=out_channels, width=width, rank=rank, depth=depth)
        self.sensors, self.features = Sensors(in_channels, sensors, ndim), features
        a, *keys = jax.random.split(key, ndim + 1)
        self.branch = Perceptron(self.sensors.size, out_channels * width, width, depth, key=a)
        self.trunks = tuple(Perceptron(features.size(1), width * rank, width, depth, key=k) for k in keys)
        self.bias = jnp.zeros(out_channels)

    def __call__(self, a: GridField) -> GridField:
        b = self.branch(self.sensors(a)[None]).reshape(len(self.bias), -1)
        trunks = [
            1 + jax.nn.silu(trunk(self.features.along(axis, axis.points).astype(a.dtype)))
            for trunk, axis in zip(self.trunks, a.grid.axes, strict=True)
        ]
        # The terms k and j in one; each of them stays apart until the last axis, whose product with it is the sum.
        out = jnp.repeat(b, trunks[0].shape[1] // b.shape[1], axis=1)
        for t in trunks[:-1]:
            out = jnp.einsum("c...q,nq->c...nq", out, t)
        out = jnp.einsum("c...q,nq->c...n", out, trunks[-1])
        out = out + self.bias.astype(a.dtype).reshape(-1, *(1,) * len(a.grid.axes))
        return a.with_values(jnp.asarray(envelope(a.grid), a.dtype) * out)
