"""What a config may say: the typed frame around the free `_target_` nodes."""

import dataclasses
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ._errors import ConfigError, nearest, sentence


@dataclasses.dataclass
class Precision:
    """Floating point of the process: `x64` switches on float64, `matmul` is jax's default matrix product precision."""

    x64: bool = False
    matmul: str | None = None


@dataclasses.dataclass
class Data:
    """Where the samples come from; `transfer` names further test sets, usually of other resolutions."""

    root: str = "."
    seed: int | None = None
    train: Any = None
    validation: Any = None
    test: Any = None
    transfer: Any = None


@dataclasses.dataclass
class Training:
    """Length and bookkeeping of a training, passed on to `pdejax.training.fit`.

    `curriculum` trains an autoregressive model in stages of growing length: `[[0, 1], [1000, 2], [1500, 4]]` begins
    with rollouts of one state, has two from step 1000 on and four from step 1500; patience ends a stage.
    """

    steps: int = 1000
    batch_size: int = 32
    log_every: int = 100
    checkpoint_every: int | None = None
    keep: int = 2
    ema: float | None = None
    patience: int | None = None
    curriculum: Any = None


@dataclasses.dataclass
class Evaluation:
    """How the trained model is tested; `samples` pictures are drawn from the first test set."""

    batch_size: int = 50
    samples: int = 3


@dataclasses.dataclass
class Common:
    """Keys of every config; `variables` holds values that the config's own interpolations share."""

    name: str = "run"
    output: str = "runs/${name}"
    seed: int = 0
    overwrite: bool = False
    resume: bool = False
    precision: Precision = dataclasses.field(default_factory=Precision)
    variables: Any = None


@dataclasses.dataclass
class TrainConfig(Common):
    """A config that trains `model` on `data.train` and tests it on `data.test`.

    Trajectories become windows of the lengths that the model says (`history` and `steps` of a
    `pdejax.training.Rollout`, one step for others), and are tested by free rollouts. `augment` changes the samples in
    training.
    """

    data: Data = dataclasses.field(default_factory=Data)
    model: Any = None
    normalise: bool = True
    loss: Any = None
    augment: Any = None
    optimizer: Any = None
    training: Training = dataclasses.field(default_factory=Training)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)


@dataclasses.dataclass
class SolveConfig(Common):
    """A config that solves `problem` by `method` and keeps `save_at` instants of it."""

    problem: Any = None
    method: Any = None
    save_at: Any = None


@dataclasses.dataclass
class DataConfig(Common):
    """A config that writes `dataset` to the HDF5 file `output`, or to a folder of files of `shard` samples each."""

    output: str = "data/${name}.h5"
    shard: int = 128
    dataset: Any = None


def typed(config: DictConfig) -> DictConfig:
    """The config inside its schema: defaults filled in, unknown keys and values of a wrong type refused."""
    kinds = {"model": TrainConfig, "problem": SolveConfig, "dataset": DataConfig}
    said = [key for key in kinds if config.get(key) is not None]
    if len(said) != 1:
        raise ConfigError(
            f"a config says exactly one of 'model' (a training), 'problem' (a classical solve) or 'dataset' (a data "
            f"file), "
            f"this one says {' and '.join(said) or 'none of them'}: check the file for a misspelt key "
            f"(its keys are {', '.join(map(str, config)) or 'none'})."
        )
    schema = kinds[said[0]]
    _check_keys(config, schema, "")
    try:
        return cast(DictConfig, OmegaConf.merge(OmegaConf.structured(schema), config))
    except OmegaConfBaseException as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(f"config key '{error.full_key}' cannot take its value: {first}.") from error


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config as plain dictionaries and lists, every interpolation replaced by its value."""
    try:
        return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise ConfigError(f"config key '{error.full_key}' cannot be resolved: {sentence(error)}") from error


def _check_keys(config: DictConfig, schema: type, prefix: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(schema)}
    for key in config:
        if key not in fields:
            where = f"'{prefix}{key}'"
            raise ConfigError(
                f"unknown config key {where}: {nearest(str(key), fields)}; "
                "values of your own that interpolations share belong under 'variables'."
            )
        kind = fields[key].type
        value = config._get_node(key)
        if (
            isinstance(kind, type)
            and dataclasses.is_dataclass(kind)
            and isinstance(value, DictConfig)
            and not value._is_none()
        ):
            _check_keys(value, kind, f"{prefix}{key}.")
