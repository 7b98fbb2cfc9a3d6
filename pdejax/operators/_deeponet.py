from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..fields import GridField
from ..nn import BasisFeatures, Perceptron, Sensors, check_counts, envelope, envelope_at, nodes


class DeepONet(eqx.Module):
    """Deep operator network, `u(y) = sum_k b_k(a) t_k(y) + b_0`: a branch makes coefficients, a trunk makes functions.

    The branch reads the input on a fixed number of `sensors`, resampled by the field's own basis, so fields come on any
    grid; the trunk reads smooth coordinates of the point (`features`), so the output has any grid, or none: `at` gives
    it at arbitrary points. On `Sine` axes the output is multiplied by `nn.envelope`, which vanishes at the ends.

    **Arguments:** `sensors` one number or one per axis; `width`: terms `k` and width of the default networks; `depth`
    hidden layers of theirs; `features` of points, `nn.BasisFeatures(2)` for those of the published Burgers case;
    `branch` and `trunk`: networks in place of the default perceptrons, from rows `(1, in_channels prod(sensors))` to
    `(1, out_channels * width)` and from rows `(n, features.size(ndim))` to `(n, width)`. The last layer of the trunk is
    followed by silu, that of the branch by nothing.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension.

    Source: Lu, Jin, Pang, Zhang & Karniadakis 2021, Learning nonlinear operators via DeepONet, unstacked.
    Deviations: sensors by resampling, the envelope, silu, initial weights of `nn.Perceptron`.
    """

    branch: Callable[[Array], Array]
    trunk: Callable[[Array], Array]
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
        branch: Callable[[Array], Array] | None = None,
        trunk: Callable[[Array], Array] | None = None,
        key: PRNGKeyArray,
    ):
        check_counts("DeepONet", out_channels=out_channels, width=width, depth=depth)
        a, b = jax.random.split(key)
        self.sensors, self.features = Sensors(in_channels, sensors, ndim), features
        self.branch = (
            Perceptron(self.sensors.size, out_channels * width, width, depth, key=a) if branch is None else branch
        )
        self.trunk = Perceptron(features.size(ndim), width, width, depth, key=b) if trunk is None else trunk
        self.bias = jnp.zeros(out_channels)

    def __call__(self, a: GridField) -> GridField:
        out = self._sum(a, nodes(a.grid)).T.reshape(-1, *a.grid.shape)
        return a.with_values(jnp.asarray(envelope(a.grid), a.dtype) * out)

    def at(self, a: GridField, points: Float[Array, "n d"]) -> Float[Array, "n out"]:
        """The output at arbitrary points."""
        return envelope_at(points, a.grid).astype(a.dtype)[:, None] * self._sum(a, points)

    def _sum(self, a: GridField, points: Array | np.ndarray) -> Array:
        b = self.branch(self.sensors(a)[None]).reshape(len(self.bias), -1)
        t = jax.nn.silu(self.trunk(self.features(points, a.grid).astype(a.dtype)))
        return t @ b.T + self.bias.astype(a.dtype)[None]
