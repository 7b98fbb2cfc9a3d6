import numpy as np

from ._dataset import Dataset


def noisy(dataset: Dataset, level: float, seed: int = 0) -> Dataset:
    """The data set with inputs as an instrument would give them: each value plus independent normal noise.

    Its deviation is `level` times that of all values of the channel. The noise is drawn once, so a training sees the
    same inputs in every epoch, and the targets are those of the clean inputs. `level=0` is the data set itself.

    **Raises** `ValueError` for a negative level.

    **Example:** `noisy(read("train.h5", "permeability", "pressure"), 0.05)`.
    """
    if not level >= 0:
        raise ValueError(f"a noise level is a fraction of the deviation and not negative, got {level!r}; write 0.05.")
    if level == 0:
        return dataset
    inputs = np.asarray(dataset.inputs)
    others = (0, *range(2, inputs.ndim))
    noise = np.random.default_rng(seed).standard_normal(inputs.shape) * inputs.std(axis=others, keepdims=True)
    rough = (inputs + level * noise).astype(inputs.dtype)
    return dataset._with(rough, dataset.targets, noise={"level": level, "seed": seed})
