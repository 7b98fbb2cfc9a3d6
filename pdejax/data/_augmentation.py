from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ..grids import Sine
from ._dataset import Dataset

Augment = Callable[[PRNGKeyArray, GridField, GridField], tuple[GridField, GridField]]


class Noise(eqx.Module):
    """Normal noise on the inputs, drawn anew whenever a sample is used: `a + level rms(a) xi`, channel by channel.

    `rms` is the root mean square of the channel's deviation from its mean in this sample. An autoregressive model
    trained so meets states off the data as its own errors will make them. Ends of `Sine` axes stay zero. For noise that
    belongs to the data see `noisy`.

    **Raises** `ValueError` for a negative level.

    Source: Sanchez-Gonzalez et al. 2020, Learning to simulate complex physics with graph networks, section 4.3.
    Deviation: relative to each sample, not accumulated over a history.
    """

    level: float = eqx.field(static=True)

    def __check_init__(self):
        if not self.level >= 0:
            raise ValueError(f"a noise level is a fraction and not negative, got {self.level!r}; write Noise(0.01).")

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        over = tuple(range(1, a.values.ndim))
        size = self.level * jnp.std(a.values, axis=over, keepdims=True)
        noise = jax.random.normal(key, a.values.shape, a.dtype) * size
        inside = np.ones((1, *a.grid.shape))
        for name, axis in zip(a.grid.names, a.grid.axes, strict=True):
            if isinstance(axis, Sine) and not axis.centred:
                inside = inside * a.grid.broadcast(np.pad(np.ones(axis.n - 2), 1), name)[None]
        return a.with_values(a.values + jnp.asarray(inside, a.dtype) * noise), u


class Sometimes(eqx.Module):
    """An augmentation of a share of the samples, each chosen anew at every use; the others stay as they are.

    `Sometimes(augment, 0.75)` shows the data as they are to every fourth sample, as three changed copies of each would.

    **Raises** `ValueError` for a share outside [0, 1].
    """

    augment: Augment
    share: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"a share of the samples lies between 0 and 1, got {self.share!r}; write share=0.5.")

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        draw, rest = jax.random.split(key)
        chosen = jax.random.bernoulli(draw, self.share)
        changed = self.augment(rest, a, u)
        pairs = zip(changed, (a, u), strict=True)
        first, second = (old.with_values(jnp.where(chosen, new.values, old.values)) for new, old in pairs)
        return first, second


class RandomImage(eqx.Module):
    """Both fields in one of several images, drawn anew whenever a sample is used: `(S a, S u)`.

    For equations that look the same in each of them, such as `nn.box_images(ndim)` for isotropic ones on a square: each
    sample then stands for as many as there are images, at the cost of one. `nn.Symmetrised` builds the same knowledge
    into a model, at the cost of as many evaluations.

    **Raises** `ValueError` for no images, and what the images raise.
    """

    images: tuple[Callable[[GridField], GridField], ...]

    def __init__(self, images: Sequence[Callable[[GridField], GridField]]):
        if not images:
            raise ValueError("there is no image to draw; write RandomImage(nn.box_images(ndim=2)).")
        self.images = tuple(images)

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        def shown(image: Callable[[GridField], GridField]) -> Callable[[Array, Array], tuple[Array, Array]]:
            return lambda before, after: (image(a.with_values(before)).values, image(u.with_values(after)).values)

        drawn = jax.random.randint(key, (), 0, len(self.images))
        before, after = jax.lax.switch(drawn, [shown(image) for image in self.images], a.values, u.values)
        return a.with_values(before), u.with_values(after)


class InTurn(eqx.Module):
    """Augmentations one after the other."""

    augments: tuple[Augment, ...]

    def __init__(self, augments: Sequence[Augment]):
        self.augments = tuple(augments)

    def __call__(self, key: PRNGKeyArray, a: GridField, u: GridField) -> tuple[GridField, GridField]:
        for augment, own in zip(self.augments, jax.random.split(key, len(self.augments)), strict=True):
            a, u = augment(own, a, u)
        return a, u


def unlabelled(dataset: Dataset) -> Dataset:
    """The inputs alone, in place of the targets too: for losses that see the prediction and the input it is for.

    **Example:** `fit(model, unlabelled(data), loss=SpectralResidual(Poisson), ...)` trains without a solution.
    """
    return Dataset(dataset.inputs, dataset.inputs, dataset.grid, name=dataset.name, metadata=dataset.metadata)
