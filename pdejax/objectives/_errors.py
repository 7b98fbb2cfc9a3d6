from jaxtyping import Array

from ..calculus import norm
from ..fields import GridField


def relative_l2(prediction: GridField, target: GridField) -> Array:
    """Relative error `||p - t|| / ||t||` in L2 over all channels, scalar; norms by the grid's quadrature.

    One sample; the mean over a batch of `jax.vmap(relative_l2)` is the usual loss of operator learning.

    **Raises** `ValueError` if the fields live on different grids or have different channel counts.
    """
    return _relative(prediction, target, 0)


def relative_h1(prediction: GridField, target: GridField) -> Array:
    """Relative error `||p - t||_1 / ||t||_1`, `||u||_1^2 = ||u||^2 + ||grad u||^2`, over all channels, scalar.

    **Raises** `ValueError` if the fields live on different grids or have different channel counts.
    """
    return _relative(prediction, target, 1)


def _relative(prediction: GridField, target: GridField, s: int) -> Array:
    if prediction.channels != target.channels:
        raise ValueError(
            f"the prediction has {prediction.channels} channels and the target {target.channels}; "
            f"write out_channels={target.channels} in the model."
        )
    return norm(prediction - target, s) / norm(target, s)
