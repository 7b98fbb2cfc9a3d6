"""A small U-Net in flax, as anybody might bring one: pdejax owns no layer of it."""

import jax
from flax import nnx


class UNet(nnx.Module):
    """Convolutions on grids of 1, 1/2, .. of the points and back, `width`, `2 width`, .. channels; of any size."""

    def __init__(self, in_channels: int, out_channels: int, width: int, levels: int, *, rngs: nnx.Rngs):
        widths = [width * 2**level for level in range(levels)]
        ins = [in_channels, *widths[:-1]]
        self.down = nnx.List([_Block(a, b, rngs=rngs) for a, b in zip(ins, widths, strict=True)])
        self.up = nnx.List([_Block(a + b, a, rngs=rngs) for a, b in zip(widths[:-1], widths[1:], strict=True)])
        self.out = nnx.Conv(width, out_channels, (1, 1), rngs=rngs)

    def __call__(self, v: jax.Array) -> jax.Array:
        passed = []
        for block in self.down:
            v = block(v)
            passed.append(v)
            v = nnx.avg_pool(v, (2, 2), strides=(2, 2), padding="SAME")
        v = passed.pop()
        for block in reversed(self.up):
            finer = passed.pop()
            v = jax.image.resize(v, (*finer.shape[:-1], v.shape[-1]), "linear")
            v = block(jax.numpy.concatenate([finer, v], -1))
        return self.out(v)


class _Block(nnx.Module):
    def __init__(self, in_channels: int, out_channels: int, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(in_channels, out_channels, (3, 3), rngs=rngs)
        self.second = nnx.Conv(out_channels, out_channels, (3, 3), rngs=rngs)
        self.norm = nnx.GroupNorm(out_channels, num_groups=4, rngs=rngs)

    def __call__(self, v: jax.Array) -> jax.Array:
        return jax.nn.gelu(self.norm(self.second(jax.nn.gelu(self.first(v)))))
